import { LockstepError } from '../../model/errors.ts';
import { partOf } from '../../model/hash/part-of.ts';
import { compareKeys } from '../../model/order.ts';
import { clip, inRange, unbounded } from '../../model/ranges.ts';
import type { Key, Row } from '../../model/row.ts';
import type { ColumnType } from '../../model/schema.ts';
import type { Partition, Segment, Selection } from '../../model/selected.ts';
import { keyTypes } from '../../model/selection.ts';
import { id, tableId } from '../sql/quote.ts';
import { type ColumnSql, outputsOf } from './columns.ts';
import type { BytesReader } from './decode.ts';
import { exactRangeSql, keyColumnSql, lookups, rangeSql } from './key-sql.ts';

/** One statement of a segment. */
export interface Piece {
  readonly sql: string;
  readonly texts: readonly BytesReader[];
  /** Its own rows: a look-up may find a row of another statement's key, where the database takes the two for the same. */
  readonly keep?: (row: Row) => boolean;
}

/** How a segment is read: statements one after the other, and what our side still has to do. */
export interface ReadPlan {
  readonly pieces: readonly Piece[];
  /** `server`: rows come in key order. `piece`: each statement's few rows are put in order here. `whole`: all of them. */
  readonly order: 'server' | 'piece' | 'whole';
  /** Rows to keep; absent: all. */
  readonly keep?: (row: Row) => boolean;
}

/** The relation to read as `t`: the table, or the part of it that the condition lets through; not yet the range. */
export const baseSql = (selection: Selection): string => {
  const table = tableId(selection.table);
  if (selection.filter === undefined) return `${table} t`;
  const columns = selection.columns.map((c) => id(c.name)).join(', ');
  // The line break ends a comment that the condition may end in.
  return `(select ${columns} from ${table} where (${selection.filter}\n)) t`;
};

/** A ` where` that is the selection's range to the letter; undefined: SQL cannot say it, and rows must be looked at. */
export const rangeWhere = (selection: Selection, columns: readonly ColumnSql[]): string | undefined => {
  const { range, keyWidth } = selection;
  if (range === undefined) return '';
  const keys = columns.slice(0, keyWidth).map(keyColumnSql);
  if (keys.some((k) => k === undefined)) return undefined;
  const said = exactRangeSql(keys as NonNullable<(typeof keys)[number]>[], range.from, range.to);
  return said === undefined ? undefined : said === '' ? '' : ` where ${said}`;
};

/** The types that order a selection's rows: all columns where there is no key. */
export const orderTypes = (selection: Selection): readonly ColumnType[] =>
  selection.keyWidth > 0 ? keyTypes(selection) : selection.columns.map((c) => c.as);

/** Bytes of a row beyond which sorting it whole would fill the server's disk. */
const wideRow = 2000;

/** All rows that `where` lets through, in the order of the keys where there is one. */
const pieceSql = (
  selection: Selection,
  columns: readonly ColumnSql[],
  where: string | undefined,
  orders: readonly string[],
  isView: boolean,
): Piece => {
  const { sql, texts } = outputsOf(columns);
  const condition = where === undefined ? '' : ` where ${where}`;
  if (orders.length === 0) return { sql: `select ${sql} from ${baseSql(selection)}${condition}`, texts };
  const order = ` order by ${orders.join(', ')}`;
  const width = columns.reduce((n, c) => n + Math.min(c.facts.length, 32_765) + (c.outputs.length > 1 ? 8000 : 0), 0);
  const sorted = orders.some((o) => o.includes('('));
  if (!sorted || width <= wideRow || isView || selection.filter !== undefined)
    return { sql: `select ${sql} from ${baseSql(selection)}${condition}${order}`, texts };
  // Firebird 3 sorts whole rows, texts at full length: only the keys are sorted here, and the rows fetched in that order.
  const table = tableId(selection.table);
  return {
    sql: `select ${sql} from (select t.rdb$db_key as dk from ${table} t${condition}${order}) x left join ${table} t on t.rdb$db_key = x.dk`,
    texts,
  };
};

const least = -(2n ** 63n);
const most = 2n ** 63n - 1n;

