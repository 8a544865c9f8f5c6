import { LockstepError } from '../../model/errors.ts';
import { type Table, tableLabel } from '../../model/schema.ts';
import { nativeSelection } from '../../model/selection.ts';
import { likePattern, type RowDialect } from '../sql/row-sql.ts';
import { type ColumnSql, columnsSql, type TableFacts } from './columns.ts';
import { isPossible, isStorableText, matchSql } from './key-sql.ts';
import { render } from './render.ts';
import { rowsOf } from './rows-of.ts';
import { textArray } from './select.ts';
import { castSql } from './write-sql.ts';

export interface RowColumn extends ColumnSql {
  readonly nullable: boolean;
}

/** Times with a zone are bound as UTC whatever the session's zone is: a pooler may have given us another one. */
export const boundSql = (c: ColumnSql, place: string): string =>
  c.column.stored.kind === 'instant'
    ? `(${place}::pg_catalog.timestamp at time zone 'UTC')`
    : c.column.stored.kind === 'int'
      ? `${place}::pg_catalog.int8`
      : c.facts.typeName === 'float4'
        ? `${place}::pg_catalog.float8`
        : castSql(c, place);

/** Kinds whose own order is that of their type, by operators that an index serves. */
const ordered = new Set([
  'int',
  'decimal',
  'float',
  'bool',
  'text',
  'enum',
  'bytes',
  'uuid',
  'date',
  'time',
  'timestamp',
  'instant',
  'interval',
  'bit',
]);

const isOrdered = (c: ColumnSql): boolean => {
  const { kind } = c.column.stored;
  return ordered.has(kind) && (c.facts.builtin || kind === 'enum' || kind === 'text');
};

/** How PostgreSQL writes what is asked of a table's rows. */
export const rowDialect = (
  table: Table,
  key: readonly string[],
  facts: TableFacts,
  side: string,
): { readonly dialect: RowDialect<RowColumn, string>; readonly all: readonly RowColumn[] } => {
  const selection = nativeSelection({ ...table, columns: table.columns.filter((c) => !c.unreadable) }, key);
  // values, not spellings
  const plain = { ...selection, columns: selection.columns.map(({ exact: _, ...c }) => c) };
  const all = columnsSql(plain, facts, side).map(
    (c): RowColumn => ({ ...c, nullable: table.columns.find((x) => x.name === c.column.name)!.nullable }),
  );
  const byName = new Map(all.map((c) => [c.column.name, c]));
  const dialect: RowDialect<RowColumn, string> = {
    from: `${rowsOf(table)} as t`,
    column: (name) => {
      const found = byName.get(name);
      if (!found)
        throw new LockstepError('COLUMN_NOT_FOUND', `${side}: ${tableLabel(table)} has no column ${name}`, { side });
      return found;
    },
    nullable: (c) => c.nullable,
    raw: (c) => c.raw,
    outputs: (c) => [render(c).sql],
    order: (c) => (isOrdered(c) ? c.raw : undefined),
    equals: (c, value, bind) => {
      if (!isPossible(c, value)) return undefined;
      return c.column.stored.kind === 'instant' ? `${c.raw} = ${boundSql(c, bind(value))}` : matchSql(c, bind(value));
    },
    in: (c, values, bind) => {
      const possible = values.filter((value) => isPossible(c, value));
      const list = `${bind(textArray(possible))}::pg_catalog.text[]`;
      const { kind } = c.column.stored;
      if (c.facts.builtin && (kind === 'int' || kind === 'uuid'))
        return `${c.raw} = any (${list}::${kind === 'int' ? 'pg_catalog.int8' : 'pg_catalog.uuid'}[])`;
      if (kind === 'text' && c.facts.exactEquality) return `${c.raw} = any (${list})`;
      if (kind === 'enum') return `${c.raw} = any (${list}::${c.facts.castTo}[])`;
      const one = kind === 'instant' ? `${c.raw} = ${boundSql(c, 'x.v')}` : matchSql(c, 'x.v');
      return `exists (select from pg_catalog.unnest(${list}) as x(v) where ${one})`;
    },
    compare: (c, operator, value, bind) =>
      isPossible(c, value) ? `${c.raw} ${operator} ${boundSql(c, bind(value))}` : undefined,
    like: (c, parts, bind) =>
      c.column.stored.kind === 'text' && parts.every(isStorableText)
        ? `${c.value} collate "C" like ${bind(likePattern(parts))}`
        : undefined,
    ordered: (_, expression, descending) => `${expression}${descending ? ' desc' : ''}`,
    first: (select, limit) => `${select} limit ${limit}`,
    number: (n, bind) => `${bind(String(n))}::pg_catalog.int8`,
  };
  return { dialect, all };
};

/** Stands for every cell of the row as it is: the first half of the SHA-256 of their texts. */
export const tagSql = (all: readonly RowColumn[]): string =>
  `pg_catalog.encode(pg_catalog.substring(pg_catalog.sha256(pg_catalog.textsend(row(${all
    .map((c) => render(c).sql)
    .join(', ')})::pg_catalog.text)), 1, 16), 'hex')`;
