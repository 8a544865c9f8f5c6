import type { Cell, Key } from './row.ts';
import type { ColumnType } from './schema.ts';

/**
 * The one order of keys, the same for every engine, column by column; NULL before everything (keyless tables only);
 * misfits after everything, among themselves by bytes.
 *
 *   int, decimal, float: by number (NaN greatest) · bool: false, true · date, time, timestamp, instant: by time
 *   all others: by the UTF-8 bytes of the canonical text (never a collation, never UTF-16 order)
 */
export const compareCells = (_type: ColumnType, _a: Cell, _b: Cell): number => {
  throw new Error('not written yet');
};

export const compareKeys = (types: readonly ColumnType[], a: Key, b: Key): number => {
  for (let i = 0; i < types.length; i++) {
    const order = compareCells(types[i]!, a[i]!, b[i]!);
    if (order !== 0) return order;
  }
  return 0;
};
