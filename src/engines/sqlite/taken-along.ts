import { id } from '../sql/quote.ts';
import type { Database } from './database.ts';
import type { Located } from './locate.ts';

/** A foreign key by which deleting a row of a table deletes or changes rows of another. */
export interface Referrer {
  readonly child: string;
  readonly columns: readonly string[];
  readonly referenced: readonly string[];
}

const sql = `
  select m.name, f.id, f."from", coalesce(f."to", (select p.name from pragma_table_info(?1) p where p.pk = f.seq + 1))
  from sqlite_schema m, pragma_foreign_key_list(m.name) f
  where m.type = 'table' and lower(f."table") = lower(?1) and f.on_delete in ('CASCADE', 'SET NULL', 'SET DEFAULT')
  order by m.name, f.id, f.seq`;

/** By the schema as it is now, not as it was when the plan was made. */
export const referrersOf = (db: Database, table: string): readonly Referrer[] => {
  const found = new Map<string, { child: string; columns: string[]; referenced: string[] }>();
  for (const [child, number, from, to] of db.all(sql, table)) {
    const name = `${number} ${child}`;
    const referrer = found.get(name) ?? { child: String(child), columns: [], referenced: [] };
    found.set(name, referrer);
    referrer.columns.push(String(from));
    referrer.referenced.push(String(to));
  }
  return [...found.values()];
};

/** Why a row must not be deleted: other rows still refer to it, and would go or change with it; nobody planned that. */
export const takenAlong = (
  db: Database,
  table: string,
  at: Located,
  referrers: readonly Referrer[],
): string | undefined => {
  for (const { child, columns, referenced } of referrers) {
    const own = child === table;
    const row = db.get(
      `select exists(select 1 from ${id(child)} where (${columns.map(id).join(', ')}) in (select ${referenced.map(id).join(', ')} from ${id(table)} where ${at.where})${own ? ` and not (${at.where})` : ''})`,
      ...at.values,
      ...(own ? at.values : []),
    );
    if (row![0] === 1n) return `rows of ${child} refer to it that the plan does not delete`;
  }
  return undefined;
};
