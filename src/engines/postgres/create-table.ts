import type {
  ColumnDefinition,
  DefaultValue,
  DraftStatement,
  SchemaBuilder,
  TableDefinition,
  TableDraft,
} from '../../model/build.ts';
import type { ColumnType, ForeignKey, TableName } from '../../model/schema.ts';
import { columnNotes, madeAgain } from '../sql/draft.ts';
import { id, literal, tableId } from '../sql/quote.ts';
import type { Room } from '../sql/room.ts';
import { ownSchema } from './inspect.ts';
import type { Session, StatementOptions } from './session.ts';

interface Made {
  readonly sql: string;
  readonly type: ColumnType;
  readonly note?: string;
}

const longestVarchar = 10_485_760;
const mostDigits = 1000;

const text = (type: Extract<ColumnType, { kind: 'text' }>): Made => {
  const { maxLength, padded } = type;
  if (maxLength === undefined || maxLength < 1 || maxLength > longestVarchar)
    return { sql: 'text', type: { kind: 'text' } };
  return padded
    ? { sql: `char(${maxLength})`, type }
    : { sql: `varchar(${maxLength})`, type: { kind: 'text', maxLength } };
};

const decimal = (type: Extract<ColumnType, { kind: 'decimal' }>): Made => {
  const { precision, scale = 0 } = type;
  const held = precision !== undefined && precision >= 1 && precision <= mostDigits && Math.abs(scale) <= mostDigits;
  return held
    ? { sql: `numeric(${precision},${scale})`, type: { kind: 'decimal', precision, scale, special: true } }
    : { sql: 'numeric', type: { kind: 'decimal', special: true } };
};

const moment = (name: string, type: Extract<ColumnType, { fraction: number }>): Made => ({
  sql: type.fraction >= 6 ? name : `${name}(${type.fraction})`,
  type,
});

const integers = { 16: 'smallint', 32: 'integer', 64: 'bigint' } as const;

/** The type that holds every value of a kind. */
const typeOf = (type: ColumnType): Made => {
  switch (type.kind) {
    case 'bool':
      return { sql: 'boolean', type };
    case 'bytes':
      return { sql: 'bytea', type };
    case 'date':
    case 'uuid':
    case 'interval':
      return { sql: type.kind, type };
    case 'bit':
      return { sql: 'bit varying', type };
    case 'int':
      return { sql: integers[type.bits], type };
    case 'float':
      return { sql: type.bits === 32 ? 'real' : 'double precision', type };
    case 'decimal':
      return decimal(type);
    case 'text':
      return text(type);
    case 'time':
    case 'timestamp':
      return moment(type.kind, type);
    case 'instant':
      return moment('timestamptz', type);
    case 'json':
      return { sql: type.binary ? 'jsonb' : 'json', type };
    case 'enum':
      return {
        sql: 'text',
        type: { kind: 'text' },
        note: `is text: PostgreSQL will not check that it is one of its ${type.labels.length} labels`,
      };
    case 'opaque':
      return { sql: 'text', type: { kind: 'text' } };
  }
};

const made = (c: ColumnDefinition): Made => (c.native === undefined ? typeOf(c.type) : { sql: c.native, type: c.type });

const defaultSql = (value: DefaultValue | undefined, type: ColumnType): string => {
  if (value === undefined) return '';
  switch (value.kind) {
    case 'now':
      return type.kind === 'date' ? ' default current_date' : ' default current_timestamp';
    case 'today':
      return ' default current_date';
    case 'native':
      return ` default ${value.sql}`;
    case 'value':
      if (type.kind === 'bytes') return ` default '\\x${value.cell}'`;
      return ` default ${literal(value.cell)}`;
  }
};

const columnSql = (c: ColumnDefinition): string => {
  const { sql, type } = made(c);
  if (c.expression !== undefined) return `${sql} generated always as (${c.expression}) stored`;
  const identity =
    c.identity === undefined
      ? ''
      : ` generated ${c.identity === 'always' ? 'always' : 'by default'} as identity${c.position === undefined ? '' : ` (start with ${c.position})`}`;
  return `${sql}${identity === '' ? defaultSql(c.default, type) : identity}${c.nullable ? '' : ' not null'}`;
};

/** An enum of the source's own is made again under its own name, unless something has it. */
const enumTypes = (table: TableDefinition): DraftStatement[] =>
  table.columns.flatMap((c) =>
    c.native === undefined || c.type.kind !== 'enum'
      ? []
      : [
          {
            what: `type ${c.native}`,
            sql: `do ${literal(`begin create type ${c.native} as enum (${c.type.labels.map(literal).join(', ')}); exception when duplicate_object then null; end`)}`,
          },
        ],
  );

const actions = { cascade: 'cascade', set_null: 'set null', set_default: 'set default' } as const;
const list = (names: readonly string[]): string => names.map(id).join(', ');

