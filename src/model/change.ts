import type { Cell, Key, Row } from './row.ts';

/** One key whose rows do not agree. Rows are in the pair's column order (key first), rendered as the common types. */
export type Difference = { readonly key: Key } & (
  | { readonly kind: 'only_in_source'; readonly source: Row; readonly target: null }
  | { readonly kind: 'only_in_target'; readonly source: null; readonly target: Row }
  /** `columns`: indexes of the cells that differ. */
  | { readonly kind: 'different'; readonly source: Row; readonly target: Row; readonly columns: readonly number[] }
);

export type DifferenceKind = Difference['kind'];

/**
 * A write with both images: whole native rows of the target, in the order of `nativeSelection(table, key)` (key
 * columns first, then the rest as in the table), each cell rendered as its column's own type and exact (`canon/spelling.ts`): what was read is
 * spelled as it is stored, what is planned is canonical. `key` is canonical. `columns` are the indexes that are written; the other cells of an insert's
 * `after` are null until the row is read back (defaults, generated columns).
 *
 * A change that comes out of a plan may read its images only when they are asked for: members are read, never copied
 * by spreading.
 */
export type Change = {
  readonly key: Key;
  /**
   * Hashes of the images as the writer of the target makes them (`Writer.hashing`): those of `before`, then those of
   * `after`, each as its high and its low half (signed 32-bit integers). Two numbers for an insert or delete, four for
   * an update. Made when the change was planned.
   */
  readonly hashes?: readonly number[];
} & (
  | { readonly op: 'insert'; readonly before: null; readonly after: Row; readonly columns: readonly number[] }
  | {
      readonly op: 'update';
      readonly before: Row;
      readonly after: Row;
      readonly columns: readonly number[];
      /** Of a planned change: the written cells, in the order of `columns`. */
      readonly cells?: readonly Cell[];
    }
  | { readonly op: 'delete'; readonly before: Row; readonly after: null }
);

export type ChangeOp = Change['op'];