/** Conditions for parts of an integer key, adjacent ones joined, in order, a hundred to a statement. */
const partConditions = (
  key: string,
  p: Extract<Partition, { by: 'range' }>,
  parts: readonly number[],
): readonly string[] => {
  const sorted = [...new Set(parts)].filter((part) => part >= 0 && part < p.count).sort((a, b) => a - b);
  const runs: [number, number][] = [];
  for (const part of sorted) {
    const last = runs.at(-1);
    if (last && last[1] === part - 1) last[1] = part;
    else runs.push([part, part]);
  }
  const bounds = runs.flatMap(([first, last]) => {
    const from = first === 0 ? least : p.origin + BigInt(first) * p.width;
    const to = last === p.count - 1 ? most : p.origin + BigInt(last + 1) * p.width - 1n;
    if (from > most || to < least || from > to) return [];
    const sides = [
      ...(from > least ? [`${key} >= cast('${from}' as bigint)`] : []),
      ...(to < most ? [`${key} <= cast('${to}' as bigint)`] : []),
    ];
    return [sides.length === 0 ? '1 = 1' : `(${sides.join(' and ')})`];
  });
  const pieces: string[] = [];
  for (let i = 0; i < bounds.length; i += 100) pieces.push(bounds.slice(i, i + 100).join(' or '));
  return pieces;
};

export const keyName = (key: Key): string => JSON.stringify(key);

export const planRead = (
  within: Selection,
  columns: readonly ColumnSql[],
  whole: Segment,
  o: { readonly isView: boolean; readonly ordered: boolean },
): ReadPlan => {
  if (within.range !== undefined && whole.kind === 'parts') {
    // parts are few or found by their hashes: rows outside the range are left out here
    const plan = planRead(unbounded(within), columns, whole, o);
    const types = orderTypes(within);
    const inside = (row: Row): boolean => inRange(types, within.range!, row);
    return { ...plan, keep: (row) => inside(row) && (plan.keep?.(row) ?? true) };
  }
  const segment = clip(within, whole);
  const selection = unbounded(within);
  const width = selection.keyWidth;
  const keys = columns.slice(0, width);
  const keySql = keys.map(keyColumnSql);
  const sortable = width > 0 && keySql.every((k) => k !== undefined);
  const orders = sortable && o.ordered ? keySql.flatMap((k) => k!.orders) : [];
  const order = sortable || !o.ordered ? 'server' : 'whole';
  const types = orderTypes(selection);
  const piece = (where?: string, by = orders): Piece => pieceSql(selection, columns, where, by, o.isView);
  const keyOf = (row: Row): Key => row.slice(0, width);
  if (width === 0 && segment.kind !== 'all')
    throw new LockstepError('INTERNAL', 'a table without a key is read as a whole');
  switch (segment.kind) {
    case 'all':
      return { pieces: [piece()], order };
    case 'range': {
      const { from, to } = segment;
      const where = sortable ? rangeSql(keySql as NonNullable<(typeof keySql)[number]>[], from, to) : undefined;
      return {
        pieces: [piece(where)],
        order,
        keep: (row) =>
          (from === undefined || compareKeys(types, row, from) >= 0) &&
          (to === undefined || compareKeys(types, row, to) < 0),
      };
    }
    case 'keys': {
      const wanted = new Map(segment.keys.map((key) => [keyName(key), key]));
      const sorted = [...wanted.values()].sort((a, b) => compareKeys(types, a, b));
      const found = lookups(keys, sorted);
      const among = (names: ReadonlySet<string>) => (row: Row) => names.has(keyName(keyOf(row)));
      if (found === undefined) return { pieces: [piece()], order, keep: among(new Set(wanted.keys())) };
      const pieces = found.map((l) => ({ ...piece(l.where, []), keep: among(new Set(l.keys.map(keyName))) }));
      return { pieces, order: 'piece' };
    }
    case 'parts':
    case 'text_parts': {
      const { partition, parts } = segment;
      if (parts.length === 0) return { pieces: [], order };
      const inside = new Set(parts);
      const part = partOf(selection, partition);
      const keep = (row: Row): boolean => inside.has(part(row));
      if (partition.by === 'range' && keys[0]!.column.stored.kind === 'int' && order === 'server')
        return { pieces: partConditions(keys[0]!.sorted, partition, parts).map((where) => piece(where)), order, keep };
      return { pieces: [piece()], order, keep };
    }
  }
};
