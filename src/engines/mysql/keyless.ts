import { LockstepError } from '../../model/errors.ts';
import { compareCells } from '../../model/order.ts';
import type { Batch, Row, Text } from '../../model/row.ts';
import type { ColumnType } from '../../model/schema.ts';

/** Most rows that are put in order in memory, where the server cannot make the order. */
const mostSorted = 500_000;

const compareRows = (types: readonly ColumnType[], a: Row, b: Row): number => {
  for (let i = 0; i < types.length; i++) {
    const order = compareCells(types[i]!, a[i]!, b[i]!);
    if (order !== 0) return order;
  }
  return 0;
};

interface Sorting {
  readonly side: string;
  readonly table: string;
}

const tooMany = (o: Sorting, why: string): LockstepError =>
  new LockstepError('KEY_TYPES', `${o.side}: ${o.table} has more than ${mostSorted} rows to be put in order: ${why}`, {
    side: o.side,
    hint: 'Give a key of plain columns (--key), or leave columns out (--exclude).',
  });

/** Orders rows by their first `types.length` cells on our side. */
export const sortRows = async (
  batches: AsyncIterable<Batch<Row>>,
  types: readonly ColumnType[],
  o: Sorting,
): Promise<Row[]> => {
  const rows: Row[] = [];
  for await (const batch of batches) {
    for (const row of batch) rows.push(row);
    if (rows.length > mostSorted)
      throw tooMany(o, 'the database cannot order its key as it is compared (JSON, or a key read as another type)');
  }
  return rows.sort((a, b) => compareRows(types, a, b));
};

/** A table without a key: its distinct rows in the order of all columns, each with how many times it occurs. */
export const countRows = async (
  batches: AsyncIterable<Batch<Row>>,
  types: readonly ColumnType[],
  o: Sorting,
): Promise<Row[]> => {
  const counts = new Map<string, { readonly row: Row; times: number }>();
  for await (const batch of batches) {
    for (const row of batch) {
      const label = JSON.stringify(row);
      const seen = counts.get(label);
      if (seen) seen.times++;
      else counts.set(label, { row, times: 1 });
    }
    if (counts.size > mostSorted) throw tooMany(o, 'it has no key');
  }
  return [...counts.values()]
    .sort((a, b) => compareRows(types, a.row, b.row))
    .map(({ row, times }) => [...row, String(times) as Text]);
};
