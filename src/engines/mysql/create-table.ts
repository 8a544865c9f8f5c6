import type {
  ColumnDefinition,
  DraftStatement,
  SchemaBuilder,
  TableDefinition,
  TableDraft,
} from '../../model/build.ts';
import type { ForeignKey, TableName } from '../../model/schema.ts';
import { columnNotes, keyColumnsAround, madeAgain, withinRow } from '../sql/draft.ts';
import { type Made, typeOf } from './column-type.ts';
import { defaultSql } from './default-sql.ts';
import { id, tableId } from './quote.ts';
import type { Session, StatementOptions } from './session.ts';

const list = (names: readonly string[]): string => names.map(id).join(', ');
const actions = { cascade: 'cascade', set_null: 'set null', set_default: 'no action' } as const;

/** Bytes that an index takes of a text without a limit. */
const prefix = 191;
/** Bytes that the columns kept in the row itself may take together. */
const longestRow = 60_000;

/** Each column's type; the longest texts leave the row until it is no longer than a row may be. */
const typesOf = (table: TableDefinition, mariadb: boolean): ReadonlyMap<string, Made> => {
  const types = new Map(
    table.columns.map((c): [string, Made] => [
      c.name,
      c.native === undefined
        ? typeOf(c.type, { keyColumns: keyColumnsAround(table, c.name) }, mariadb)
        : { sql: c.native, type: c.type, bytes: 0, long: false },
    ]),
  );
  return withinRow(types, longestRow);
};

/** A column that counts by itself must begin a key. BIGINT UNSIGNED holds more than an `int` does, and counts. */
const counts = (c: ColumnDefinition, table: TableDefinition): boolean =>
  c.identity !== undefined &&
  (c.type.kind === 'int' || /^bigint\b/i.test(c.native ?? '')) &&
  table.primaryKey?.columns[0] === c.name;

const columnSql = (c: ColumnDefinition, made: Made, table: TableDefinition): string => {
  if (c.expression !== undefined) return `${made.sql} generated always as (${c.expression}) stored`;
  const nullable = c.nullable ? (made.type.kind === 'instant' ? ' null' : '') : ' not null';
  return `${made.sql}${nullable}${counts(c, table) ? ' auto_increment' : defaultSql(c.default, made)}`;
};

const foreignKey = (table: TableName, key: ForeignKey): DraftStatement => ({
  what: `foreign key ${key.name} of ${table.name}`,
  sql:
    `alter table ${tableId(table)} add constraint ${id(key.name)} foreign key (${list(key.columns)}) references ${tableId(key.references)} (${list(key.referencedColumns)})` +
    (key.onDelete === undefined ? '' : ` on delete ${actions[key.onDelete]}`) +
    (key.onUpdate === undefined ? '' : ` on update ${actions[key.onUpdate]}`),
});

const notesOf = (table: TableDefinition, types: ReadonlyMap<string, Made>): string[] => [
  ...columnNotes(table, (c) => types.get(c.name)!.note),
  ...table.columns
    .filter((c) => c.identity !== undefined && !counts(c, table))
    .map((c) => `${table.name}.${c.name} does not count by itself: MySQL wants such a column first in the primary key`),
  ...table.indexes
    .filter((i) => !i.unique && i.columns.some((c) => types.get(c)?.long))
    .map((i) => `index ${i.name} of ${table.name} holds only the first ${prefix} characters of its long texts`),
  ...table.foreignKeys
    .filter((k) => k.onDelete === 'set_default' || k.onUpdate === 'set_default')
    .map(
      (k) =>
        `foreign key ${k.name} of ${table.name} refuses where its source sets the default: InnoDB has no such action`,
    ),
];

const draftOf =
  (mariadb: boolean) =>
  (table: TableDefinition): TableDraft => {
    const name = tableId(table);
    const types = typesOf(table, mariadb);
    const columns = table.columns.map((c) => {
      const made = types.get(c.name)!;
      return { name: c.name, sql: columnSql(c, made, table), native: made.sql, type: made.type };
    });
    const position = table.columns.find((c) => counts(c, table))?.position;
    const parts = [
      ...columns.map((c) => `${id(c.name)} ${c.sql}`),
      ...(table.primaryKey === undefined ? [] : [`primary key (${list(table.primaryKey.columns)})`]),
    ];
    return {
      columns,
      create: [
        {
          what: `table ${table.name}`,
          sql: `create table ${name} (${parts.join(', ')}) engine = InnoDB row_format = dynamic default character set utf8mb4${position === undefined ? '' : ` auto_increment = ${position}`}`,
        },
      ],
      after: [
        ...table.indexes.map((i) => ({
          what: `${i.unique ? 'unique key' : 'index'} ${i.name} of ${table.name}`,
          sql: `create ${i.unique ? 'unique ' : ''}index ${id(i.name)} on ${name} (${i.columns.map((c) => `${id(c)}${!i.unique && types.get(c)?.long ? `(${prefix})` : ''}`).join(', ')})`,
        })),
        ...madeAgain(table, name),
        { what: `statistics of ${table.name}`, sql: `analyze table ${name}` },
      ],
      foreignKeys: table.foreignKeys.map((key) => foreignKey(table, key)),
      notes: notesOf(table, types),
    };
  };

const alter: SchemaBuilder['alter'] = (table, column, d, how) => {
  const wanted = d.columns.find((c) => c.name === column)!;
  const sql = how === 'nullable' ? `${wanted.native} null` : wanted.sql;
  return `alter table ${tableId(table)} ${how === 'add' ? 'add' : 'modify'} column ${id(column)} ${sql}`;
};

/** Makes tables, in InnoDB, texts compared by their bytes. A name keeps 64 characters, none of them beyond U+FFFF. */
export const schemaBuilder = (x: {
  readonly mariadb: boolean;
  lend(o: { readonly signal: AbortSignal }): Promise<Session>;
  release(session: Session): Promise<void>;
}): SchemaBuilder => ({
  longestName: 64,
  indexNames: 'table',
  refuses: (name) => {
    if (name === '' || name.includes('\0') || name.endsWith(' ')) return 'it is empty, holds U+0000 or ends in a blank';
    if (/[\ud800-\udfff]/.test(name)) return 'MySQL has no names with characters beyond U+FFFF';
    return name.length > 64 ? 'it has more than the 64 characters of MySQL' : undefined;
  },
  draft: draftOf(x.mariadb),
  alter,
  run: async (statement, o) => {
    const at: StatementOptions = { signal: o.signal, doing: `making ${statement.what}`, privilege: 'create' };
    const session = await x.lend(o);
    try {
      // without it a first TIMESTAMP column would set itself; servers that cannot change it have it on
      await session.raw('set session explicit_defaults_for_timestamp = 1', at).catch(() => {});
      await session.query(statement.sql, at);
    } finally {
      await x.release(session);
    }
  },
});
