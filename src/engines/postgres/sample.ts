import type { Selection } from '../../model/selected.ts';
import { tableId } from '../sql/quote.ts';
import type { ColumnSql } from './columns.ts';
import { render } from './render.ts';
import { rowsOf } from './rows-of.ts';
import { baseSql, rangeCondition } from './select.ts';
import type { Session, StatementOptions } from './session.ts';

const reach = 10;

/**
 * A query for the keys of about `rows` rows, spread over the table. One integer key: the rows that follow points
 * spread over its index. Otherwise a tenth of the rows of ten times as many pages, chosen by place, not by
 * chance, so that a repeat gives the same.
 */
export const sampleSql = async (
  session: Session,
  selection: Selection,
  columns: readonly ColumnSql[],
  rows: number,
  o: StatementOptions,
): Promise<string | undefined> => {
  const keys = columns.slice(0, selection.keyWidth);
  if (keys.length === 0 || rows <= 0) return undefined;
  const outputs = keys.map((c) => render(c).sql).join(', ');
  const base = baseSql(selection, columns);
  const [only] = keys;
  if (keys.length === 1 && only!.column.stored.kind === 'int') {
    const key = only!.value;
    const [bounds] = await session.query(
      `select pg_catalog.min(${key})::pg_catalog.text, pg_catalog.max(${key})::pg_catalog.text from ${base}`,
      undefined,
      o,
    );
    const [min, max] = bounds!;
    if (min == null || max == null) return undefined;
    const from = BigInt(min);
    const span = BigInt(max) - from + 1n;
    const count = span < BigInt(rows) ? span : BigInt(rows);
    // one point in each of as many equal stretches, but never at the same place in two of them: evenly spaced points
    // would see all or none of the rows that differ at regular distances
    const places = 0x10000n;
    const points = Array.from(
      { length: Number(count) },
      (_, i) => from + (span * (BigInt(i) * places + ((BigInt(i) * 40503n) % places))) / (count * places),
    );
    return `select distinct ${outputs.replaceAll(`${only!.raw}`, 'x.k')} from pg_catalog.unnest('{${points.join(',')}}'::pg_catalog.int8[]) as p(at) cross join lateral (select ${only!.raw} as k from ${base} where ${key} >= p.at order by ${only!.raw} limit 1) as x`;
  }
  const [facts] = await session.query(
    `select c.relkind, pg_catalog.greatest(c.reltuples, 0)::pg_catalog.text from pg_catalog.pg_class c where c.oid = pg_catalog.to_regclass($1)`.replace(
      'pg_catalog.greatest',
      'greatest',
    ),
    [tableId(selection.table)],
    o,
  );
  const [kind, estimate] = facts ?? [];
  const known = Number(estimate ?? 0);
  if ((kind !== 'r' && kind !== 'm') || known <= rows * reach || selection.filter !== undefined) {
    return `select ${outputs} from ${base} limit ${rows}`;
  }
  const percent = Math.min(100, (100 * rows * reach) / known);
  const inside = rangeCondition(selection, columns);
  return `select ${outputs} from ${rowsOf(selection.table)} as t tablesample system (${percent}) repeatable (7) where pg_catalog.hashtextextended(t.ctid::pg_catalog.text, 0) % ${reach} = 0${inside === undefined ? '' : ` and ${inside}`}`;
};
