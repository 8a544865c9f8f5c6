import type { Key, Row } from './row.ts';

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
 */
export type Change = { readonly key: Key } & (
  | { readonly op: 'insert'; readonly before: null; readonly after: Row; readonly columns: readonly number[] }
  | { readonly op: 'update'; readonly before: Row; readonly after: Row; readonly columns: readonly number[] }
  | { readonly op: 'delete'; readonly before: Row; readonly after: null }
);

export type ChangeOp = Change['op'];
