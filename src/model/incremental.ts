import type { Key } from './row.ts';

/** How a sync is compared incrementally, as configured. */
export interface IncrementalRule {
  /**
   * `auto`: the engine's own record version, where it has one; `xmin`, `record_version`: the same, by the name an
   * engine gives it; anything else is the name of a column.
   */
  readonly by: { readonly source: string; readonly target: string };
  /** The target's column is not named of its own: it is the partner of the source's. */
  readonly sameColumn: boolean;
  /** How far before the last value of a time column is looked again, milliseconds. */
  readonly overlapMs: number;
  /** The same for a column of whole numbers. */
  readonly overlapCount: number;
  /** `keys`: the keys of all rows are compared each time, so that deleted rows are found. */
  readonly deletes: 'keys' | 'none';
  /** All rows are compared when the last such comparison is so old, milliseconds, or so many comparisons ago. */
  readonly fullEvery: { readonly ms: number } | { readonly runs: number };
}

/**
 * The end of a comparison, from which the next can start: in the snapshots that the marks stand for, every key that is
 * not open agreed on both sides.
 */
export interface Standing {
  /** What was compared, and how, as a hash: only a comparison of the same can start from it. */
  readonly settings: string;
  /** Per side: what its `Changes` gave for the snapshot; null where the side cannot tell its changed rows. */
  readonly marks: { readonly source: string | null; readonly target: string | null };
  /** Keys that differed, were in flight, double or outside a filter. */
  readonly open: readonly Key[];
  /** Rows of the whole tables, counted then or by an earlier comparison. */
  readonly rows: { readonly source: number; readonly target: number };
  readonly run: string;
  /** When it began, milliseconds since 1970. */
  readonly at: number;
  /** The last comparison of all rows. */
  readonly full: { readonly run: string; readonly at: number };
  /** Comparisons since then. */
  readonly runs: number;
}
