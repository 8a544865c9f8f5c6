import { compareDates } from './canon/date.ts';
import { compareDecimals } from './canon/decimal.ts';
import { compareFloats } from './canon/float.ts';
import { isMisfit } from './canon/misfit.ts';
import { compareTexts } from './canon/text.ts';
import { compareTimestamps } from './canon/timestamp.ts';
import type { Cell, Key } from './row.ts';
import type { ColumnType } from './schema.ts';

/**
 * The one order of keys, the same for every engine, column by column; NULL before everything (keyless tables only);
 * misfits after everything, among themselves by bytes.
 *
 *   int, decimal, float: by number (NaN greatest) · bool: false, true · date, time, timestamp, instant: by time
 *   all others: by the UTF-8 bytes of the canonical text (never a collation, never UTF-16 order)
 */
export const compareCells = (type: ColumnType, a: Cell, b: Cell): number => {
  if (a === b) return 0;
  if (a === null) return -1;
  if (b === null) return 1;
  const odd = isMisfit(a);
  if (odd !== isMisfit(b)) return odd ? 1 : -1;
  if (odd) return compareTexts(a, b);
  switch (type.kind) {
    case 'int':
    case 'decimal':
      return compareDecimals(a, b);
    case 'float':
      return compareFloats(a, b);
    case 'date':
      return compareDates(a, b);
    case 'timestamp':
    case 'instant':
      return compareTimestamps(a, b);
    // ASCII of one shape: JavaScript's order is the order of bytes.
    case 'bool':
    case 'time':
    case 'uuid':
    case 'bytes':
    case 'bit':
      return a < b ? -1 : 1;
    default:
      return compareTexts(a, b);
  }
};

export const compareKeys = (types: readonly ColumnType[], a: Key, b: Key): number => {
  for (let i = 0; i < types.length; i++) {
    const order = compareCells(types[i]!, a[i]!, b[i]!);
    if (order !== 0) return order;
  }
  return 0;
};
