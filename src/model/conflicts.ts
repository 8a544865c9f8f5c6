import type { Cancel } from './cancel.ts';
import type { Tolerance } from './pair.ts';
import type { Batch, Cell, Key } from './row.ts';
import type { ColumnType } from './schema.ts';
import type { BaseCell, ConflictType } from './two-way.ts';

/**
 * `pending`: waits for a person · `decided`: a person chose, and the next run of the sync (or the one begun at once)
 * writes it under a guard · `resolved`: the sides agree on what was chosen · `ruled`: a policy chose, nobody was asked ·
 * `gone`: the sides came to agree by themselves, or the row moved and became another conflict.
 */
export const conflictStates = ['pending', 'decided', 'resolved', 'ruled', 'gone'] as const;
export type ConflictState = (typeof conflictStates)[number];

/** One column of a conflict, as canonical text. Absent cells: the row is not there. */
export interface ConflictCell {
  /** Names in the source and in the target. */
  readonly column: string;
  readonly target: string;
  /** Both sides changed it, to different values. */
  readonly disputed: boolean;
  /** The common type of its cells, and what was tolerated: so that another policy can be asked about them later. */
  readonly as?: ColumnType;
  readonly tolerance?: Tolerance;
  /** Its values are not shown. */
  readonly concealed?: true;
}

/** One key that both sides changed, each in its own way. */
export interface NewConflict {
  readonly sync: string;
  readonly pair: string;
  /** The run that found it. */
  readonly run: string;
  readonly key: Key;
  readonly type: ConflictType;
  readonly columns: readonly ConflictCell[];
  /** How many of the first columns are the key. */
  readonly keyWidth: number;
  /** In the order of `columns`. Null: never agreed, or agreed to be gone. */
  readonly base: readonly BaseCell[] | null;
  /** Null: no such row. */
  readonly source: readonly Cell[] | null;
  readonly target: readonly Cell[] | null;
  readonly state: 'pending' | 'ruled';
  /** `ruled`: what was chosen; null: that the row goes. */
  readonly result?: readonly Cell[] | null;
  readonly policy?: string;
  /** Why it waits, or why it was ruled so. */
  readonly reason: string;
}

/** What a person chose. */
export type Resolution =
  | { readonly take: 'source' | 'target' | 'base' }
  /** Some cells by hand (source column name -> value); the others as `take` says. */
  | { readonly take: 'source' | 'target'; readonly cells: Readonly<Record<string, string | null>> };

/** A choice, by whom, when and why. */
export type Decision = Resolution & {
  readonly by: string;
  readonly at: number;
  readonly why: string | null;
  /** What it writes was allowed as it was decided: no guard counts it again. Decisions of earlier versions lack it. */
  readonly allowed?: true;
};

/** A conflict as it is kept. */
export interface Conflict extends Omit<NewConflict, 'state'> {
  /** `c_…`, ascending in time. */
  readonly id: string;
  /** Grows with every change of this record: what `If-Match` compares. */
  readonly version: number;
  readonly state: ConflictState;
  /** When it was found, last seen unchanged, and closed: milliseconds since 1970. */
  readonly found: number;
  readonly seen: number;
  readonly closed: number | null;
  /** What was chosen by a person. */
  readonly resolution: Decision | null;
  /** The run that wrote what was chosen, or that saw the sides agree. */
  readonly closedBy: string | null;
}

export interface ConflictFilter {
  readonly sync?: string;
  /** Any of these. */
  readonly syncs?: readonly string[];
  readonly pair?: string;
  readonly keys?: readonly Key[];
  readonly types?: readonly ConflictType[];
  readonly states?: readonly ConflictState[];
  /** A source column that is disputed. */
  readonly column?: string;
  readonly run?: string;
}

/** Conflicts of two-way syncs, and of one-way syncs that keep an archive. One open record per sync, pair and key. */
export interface Conflicts {
  /**
   * Takes down what a run met. A key that waits already: the same rows are only seen again; other rows make the waiting
   * record `gone` and a new one. `ruled` records stand for themselves.
   */
  record(conflicts: Batch<NewConflict>, at: number, o: Cancel): Promise<readonly Conflict[]>;
  get(id: string, o: Cancel): Promise<Conflict | undefined>;
  /** Newest first, flat in memory. `before`: the last id of the page before. */
  list(
    filter: ConflictFilter & { readonly before?: string; readonly limit?: number },
    o: Cancel,
  ): Promise<readonly Conflict[]>;
  count(filter: ConflictFilter, o: Cancel): Promise<number>;
  /** pending or decided, by key: what the planner of the next run must know. */
  waiting(sync: string, pair: string, o: Cancel): AsyncIterable<Batch<Conflict>>;
  /**
   * CONFLICT_RESOLVED (409) when another has chosen before; CONFLICT_MOVED (412) when `version` is not its version any
   * more; NOT_FOUND. The same choice again by the same person, while it waits to be written, changes nothing.
   * `replace`: in place of another choice that waits to be written, which is for who holds the sync.
   */
  decide(
    id: string,
    resolution: Decision,
    o: Cancel & { readonly version?: number; readonly replace?: boolean },
  ): Promise<Conflict>;
  /**
   * The same choice for many, each at the version that was seen. Those that are returned are decided; the others had
   * been chosen for, or had moved, and are left as they are.
   */
  decideEach(
    seen: Batch<Pick<Conflict, 'id' | 'version'>>,
    resolution: Decision,
    o: Cancel,
  ): Promise<readonly Conflict[]>;
  /** After a run: what became of waiting records. */
  close(
    ids: readonly string[],
    end: { readonly state: 'resolved' | 'gone'; readonly run: string; readonly at: number },
    o: Cancel,
  ): Promise<void>;
  /** A decision could not be written since the row had moved: it waits again, with the rows as they are now. */
  reopen(
    id: string,
    now: Pick<NewConflict, 'source' | 'target' | 'reason' | 'run'>,
    at: number,
    o: Cancel,
  ): Promise<void>;
  /** The age of the oldest pending one, milliseconds since 1970, per sync; and how many wait. */
  waitingBySync(
    o: Cancel,
  ): Promise<readonly { readonly sync: string; readonly pending: number; readonly oldest: number }[]>;
  /** Conflicts that were found since a moment, and how many of these wait no more, per sync. */
  tally(
    since: number,
    o: Cancel,
  ): Promise<readonly { readonly sync: string; readonly found: number; readonly settled: number }[]>;
}
