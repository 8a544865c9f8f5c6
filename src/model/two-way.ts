import type { Side } from './policy.ts';
import type { Cell, Key, Row, Text } from './row.ts';

/**
 * A cell of the last agreed state: its value, SQL NULL, or, where the value itself is not kept, a hash that equal values
 * share.
 */
export type BaseCell = Text | null | { readonly hash: string };

/**
 * The last agreed state of one key. Cells in the pair's column order (key first), as the common types. The two sides
 * agreed, but need not have shown the same text: what a tolerance covers, each side keeps as it was.
 */
export interface BaseRow {
  readonly source: readonly BaseCell[];
  readonly target: readonly BaseCell[];
  /** When it was agreed (milliseconds since 1970), and by which run. */
  readonly at: number;
  readonly run: string;
}

/**
 * One key of a two-way pair that is not as it was agreed: what both sides show now, in the pair's column order, as the
 * common types. `base` null: never agreed (the first comparison), or agreed to be gone.
 */
export interface ThreeWay {
  readonly key: Key;
  readonly base: BaseRow | null;
  readonly source: Row | null;
  readonly target: Row | null;
}

/** What both sides did to one key since they agreed, source first. `unique` and `foreign_key`: refused by a database. */
export const conflictTypes = [
  'insert_insert',
  'update_update',
  'update_delete',
  'delete_update',
  'unique',
  'foreign_key',
  'moved',
  'flapping',
  'pinned',
] as const;
export type ConflictType = (typeof conflictTypes)[number];

/** Why a value was chosen where both sides had changed one, for people and for the record. */
export interface Ruling {
  readonly type: ConflictType;
  /**
   * Columns in dispute (indexes of the pair's columns): those that both sides had changed to different values; in an
   * atomic row, all that differ; also one that a side had changed and must not (it has an owner, or a one-way sync's
   * target was edited on its own). Empty: the row as a whole.
   */
  readonly columns: readonly number[];
  /** Which policy spoke last: `last_write_wins`, `rules`, `prefer source`, `owner`, `sum`, `function`, `person` … */
  readonly policy: string;
  /** A sentence: `status: active beats inactive (syncs.licences.pairs[0].conflict.rules[0])`. */
  readonly reason: string;
}

/** What becomes of one key. */
export type TwoWayDecision =
  /** Both sides show the same, within the declared tolerances: only the archive follows. */
  | { readonly kind: 'agreed' }
  /**
   * What both sides shall show; null: nothing. Cells of the pair's columns, as the common types. `ruling`: both sides
   * had changed it, and a policy chose; absent: only one side had, or each had changed other columns. A cell of the
   * result that a side's own is within the tolerance of is no reason to write there: each side keeps its text.
   * `leaves`: a side that is not written at all (the source of a one-way sync) and keeps its row; the result is what the
   * other one shall show, and what is agreed then is each side's own row.
   */
  | { readonly kind: 'settled'; readonly result: Row | null; readonly ruling?: Ruling; readonly leaves?: Side }
  /**
   * Both rows are kept: the target's goes on under another key (`other`), inserted on both sides (on those that are
   * written), and `result` is what the key itself shall show. Whether the other key is free is not known here.
   */
  | { readonly kind: 'both'; readonly result: Row; readonly other: Row; readonly ruling: Ruling }
  /** Waits for a person. */
  | { readonly kind: 'ask'; readonly type: ConflictType; readonly columns: readonly number[]; readonly reason: string };

/** Pure: the same three rows and settings give the same decision, on any machine. */
export type TwoWayResolver = (row: ThreeWay) => TwoWayDecision;

/** Does a side still show, in this column (index of the pair's columns), what was agreed? Exactly: no tolerance here. */
export type SameAsBase = (column: number, base: BaseCell, cell: Cell) => boolean;
