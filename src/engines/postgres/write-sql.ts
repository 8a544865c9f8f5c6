import type { Table } from '../../model/schema.ts';
import { id, tableId } from '../sql/quote.ts';
import type { ColumnSql } from './columns.ts';
import { matchSql, orderSql } from './key-sql.ts';
import { render } from './render.ts';
import { rowsOf } from './rows-of.ts';

/** The statements of one batch. Parameters are text arrays, one per column, so that a statement serves any number of rows. */

/** Text to the column's type. Casts carry no length or scale: the assignment to the column checks those and refuses. */
export const castSql = (c: ColumnSql, k: string): string => {
  if (c.column.stored.kind === 'bytes') return `pg_catalog.decode(${k}, 'hex')`;
  if (c.facts.builtin && c.facts.typeName === 'money') return `${k}::pg_catalog.numeric::pg_catalog.money`;
  return `${k}::${c.facts.castTo}`;
};

const arrays = (from: number, count: number): string =>
  Array.from({ length: count }, (_, i) => `$${from + i}::pg_catalog.text[]`).join(', ');
const names = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${prefix}${i}`);
const cells = (columns: readonly ColumnSql[]): string => columns.map((c) => render(c).sql).join(', ');
const matches = (keys: readonly ColumnSql[]): string => keys.map((c, i) => `(${matchSql(c, `k.k${i}`)})`).join(' and ');

const typedArrays = new Set(
  'int2 int4 int8 numeric float4 float8 bool uuid date time timestamp timestamptz jsonb text varchar bpchar'.split(' '),
);

/** The type of an array parameter whose elements are the column's cells: its own where that has no surprises, else text. */
const arrayOf = (c: ColumnSql): string =>
  c.facts.builtin && typedArrays.has(c.facts.typeName) ? `${c.facts.castTo}[]` : 'pg_catalog.text[]';
const typed = (from: number, columns: readonly ColumnSql[]): string =>
  columns.map((c, i) => `$${from + i}::${arrayOf(c)}`).join(', ');

/** The statement of a batch and nothing else: what the bench measures guard and read-back against. */
export const bareSql = (
  op: 'insert' | 'update' | 'delete',
  table: Table,
  keys: readonly ColumnSql[],
  written: readonly ColumnSql[],
): string => {
  if (op === 'insert') return insertOf(table, written, typed(1, written));
  const of = `unnest(${typed(1, [...keys, ...written])}) as k(${[...names('k', keys.length), ...names('c', written.length)].join(', ')}) where ${matches(keys)}`;
  if (op === 'delete') return `delete from ${rowsOf(table)} as t ${ofKeys(keys, 'using')}`;
  const set = written.map((c, i) => `${id(c.column.name)} = ${castSql(c, `k.c${i}`)}`).join(', ');
  return `update ${rowsOf(table)} as t set ${set} from ${of}`;
};

const summed = (statement: string): string =>
  `with written as (${statement}) select pg_catalog.count(*)::pg_catalog.text, pg_catalog.sum(hash)::pg_catalog.text from written`;

/**
 * Statements that guard and read back by row hashes (`rowHash`, of the row as `t`): each answers with the number of
 * rows it wrote and the sum of their hashes.
 */
export const hashedInsertSql = (table: Table, written: readonly ColumnSql[], rowHash: string): string =>
  summed(`${insertOf(table, written, typed(1, written))} returning ${rowHash} as hash`);

/** Keys in $1…, hashes of the rows as they must be after those, values last. */
export const hashedUpdateSql = (
  table: Table,
  keys: readonly ColumnSql[],
  written: readonly ColumnSql[],
  rowHash: string,
): string => {
  const set = written.map((c, i) => `${id(c.column.name)} = ${castSql(c, `k.c${i}`)}`).join(', ');
  const given = [...names('k', keys.length), 'hash', ...names('c', written.length)];
  const values = written.length === 0 ? '' : `, ${typed(keys.length + 2, written)}`;
  // not as an equality: a join on the hash would hash rows that are none of ours
  return summed(
    `update ${rowsOf(table)} as t set ${set} from unnest(${typed(1, keys)}, $${keys.length + 1}::pg_catalog.int8[]${values}) as k(${given.join(', ')}) where ${matches(keys)} and (${rowHash} # k.hash) = 0 returning ${rowHash} as hash`,
  );
};

/**
 * A key of one column whose equality is an operator of its index: many keys are then looked up in one walk through it.
 */
export const inOneWalk = (keys: readonly ColumnSql[]): boolean => {
  const [c] = keys;
  return (
    keys.length === 1 &&
    c!.facts.builtin &&
    (['int2', 'int4', 'int8', 'uuid'].includes(c!.facts.typeName) ||
      (['text', 'varchar'].includes(c!.facts.typeName) && c!.facts.exactEquality))
  );
};

/** Rows of the keys in $1…, as the rest of `from t …`. */
const ofKeys = (keys: readonly ColumnSql[], joined: 'using' | ','): string =>
  inOneWalk(keys)
    ? `where ${keys[0]!.raw} = any ($1::${keys[0]!.facts.castTo}[])`
    : `${joined} unnest(${typed(1, keys)}) as k(${names('k', keys.length).join(', ')}) where ${matches(keys)}`;

/** The hashes are those of the rows that went. */
export const hashedDeleteSql = (table: Table, keys: readonly ColumnSql[], rowHash: string): string =>
  summed(`delete from ${rowsOf(table)} as t ${ofKeys(keys, 'using')} returning ${rowHash} as hash`);

