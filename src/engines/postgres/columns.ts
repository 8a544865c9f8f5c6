import { LockstepError } from '../../model/errors.ts';
import { type ColumnType, type TableName, tableLabel } from '../../model/schema.ts';
import type { SelectedColumn, Selection } from '../../model/selected.ts';
import { id, tableId } from '../sql/quote.ts';
import type { Session, StatementOptions } from './session.ts';

/** What SQL about a column must know beyond its model type; domains already resolved. */
export interface ColumnFacts {
  /** Quoted type name without modifier: a cast to it never cuts. */
  readonly castTo: string;
  readonly typeName: string;
  /** The type is one of PostgreSQL's own, not of an extension or user. */
  readonly builtin: boolean;
  /** The column's own order is that of the UTF-8 bytes, so its index serves. */
  readonly binaryOrder: boolean;
  /** The server's own bytes are UTF-8 (or anything, in SQL_ASCII), so that its byte order is ours. */
  readonly utf8: boolean;
  /** `=` is exactly sameness of text. */
  readonly exactEquality: boolean;
}

export type TableFacts = ReadonlyMap<string, ColumnFacts>;

const factsQuery = `
with recursive base as (
  select a.attname, a.attcollation, t.oid, t.typtype, t.typbasetype
  from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
  where a.attrelid = pg_catalog.to_regclass($1) and a.attnum > 0 and not a.attisdropped
  union all
  select b.attname, b.attcollation, t.oid, t.typtype, t.typbasetype
  from base b join pg_catalog.pg_type t on t.oid = b.typbasetype where b.typtype = 'd'
)
select b.attname, n.nspname, t.typname,
       (case
          when c.oid is null then true
          when c.collname in ('C', 'POSIX', 'ucs_basic', 'pg_c_utf8') and c.collnamespace = 'pg_catalog'::pg_catalog.regnamespace then true
          when c.collname = 'default' then coalesce(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c') = 'b'
            or (coalesce(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c') = 'c' and d.datcollate in ('C', 'POSIX'))
          else false
        end)::text,
       coalesce(c.collisdeterministic, true)::text,
       (pg_catalog.pg_encoding_to_char(d.encoding) in ('UTF8', 'SQL_ASCII'))::text
from base b
join pg_catalog.pg_type t on t.oid = b.oid
join pg_catalog.pg_namespace n on n.oid = t.typnamespace
left join pg_catalog.pg_collation c on c.oid = b.attcollation
cross join (select * from pg_catalog.pg_database where datname = pg_catalog.current_database()) d
where b.typtype <> 'd'`;

const exactTypes = new Set([
  'text',
  'varchar',
  'char',
  'name',
  'bool',
  'int2',
  'int4',
  'int8',
  'oid',
  'numeric',
  'money',
  'float4',
  'float8',
  'uuid',
  'bytea',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'bit',
  'varbit',
  'jsonb',
]);

/** Reads the facts of one table's columns. Throws TABLE_NOT_FOUND. */
export const tableFacts = async (session: Session, table: TableName, o: StatementOptions): Promise<TableFacts> => {
  const rows = await session.query(factsQuery, [tableId(table)], o);
  if (rows.length === 0) {
    throw new LockstepError('TABLE_NOT_FOUND', `${session.context.name}: there is no table ${tableLabel(table)}`, {
      side: session.context.name,
      hint: 'Was it renamed or dropped meanwhile, or is its schema hidden from this role?',
    });
  }
  return new Map(
    rows.map(([name, schema, type, binary, deterministic, utf8]) => {
      const builtin = schema === 'pg_catalog';
      return [
        name!,
        {
          castTo: `${id(schema!)}.${id(type!)}`,
          typeName: type!,
          builtin,
          binaryOrder: binary === 'true' && utf8 === 'true',
          utf8: utf8 === 'true',
          exactEquality: builtin ? exactTypes.has(type!) && deterministic === 'true' : false,
        },
      ];
    }),
  );
};

/** One selected column, ready to be put into SQL. */
export interface ColumnSql {
  readonly column: SelectedColumn;
  readonly facts: ColumnFacts;
  /** The column itself, quoted and qualified by the relation's alias `t`. */
  readonly raw: string;
  /** The column as the type the model sees (money as numeric, citext as text, …). */
  readonly value: string;
}

const modelled = (raw: string, facts: ColumnFacts, stored: ColumnType): string => {
  if (facts.builtin) {
    if (facts.typeName === 'money') return `${raw}::pg_catalog.numeric`;
    if (facts.typeName === 'oid') return `${raw}::pg_catalog.int8`;
    if (facts.typeName === 'float4') return `${raw}::pg_catalog.float8`;
  }
  if (stored.kind === 'text' && facts.typeName !== 'text') return `${raw}::pg_catalog.text`;
  return raw;
};

/** Joins a selection's columns with what the catalogue says of them. Throws COLUMN_NOT_FOUND. */
export const columnsSql = (selection: Selection, facts: TableFacts, side: string, alias = 't'): readonly ColumnSql[] =>
  selection.columns.map((column) => {
    const f = facts.get(column.name);
    if (!f) {
      throw new LockstepError(
        'COLUMN_NOT_FOUND',
        `${side}: ${tableLabel(selection.table)} has no column ${column.name}`,
        {
          side,
          hint: 'Was it renamed or dropped meanwhile?',
        },
      );
    }
    const raw = `${alias}.${id(column.name)}`;
    return { column, facts: f, raw, value: modelled(raw, f, column.stored) };
  });
