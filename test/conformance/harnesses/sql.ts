import type { ColumnType } from '../../../src/model/schema.ts';
import type { Edit, KitRow, KitTable } from '../harness.ts';

/** What differs between SQL databases when the kit makes tables. */
export interface Dialect {
  type(type: ColumnType): string;
  literal(type: ColumnType, text: string): string;
  readonly serial: string;
  readonly identity: string;
  /** How an identifier is quoted; absent: as the standard says. */
  id?(name: string): string;
  /** An insert of nothing but defaults; absent: as the standard says. */
  readonly defaults?: string;
}

export const id = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const idOf = (d: Dialect): ((name: string) => string) => d.id ?? id;
export const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

const value = (d: Dialect, table: KitTable, column: string, text: string | null): string =>
  text === null ? 'null' : d.literal(table.columns.find((c) => c.name === column)!.type, text);

const insert = (
  d: Dialect,
  table: KitTable,
  columns: readonly string[],
  rows: readonly (readonly (string | null)[])[],
): string =>
  columns.length === 0
    ? `insert into ${idOf(d)(table.name)} ${d.defaults ?? 'default values'}`
    : `insert into ${idOf(d)(table.name)} (${columns.map(idOf(d)).join(', ')}) values ${rows
        .map((row) => `(${row.map((text, i) => value(d, table, columns[i]!, text)).join(', ')})`)
        .join(', ')}`;

/** Statements that make a table and fill it. */
export const createTable = (d: Dialect, table: KitTable): string[] => {
  const id = idOf(d);
  const columns = table.columns.map((c) => {
    if (c.serial) return `${id(c.name)} ${c.serial === 'identity' ? d.identity : d.serial}`;
    const generated = c.generated ? ` generated always as (${c.generated.sql}) stored` : '';
    return `${id(c.name)} ${d.type(c.type)}${c.nullable ? '' : ' not null'}${generated}`;
  });
  const keys =
    table.key.length > 0 && !columns.some((c) => c.includes('primary key'))
      ? [`primary key (${table.key.map(id).join(', ')})`]
      : [];
  const uniques = (table.unique ?? []).map((u) => `unique (${u.map(id).join(', ')})`);
  const checks = table.check ? [`check (${table.check.sql})`] : [];
  const given = table.columns.flatMap((c, i) => (c.generated || c.serial === 'identity' ? [] : [i]));
  const statements = [`create table ${id(table.name)} (${[...columns, ...keys, ...uniques, ...checks].join(', ')})`];
  for (let i = 0; i < table.rows.length; i += 500) {
    const rows = table.rows.slice(i, i + 500).map((row) => given.map((j) => row[j]!));
    statements.push(
      insert(
        d,
        table,
        given.map((j) => table.columns[j]!.name),
        rows,
      ),
    );
  }
  return statements;
};

const equals = (d: Dialect, table: KitTable, row: KitRow): string =>
  Object.entries(row)
    .map(([name, text]) =>
      text === null ? `${idOf(d)(name)} is null` : `${idOf(d)(name)} = ${value(d, table, name, text)}`,
    )
    .join(' and ');

/** Statements for what another connection does. */
export const editStatements = (d: Dialect, table: KitTable, edit: Edit): string[] => {
  const id = idOf(d);
  if ('insert' in edit) return edit.insert.map((row) => insert(d, table, Object.keys(row), [Object.values(row)]));
  if ('delete' in edit) return [`delete from ${id(table.name)} where ${equals(d, table, edit.delete)}`];
  const set = Object.entries(edit.update).map(([name, text]) => `${id(name)} = ${value(d, table, name, text)}`);
  return [`update ${id(table.name)} set ${set.join(', ')} where ${equals(d, table, edit.where)}`];
};
