import type { Change } from '../../model/change.ts';
import { type Table, tableLabel } from '../../model/schema.ts';
import type { ColumnSql } from './columns.ts';
import { keyCondition } from './key-sql.ts';
import { id, literal, tableId } from './quote.ts';
import { render } from './render.ts';
import { rowSink } from './row-sinks.ts';
import { keyLabel, keysPerStatement } from './select.ts';
import type { Session, StatementOptions } from './session.ts';

/** A foreign key by which deleting a row of a table deletes or changes rows of another. */
export interface Referrer {
  readonly name: string;
  readonly child: { readonly schema: string; readonly name: string };
  readonly columns: readonly string[];
  readonly referenced: readonly string[];
}

/** By the catalogue as it is now, not as it was when the plan was made. */
export const referrersOf = async (
  session: Session,
  table: Table,
  at: StatementOptions,
): Promise<readonly Referrer[]> => {
  const rows = await session.query(
    `select k.constraint_name, k.table_schema, k.table_name, k.column_name, k.referenced_column_name
     from information_schema.key_column_usage k
     join information_schema.referential_constraints r
       on r.constraint_schema = k.constraint_schema and r.constraint_name = k.constraint_name and r.table_name = k.table_name
     where k.referenced_table_schema = ${literal(table.schema ?? session.context.config.database)}
       and k.referenced_table_name = ${literal(table.name)} and r.delete_rule in ('CASCADE', 'SET NULL', 'SET DEFAULT')
     order by k.table_schema, k.table_name, k.constraint_name, k.ordinal_position`,
    at,
  );
  const found = new Map<string, { name: string; child: Referrer['child']; columns: string[]; referenced: string[] }>();
  for (const [name, schema, child, column, referenced] of rows) {
    const label = JSON.stringify([schema, child, name]);
    const referrer = found.get(label) ?? {
      name: name!,
      child: { schema: schema!, name: child! },
      columns: [],
      referenced: [],
    };
    found.set(label, referrer);
    referrer.columns.push(column!);
    referrer.referenced.push(referenced!);
  }
  return [...found.values()];
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
  const byKey = new Map(changes.map((c) => [keyLabel(c.key), c]));
  const found = new Map<Change, string>();
  const conditions = changes.flatMap((c) => keyCondition(keys, c.key) ?? []);
  for (const r of referrers) {
    const own = tableId(r.child) === tableId({ schema: session.context.config.database, ...table });
    const on = r.columns.map((name, i) => `c.${id(name)} = t.${id(r.referenced[i]!)}`).join(' and ');
    const children = own ? keys.map((k) => ({ ...k, raw: `c.${id(k.column.name)}` })) : [];
    const rendered = [...keys, ...children].map(render);
    for (let i = 0; i < conditions.length; i += keysPerStatement) {
      const some = conditions.slice(i, i + keysPerStatement).join(' or ');
      const sql = `select ${rendered.map((x) => x.sql).join(', ')} from ${tableId(table)} as t join ${tableId(r.child)} as c on ${on} where (${some})`;
      for await (const rows of session.stream(sql, rowSink(rendered, 1000), at)) {
        for (const row of rows) {
          const change = byKey.get(keyLabel(row.slice(0, keys.length)));
          if (change === undefined || (own && byKey.has(keyLabel(row.slice(keys.length))))) continue;
          found.set(
            change,
            `rows of ${tableLabel(r.child)} refer to it that the plan does not delete (foreign key ${r.name})`,
          );
        }
      }
    }
  }
  return [...found].map(([change, reason]) => ({ change, reason }));
};
