import { LockstepError } from '../../model/errors.ts';
import { compareKeys } from '../../model/order.ts';
import type { Batch, Row, Text } from '../../model/row.ts';
import { type ColumnType, tableLabel } from '../../model/schema.ts';
import type { Selection } from '../../model/selected.ts';

const batchRows = 1000;

/** Most rows that are put in order in memory, where the server cannot make the order. */
export const mostSorted = 500_000;

export const tooManyToSort = (side: string, selection: Selection): LockstepError =>
  new LockstepError(
    'KEY_TYPES',
    `${side}: ${tableLabel(selection.table)} has more than ${mostSorted} rows to be put in an order that the database cannot make (no key, or a key read as another type)`,
    { side, hint: 'Give a key of plain columns (--key).' },
  );

/** Rows in the order of all columns, each distinct one with how often it occurs. */
export async function* distinctRows(
  batches: AsyncIterable<readonly Row[]>,
  types: readonly ColumnType[],
): AsyncGenerator<Batch<Row>> {
  let out: Row[] = [];
  let current: Row | undefined;
  let count = 0;
  for await (const rows of batches) {
    for (const row of rows) {
      if (current && compareKeys(types, current, row) === 0) {
        count++;
        continue;
      }
      if (current) out.push([...current, String(count) as Text]);
      [current, count] = [row, 1];
    }
    if (out.length >= batchRows) {
      yield out;
      out = [];
    }
  }
  if (current) out.push([...current, String(count) as Text]);
  if (out.length > 0) yield out;
}
