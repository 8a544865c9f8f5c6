import type { Change } from '../../model/change.ts';
import { type Table, tableLabel } from '../../model/schema.ts';
import { id, tableId } from '../sql/quote.ts';
import type { ColumnSql } from './columns.ts';
import { matchSql } from './key-sql.ts';
import { preparedHere } from './pooler.ts';
import { rowsOf } from './rows-of.ts';
import { textArray } from './select.ts';
import type { Session, StatementOptions } from './session.ts';

/** A foreign key by which deleting a row of a table deletes or changes rows of another. */
export interface Referrer {
  readonly name: string;
  readonly child: { readonly schema: string; readonly name: string };
  readonly columns: readonly string[];
  readonly referenced: readonly string[];
}

const named = (relation: string, numbers: string): string =>
  `(select pg_catalog.json_agg(a.attname order by k.n) from unnest(${numbers}) with ordinality as k(attnum, n) join pg_catalog.pg_attribute a on a.attrelid = ${relation} and a.attnum = k.attnum)::pg_catalog.text`;

/** By the catalogue as it is now, not as it was when the plan was made. */
export const referrersOf = async (
  session: Session,
  table: Table,
  at: StatementOptions,
): Promise<readonly Referrer[]> => {
  const rows = await preparedHere(
    session,
    'lockstep_referrers',
    `select c.conname, n.nspname, r.relname, ${named('c.conrelid', 'c.conkey')}, ${named('c.confrelid', 'c.confkey')}
     from pg_catalog.pg_constraint c
     join pg_catalog.pg_class r on r.oid = c.conrelid
     join pg_catalog.pg_namespace n on n.oid = r.relnamespace
     where c.contype = 'f' and c.confrelid = pg_catalog.to_regclass($1) and c.conparentid = 0 and c.confdeltype in ('c', 'n', 'd')
     order by c.conname`,
    [tableId(table)],
    at,
  );
  return rows.map(([name, schema, child, columns, referenced]) => ({
    name: name!,
    child: { schema: schema!, name: child! },
    columns: JSON.parse(columns!) as string[],
    referenced: JSON.parse(referenced!) as string[],
  }));
};

/**
 * Rows to be deleted that rows outside the batch still refer to: they would go or change with it, and nobody planned
 * that. The rows are locked, so that no reference to them can come until the transaction ends.
 */
export const takenAlong = async (
  session: Session,
  table: Table,
  keys: readonly ColumnSql[],
  changes: readonly Change[],
  referrers: readonly Referrer[],
  at: StatementOptions,
): Promise<readonly { readonly change: Change; readonly reason: string }[]> => {
  const found = new Map<Change, string>();
  const names = keys.map((_, i) => `k${i}`);
  const arrays = keys.map((_, i) => `$${i + 1}::pg_catalog.text[]`).join(', ');
  const values = keys.map((_, i) => textArray(changes.map((c) => c.key[i]!)));
  const on = keys.map((c, i) => `(${matchSql(c, `k.k${i}`)})`).join(' and ');
  const batch = `unnest(${arrays}) with ordinality as k(${[...names, 'ord'].join(', ')}) join ${rowsOf(table)} as t on ${on}`;
  for (const r of referrers) {
    const child = tableId(r.child);
    const same = r.columns.map((name, i) => `c.${id(name)} = t.${id(r.referenced[i]!)}`).join(' and ');
    const own =
      child === tableId(table)
        ? ` and not exists (select from ${batch} where t.tableoid = c.tableoid and t.ctid = c.ctid)`
        : '';
    const rows = await session.query(
      `select distinct k.ord::pg_catalog.text from ${batch} join ${child} as c on ${same} where true${own}`,
      values,
      at,
    );
    for (const [ord] of rows) {
      found.set(
        changes[Number(ord) - 1]!,
        `rows of ${tableLabel(r.child)} refer to it that the plan does not delete (foreign key ${r.name})`,
      );
    }
  }
  return [...found].map(([change, reason]) => ({ change, reason }));
};
