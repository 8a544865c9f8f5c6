import type { Cancel } from './cancel.ts';
import type { Difference, DifferenceKind } from './change.ts';
import type { Batch } from './row.ts';
import type { ColumnType } from './schema.ts';

/** How the rows of a pair's differences read: enough to show them without the databases. */
export interface DifferencePair {
  readonly name: string;
  /** Target's label. */
  readonly target: string;
  readonly columns: readonly { readonly source: string; readonly target: string; readonly as: ColumnType }[];
  readonly keyWidth: number;
}

export interface StoredDifference {
  /** Ascending in the order they were added; a cursor. */
  readonly seq: number;
  readonly pair: string;
  readonly difference: Difference;
}

export interface DifferenceFilter {
  readonly pair?: string;
  readonly kinds?: readonly DifferenceKind[];
  /** Source column that differs. */
  readonly column?: string;
  /** seq to go on from. */
  readonly after?: number;
}

/** Calls must not overlap. Disposing flushes nothing: what was not flushed is lost. */
export interface DifferenceWriter extends AsyncDisposable {
  add(pair: string, differences: Batch<Difference>, o: Cancel): Promise<void>;
  /** Makes everything added so far durable and visible. */
  flush(o: Cancel): Promise<void>;
}

export interface Differences {
  /** Opens a run's differences for adding; goes on after those that are there. */
  writer(run: string, pairs: readonly DifferencePair[], o: Cancel): Promise<DifferenceWriter>;
  pairs(run: string, o: Cancel): Promise<readonly DifferencePair[]>;
  /** In order of seq, flat in memory; stop reading when you have enough. */
  list(run: string, filter: DifferenceFilter, o: Cancel): AsyncIterable<Batch<StoredDifference>>;
  /** Forgets those of a run, or of one of its pairs (to compare it again after an interruption). */
  clear(run: string, o: Cancel & { readonly pair?: string }): Promise<void>;
}
