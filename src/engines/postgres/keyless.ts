import { LockstepError } from '../../model/errors.ts';
import { compareCells } from '../../model/order.ts';
import type { Batch, Cell, Row, Text } from '../../model/row.ts';
import type { ColumnType } from '../../model/schema.ts';
import type { ColumnSql } from './columns.ts';
import { orderSql } from './key-sql.ts';
import { render } from './render.ts';

/** Most rows that are put in order in memory, where the server cannot make the order. */
export const mostSorted = 500_000;

/** A table without a key as distinct rows with their count, in the order of all columns, NULL first. */
export const distinctRowsSql = (base: string, columns: readonly ColumnSql[]): string => {
  const texts = columns.map((c, i) => `${render(c).sql} as c${i}`);
  const sortable = columns.every((c) => orderSql(c) !== undefined);
  const orders = sortable ? columns.map((c, i) => `${orderSql(c)} as o${i}`) : [];
  const by = [...columns.map((_, i) => `x.c${i}`), ...orders.map((_, i) => `x.o${i}`)];
  const order = orders.length === 0 ? '' : ` order by ${orders.map((_, i) => `x.o${i} nulls first`).join(', ')}`;
  return `select ${columns.map((_, i) => `x.c${i}`).join(', ')}, pg_catalog.count(*) from (select ${[...texts, ...orders].join(', ')} from ${base}) as x group by ${by.join(', ')}${order}`;
};

const compareRows = (types: readonly ColumnType[], a: Row, b: Row): number => {
  for (let i = 0; i < types.length; i++) {
    const order = compareCells(types[i]!, a[i]!, b[i]!);
    if (order !== 0) return order;
  }
  return 0;
};

/**
 * Orders rows by their first `types.length` cells on our side. Rows with the same cells (JSON written in two ways)
 * become one, their last cells, counts, added, when `counted`.
 */
export const sortRows = async (
  batches: AsyncIterable<Batch<Row>>,
  types: readonly ColumnType[],
  counted: boolean,
  o: { readonly side: string; readonly table: string },
): Promise<Row[]> => {
  const rows: Row[] = [];
  for await (const batch of batches) {
    rows.push(...batch);
    if (rows.length > mostSorted) {
      throw new LockstepError(
        'KEY_TYPES',
        `${o.side}: ${o.table} has more than ${mostSorted} rows to be put in an order that the database cannot make (JSON, or a key read as another type)`,
        {
          side: o.side,
          hint: 'Give a key of plain columns (--key), or leave the JSON columns out (--exclude).',
        },
      );
    }
  }
  rows.sort((a, b) => compareRows(types, a, b));
  if (!counted) return rows;
  const merged: Row[] = [];
  for (const row of rows) {
    const previous = merged.at(-1);
    if (previous && compareRows(types, previous, row) === 0) {
      const sum = BigInt(previous.at(-1)!) + BigInt(row.at(-1)!);
      merged[merged.length - 1] = [...previous.slice(0, -1), String(sum) as Text] as readonly Cell[];
    } else merged.push(row);
  }
  return merged;
};