/** How many rows there are under the keys in $1…, and the sum of their hashes. */
export const hashedRowsSql = (table: Table, keys: readonly ColumnSql[], rowHash: string): string =>
  `select pg_catalog.count(*)::pg_catalog.text, pg_catalog.sum(${rowHash})::pg_catalog.text from ${rowsOf(table)} as t${inOneWalk(keys) ? ' ' : ''}${ofKeys(keys, ',')}`;

/** COPY reads the text of these columns' values as a cast does. */
export const takesCopy = (table: Table, written: readonly ColumnSql[]): boolean =>
  table.kind === 'table' && written.every((c) => c.facts.builtin && typedArrays.has(c.facts.typeName));

export const copySql = (table: Table, written: readonly ColumnSql[]): string =>
  `copy ${tableId(table)} (${written.map((c) => id(c.column.name)).join(', ')}) from stdin`;

/** The rows of the keys in $1…, as they are now; locked, in key order, when they are to be written. */
export const currentRowsSql = (table: Table, columns: readonly ColumnSql[], width: number, lock: boolean): string => {
  const keys = columns.slice(0, width);
  const orders = keys.map(orderSql);
  const order = orders.every((x) => x !== undefined) ? ` order by ${orders.join(', ')}` : '';
  return `select ${cells(columns)} from unnest(${arrays(1, width)}) as k(${names('k', width).join(', ')}) join ${rowsOf(table)} as t on ${matches(keys)}${order}${lock ? ' for update of t' : ''}`;
};

const insertOf = (table: Table, written: readonly ColumnSql[], given: string): string => {
  const listed = written.map((c) => id(c.column.name)).join(', ');
  const values = written.map((c, i) => castSql(c, `k.c${i}`)).join(', ');
  const override = table.columns.some((c) => c.generated === 'identity') ? ' overriding system value' : '';
  return `insert into ${tableId(table)} as t (${listed})${override} select ${values} from unnest(${given}) as k(${names('c', written.length).join(', ')})`;
};

/** Inserts the columns `written`, values in $1…; returns the rows as stored. */
export const insertSql = (table: Table, columns: readonly ColumnSql[], written: readonly ColumnSql[]): string =>
  `${insertOf(table, written, arrays(1, written.length))} returning ${cells(columns)}`;

/** Updates the columns `written`: keys in $1…, values after them; returns the rows as stored. */
export const updateSql = (
  table: Table,
  columns: readonly ColumnSql[],
  width: number,
  written: readonly ColumnSql[],
): string => {
  const set = written.map((c, i) => `${id(c.column.name)} = ${castSql(c, `k.c${i}`)}`).join(', ');
  const given = [...names('k', width), ...names('c', written.length)];
  return `update ${rowsOf(table)} as t set ${set} from unnest(${arrays(1, given.length)}) as k(${given.join(', ')}) where ${matches(columns.slice(0, width))} returning ${cells(columns)}`;
};

export const deleteSql = (table: Table, columns: readonly ColumnSql[], width: number): string =>
  `delete from ${rowsOf(table)} as t using unnest(${arrays(1, width)}) as k(${names('k', width).join(', ')}) where ${matches(columns.slice(0, width))}`;

/** A value that no row has, for the time between two updates; undefined: none can be made up. */
const parkedValue = (table: Table, c: ColumnSql, nullable: boolean): string | undefined => {
  if (nullable) return 'null';
  const column = id(c.column.name);
  const { stored } = c.column;
  const edge = (f: string): string => `(select pg_catalog.${f}(x.${column}) from ${rowsOf(table)} as x)`;
  switch (stored.kind) {
    case 'int':
    case 'decimal':
      return `(least(${edge('min')}::pg_catalog.numeric, 0) - k.ord)::${c.facts.castTo}`;
    case 'text':
      return `pg_catalog.left(pg_catalog.md5('lockstep ' || k.ord::pg_catalog.text || ' ' || pg_catalog.pg_current_xact_id()::pg_catalog.text), ${stored.maxLength ?? 32})::${c.facts.castTo}`;
    case 'uuid':
      return 'pg_catalog.gen_random_uuid()';
    case 'date':
      return `(${edge('max')} + k.ord::pg_catalog.int4)`;
    case 'timestamp':
    case 'instant':
      return `(${edge('max')} + k.ord * interval '1 day')`;
    default:
      return undefined;
  }
};

/**
 * Moves the unique columns among `written` out of the way, so that rows can then exchange their values: PostgreSQL
 * checks a unique key row by row, not when the statement ends. Undefined: nothing unique is written, or nothing can
 * be parked.
 */
export const parkSql = (
  table: Table,
  columns: readonly ColumnSql[],
  width: number,
  written: readonly ColumnSql[],
): string | undefined => {
  const unique = new Set(table.uniques.flatMap((u) => u.columns));
  const sets: string[] = [];
  for (const c of written) {
    if (!unique.has(c.column.name)) continue;
    const nullable = table.columns.find((x) => x.name === c.column.name)?.nullable ?? false;
    const value = parkedValue(table, c, nullable);
    if (value === undefined) return undefined;
    sets.push(`${id(c.column.name)} = ${value}`);
  }
  if (sets.length === 0) return undefined;
  return `update ${rowsOf(table)} as t set ${sets.join(', ')} from unnest(${arrays(1, width)}) with ordinality as k(${names('k', width).join(', ')}, ord) where ${matches(columns.slice(0, width))}`;
};
