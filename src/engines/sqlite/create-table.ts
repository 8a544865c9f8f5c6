import type { ColumnDefinition, DefaultValue, SchemaBuilder, TableDefinition, TableDraft } from '../../model/build.ts';
import type { ColumnType } from '../../model/schema.ts';
import { madeAgain } from '../sql/draft.ts';
import { id, literal } from '../sql/quote.ts';
import { columnType } from './declared-type.ts';

const sized = (name: string, n: number | undefined): string => (n === undefined ? name : `${name}(${n})`);

/** The declared type that says what a kind of value is; SQLite itself holds anything in any column. */
const declared = (type: ColumnType): string => {
  switch (type.kind) {
    case 'bool':
      return 'BOOLEAN';
    case 'int':
      return 'INTEGER';
    case 'float':
      return 'REAL';
    case 'decimal':
      return type.precision === undefined ? 'NUMERIC' : `NUMERIC(${type.precision},${type.scale ?? 0})`;
    case 'text':
      return type.padded ? sized('CHAR', type.maxLength) : type.maxLength ? `VARCHAR(${type.maxLength})` : 'TEXT';
    case 'bytes':
      return 'BLOB';
    case 'date':
    case 'uuid':
    case 'interval':
      return type.kind.toUpperCase();
    case 'time':
      return sized('TIME', type.fraction === 6 ? undefined : type.fraction);
    case 'timestamp':
      return sized('DATETIME', type.fraction === 6 ? undefined : type.fraction);
    case 'instant':
      return sized('TIMESTAMPTZ', type.fraction === 6 ? undefined : type.fraction);
    case 'json':
      return type.binary ? 'JSONB' : 'JSON';
    default:
      return 'TEXT';
  }
};

/** A declared type may be any text: what is no plain words and numbers is not put into SQL again. */
const isPlain = /^[\p{L}\p{N}_ ,()+-]*$/u;

const typeSql = (c: ColumnDefinition): string =>
  c.native !== undefined && isPlain.test(c.native) ? c.native : declared(c.type);

const defaultSql = (value: DefaultValue | undefined, type: ColumnType): string => {
  if (value === undefined) return '';
  switch (value.kind) {
    case 'now':
      return ` default ${type.kind === 'date' ? 'current_date' : type.kind === 'time' ? 'current_time' : 'current_timestamp'}`;
    case 'today':
      return ' default current_date';
    case 'native':
      return ` default (${value.sql})`;
    case 'value': {
      if (type.kind === 'bool') return ` default ${value.cell === 'true' ? 1 : 0}`;
      if (type.kind === 'bytes') return ` default x'${value.cell}'`;
      return ` default ${type.kind === 'int' || type.kind === 'decimal' || type.kind === 'float' ? value.cell : literal(value.cell)}`;
    }
  }
};

const actions = { cascade: 'cascade', set_null: 'set null', set_default: 'set default' } as const;
const list = (names: readonly string[]): string => names.map(id).join(', ');

const foreignKeysSql = (table: TableDefinition): string[] =>
  table.foreignKeys.map(
    (key) =>
      `foreign key (${list(key.columns)}) references ${id(key.references.name)} (${list(key.referencedColumns)})` +
      (key.onDelete === undefined ? '' : ` on delete ${actions[key.onDelete]}`) +
      (key.onUpdate === undefined ? '' : ` on update ${actions[key.onUpdate]}`) +
      (key.deferrable ? ' deferrable initially deferred' : ''),
  );

/** The column that is the rowid itself: an integer that is the whole primary key. */
const rowidColumn = (table: TableDefinition): ColumnDefinition | undefined => {
  const [only, ...more] = table.primaryKey?.columns ?? [];
  const column = table.columns.find((c) => c.name === only);
  if (more.length > 0 || column === undefined || column.type.kind !== 'int') return undefined;
  return typeSql(column).toUpperCase() === 'INTEGER' ? column : undefined;
};

const columnSql = (c: ColumnDefinition, rowid: ColumnDefinition | undefined): string => {
  const type = typeSql(c);
  if (c === rowid) return `${type} primary key${c.position === undefined ? '' : ' autoincrement'}`;
  const computed = c.expression === undefined ? '' : ` generated always as (${c.expression}) stored`;
  return `${type}${computed}${computed === '' ? defaultSql(c.default, c.type) : ''}${c.nullable ? '' : ' not null'}`;
};

const draft = (table: TableDefinition): TableDraft => {
  const name = id(table.name);
  const rowid = rowidColumn(table);
  const columns = table.columns.map((c) => ({
    name: c.name,
    sql: columnSql(c, rowid).trim(),
    native: typeSql(c),
    type: columnType(typeSql(c)),
  }));
  const parts = [
    ...columns.map((c) => `${id(c.name)} ${c.sql}`),
    ...(table.primaryKey === undefined || rowid !== undefined
      ? []
      : [`primary key (${list(table.primaryKey.columns)})`]),
    ...foreignKeysSql(table),
    ...table.others.flatMap((o) => (o.kind === 'check' && o.again !== undefined ? [o.again] : [])),
  ];
  const identities = table.columns.filter((c) => c.identity !== undefined && c !== rowid);
  return {
    columns,
    create: [{ what: `table ${table.name}`, sql: `create table ${name} (${parts.join(', ')})` }],
    after: [
      ...table.indexes.map((i) => ({
        what: `${i.unique ? 'unique key' : 'index'} ${i.name} of ${table.name}`,
        sql: `create ${i.unique ? 'unique ' : ''}index ${id(i.name)} on ${name} (${list(i.columns)})`,
      })),
      ...madeAgain({ name: table.name, others: table.others.filter((o) => o.kind !== 'check') }, name),
      ...(rowid?.position === undefined
        ? []
        : [
            {
              what: `counter of ${table.name}`,
              sql: `delete from sqlite_sequence where name = ${literal(table.name)}; insert into sqlite_sequence (name, seq) values (${literal(table.name)}, ${rowid.position - 1n})`,
            },
          ]),
    ],
    foreignKeys: table.foreignKeys.map((key) => ({
      what: `foreign key ${key.name} of ${table.name}`,
      sql: `select 1 from pragma_foreign_key_check(${literal(table.name)}) where parent = ${literal(key.references.name)} collate nocase`,
      asks: true as const,
    })),
    notes: identities.map((c) => `${table.name}.${c.name}: SQLite counts only an INTEGER PRIMARY KEY by itself`),
  };
};

/** Where a definition is run: one at a time, in the process of the writer. */
export type Define = (sql: string, o: { readonly signal: AbortSignal }) => Promise<null>;

/** Makes tables. SQLite takes any name but its own. */
export const schemaBuilder = (define: Define): SchemaBuilder => ({
  longestName: 1000,
  indexNames: 'schema',
  refuses: (name) => {
    if (name === '' || name.includes('\0')) return 'it is empty or holds U+0000';
    return /^sqlite_/i.test(name) ? 'names that begin with sqlite_ are SQLite’s own' : undefined;
  },
  draft,
  alter: (table, column, d, how) => {
    const wanted = d.columns.find((c) => c.name === column)!;
    if (how === 'add') return `alter table ${id(table.name)} add column ${id(column)} ${wanted.sql}`;
    const what =
      how === 'type' ? `declared as ${wanted.native}` : how === 'default' ? `as ${wanted.sql}` : 'that may be null';
    return `-- SQLite changes no column: make ${id(table.name)} anew with ${id(column)} ${what}`;
  },
  run: async (statement, o) => {
    await define(statement.sql, o);
  },
});