const foreignKey = (table: TableName, key: ForeignKey): DraftStatement => ({
  what: `foreign key ${key.name} of ${table.name}`,
  sql:
    `alter table ${tableId(table)} add constraint ${id(key.name)} foreign key (${list(key.columns)}) references ${tableId(key.references)} (${list(key.referencedColumns)})` +
    (key.matchFull ? ' match full' : '') +
    (key.onDelete === undefined ? '' : ` on delete ${actions[key.onDelete]}`) +
    (key.onUpdate === undefined ? '' : ` on update ${actions[key.onUpdate]}`) +
    (key.deferrable ? ' deferrable' : '') +
    (key.deferred ? ' initially deferred' : ''),
});

const withSchema = /^(?:"(?:[^"]|"")*"|[^".]+)\./;

/** Types of the user's own are named with their schema: the first one of the session's path is pg_catalog. */
const qualified = (table: TableDefinition): TableDefinition => ({
  ...table,
  columns: table.columns.map((c) =>
    c.native === undefined || c.type.kind !== 'enum' || table.schema === undefined || withSchema.test(c.native)
      ? c
      : { ...c, native: `${id(table.schema)}.${c.native}` },
  ),
});

const draft = (plain: TableDefinition): TableDraft => {
  const table = qualified(plain);
  const name = tableId(table);
  const columns = table.columns.map((c) => ({
    name: c.name,
    sql: columnSql(c),
    native: made(c).sql,
    type: made(c).type,
  }));
  const { primaryKey } = table;
  return {
    columns,
    create: [
      ...(table.schema === undefined
        ? []
        : [{ what: `schema ${table.schema}`, sql: `create schema if not exists ${id(table.schema)}` }]),
      ...enumTypes(table),
      {
        what: `table ${table.name}`,
        sql: `create table ${name} (${columns.map((c) => `${id(c.name)} ${c.sql}`).join(', ')})`,
      },
    ],
    after: [
      ...(primaryKey === undefined
        ? []
        : [
            {
              what: `primary key of ${table.name}`,
              sql: `alter table ${name} add constraint ${id(primaryKey.name)} primary key (${list(primaryKey.columns)})`,
            },
          ]),
      ...table.indexes.map((i) => ({
        what: `${i.unique ? 'unique key' : 'index'} ${i.name} of ${table.name}`,
        sql: i.unique
          ? `alter table ${name} add constraint ${id(i.name)} unique (${list(i.columns)})`
          : `create index ${id(i.name)} on ${name} (${list(i.columns)})`,
      })),
      ...madeAgain(table, name),
      { what: `statistics of ${table.name}`, sql: `analyze ${name}` },
    ],
    foreignKeys: table.foreignKeys.map((key) => foreignKey(table, key)),
    notes: columnNotes(table, (c) => made(c).note),
  };
};

const alter: SchemaBuilder['alter'] = (table, column, d, how) => {
  const wanted = d.columns.find((c) => c.name === column)!;
  switch (how) {
    case 'add':
      return `alter table ${tableId(table)} add column ${id(column)} ${wanted.sql}`;
    case 'type':
      return `alter table ${tableId(table)} alter column ${id(column)} type ${wanted.native} using ${id(column)}::${wanted.native}`;
    case 'default':
      return `alter table ${tableId(table)} alter column ${id(column)} set${/ default .*$/s.exec(wanted.sql)?.[0].replace(/ not null$/, '') ?? ' default null'}`;
    case 'nullable':
      return `alter table ${tableId(table)} alter column ${id(column)} drop not null`;
  }
};

/** Makes tables. A name keeps 63 bytes of UTF-8 and no U+0000. */
export const schemaBuilder = (room: Room<Session>): SchemaBuilder => ({
  longestName: 63,
  indexNames: 'schema',
  refuses: (name) => {
    if (name === '' || name.includes('\0')) return 'it is empty or holds U+0000';
    if (!name.isWellFormed()) return 'it is not valid Unicode';
    return Buffer.byteLength(name) > 63 ? 'it has more than the 63 bytes of PostgreSQL' : undefined;
  },
  draft,
  alter,
  unknownTypes: async (natives, o) => {
    const at: StatementOptions = { signal: o.signal, doing: 'looking for the types of the tables to be made' };
    const session = await room.lendInTurn(o);
    try {
      await session.begin('read', at);
      const rows = await session.query(
        'select t from pg_catalog.unnest($1::text[]) t where pg_catalog.to_regtype(t) is null',
        [natives],
        at,
      );
      return rows.map(([type]) => type!);
    } finally {
      await session.rollback();
      await room.keep(session);
    }
  },
  run: async (statement, o) => {
    const at: StatementOptions = {
      signal: o.signal,
      doing: `making ${statement.what}`,
      table: `schema ${ownSchema}`,
      privilege: 'create',
    };
    const session = await room.lendInTurn(o);
    try {
      await session.begin('write', at);
      await session.query(statement.sql, undefined, at);
      await session.query('commit', undefined, at);
    } finally {
      await session.rollback();
      await room.keep(session);
    }
  },
});
