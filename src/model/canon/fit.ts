import type { Cell } from '../row.ts';
import type { Column, ColumnType } from '../schema.ts';

export type Fit =
  | { readonly ok: true; readonly cell: Cell }
  /** e.g. `19.9949 does not fit numeric(10,2)`: says why, never rounds. Long values are cut in the message. */
  | { readonly ok: false; readonly reason: string };

/**
 * Turns a cell rendered as `from` (a pair's common type) into the canonical text of `column`'s own type, exactly:
 * what the column cannot hold is refused with a reason. NULL fits a nullable column.
 */
export const fit = (_cell: Cell, _from: ColumnType, _column: Column): Fit => {
  throw new Error('not written yet');
};
