import type { Cancel } from './cancel.ts';
import type { Batch, Key, Row } from './row.ts';
import type { BaseCell, Ruling } from './two-way.ts';

export type TwoWaySide = 'source' | 'target';

/** A key that a two-way run is about to write: what both sides showed when it was decided, and what they shall show. */
export interface DecidedRow {
  readonly pair: string;
  /** As the pair compares it. */
  readonly key: Key;
  readonly source: Row | null;
  readonly target: Row | null;
  readonly result: Row | null;
  /** Sides that do not show the result yet. */
  readonly writes: { readonly source: boolean; readonly target: boolean };
  /** The conflict whose resolution by a person this is. */
  readonly conflict?: string;
  /** A policy chose; and what the sides had agreed on before (as the source showed it). */
  readonly ruling?: Ruling & { readonly base: readonly BaseCell[] | null };
}

/** What became of the write of one side; `open`: nobody knows of one. */
export type SideWrite =
  | { readonly state: 'open' | 'missed' }
  /** As the side stored it, in the pair's columns and common types. */
  | { readonly state: 'stored'; readonly row: Row | null };

export interface WrittenRow extends DecidedRow {
  readonly written: { readonly source: SideWrite; readonly target: SideWrite };
}

/** A two-way run whose writes the archive has not followed yet. */
export interface OpenTwoWayRun {
  readonly run: string;
  readonly sync: string;
  /** The plan of each side, and the run that applies it. */
  readonly plans: { readonly source: string | null; readonly target: string | null };
  readonly children: { readonly source: string | null; readonly target: string | null };
}

/** What two-way runs are about to write, from the decision until the archive has followed. */
export interface TwoWayRuns {
  /** One run of a sync at a time: false while another process has it. Ends with the process, however it ends. */
  hold(sync: string, o: Cancel): Promise<boolean>;
  letGo(sync: string, o: Cancel): Promise<void>;
  begin(run: string, sync: string, at: number, o: Cancel): Promise<void>;
  add(run: string, rows: Batch<DecidedRow>, o: Cancel): Promise<void>;
  planned(run: string, plans: { readonly source?: string; readonly target?: string }, o: Cancel): Promise<void>;
  began(run: string, side: TwoWaySide, child: string, o: Cancel): Promise<void>;
  get(run: string, o: Cancel): Promise<OpenTwoWayRun | undefined>;
  /** By the plan of one of its sides. */
  ofPlan(plan: string, o: Cancel): Promise<OpenTwoWayRun | undefined>;
  /** Oldest first. */
  open(sync: string, o: Cancel): Promise<readonly OpenTwoWayRun[]>;
  /** Writes that got through. A key that was missed before stays missed. */
  stored(
    run: string,
    at: { readonly side: TwoWaySide; readonly pair: string },
    rows: Batch<{ readonly key: Key; readonly row: Row | null }>,
    o: Cancel,
  ): Promise<void>;
  /** Writes that did not. */
  missed(
    run: string,
    at: { readonly side: TwoWaySide; readonly pair: string },
    keys: Batch<Key>,
    o: Cancel,
  ): Promise<void>;
  /** In the order they were decided; flat in memory. */
  rows(run: string, pair: string, o: Cancel): AsyncIterable<Batch<WrittenRow>>;
  find(run: string, pair: string, keys: readonly Key[], o: Cancel): Promise<readonly WrittenRow[]>;
  pairs(run: string, o: Cancel): Promise<readonly string[]>;
  /** The archive has followed. What was written remains known for `turns`. */
  end(run: string, at: number, o: Cancel): Promise<void>;
  /** How often writes of these keys went from one side to the other and back since a moment; keys without any are left out. */
  turns(
    of: { readonly sync: string; readonly pair: string; readonly since: number },
    keys: readonly Key[],
    o: Cancel,
  ): Promise<readonly { readonly key: Key; readonly turns: number }[]>;
  /** Forgets what was written before a moment. */
  forget(before: number, o: Cancel): Promise<void>;
}
