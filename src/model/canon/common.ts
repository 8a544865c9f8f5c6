import type { Column, ColumnType } from '../schema.ts';

export type Common =
  | { readonly as: ColumnType; readonly warning?: string }
  /** The two types have no common form; the column is not compared. */
  | { readonly as: undefined; readonly reason: string };

/** The wider of two columns' types: what both are rendered as to be compared. Never rounds. */
export const commonType = (_source: Column, _target: Column): Common => {
  throw new Error('not written yet');
};
