import { partOf } from '../../model/hash/part-of.ts';
import { compareKeys } from '../../model/order.ts';
import type { Key } from '../../model/row.ts';
import type { Segment, Selection } from '../../model/selected.ts';
import { keyTypes } from '../../model/selection.ts';
import { keyBefore, keyFrom } from '../sql/keyset.ts';
import { id } from '../sql/quote.ts';
import { findTable } from './catalogue.ts';
import type { Bind, Database } from './database.ts';
import { type KeyOrder, keyBinds, keyOrder } from './key-order.ts';

/** A condition in SQL with its values. */
export interface Condition {
  readonly sql: string;
  readonly values: readonly Bind[];
}

/**
 * How a segment is read: a `from … where …` without columns and order, one after the other, plus a test in
 * JavaScript for what SQL cannot decide.
 */
export interface ReadPlan {
  readonly order: KeyOrder;
  /** Conditions, each a piece of the segment; pieces are in key order and do not overlap. */
  readonly pieces: readonly Condition[];
  /** Keys of canonical cells to keep; absent: all. */
  readonly keep?: (key: Key) => boolean;
  /** The pieces are one row each, looked up by key: the rows must be sorted afterwards when the order is not plain. */
  readonly lookup: boolean;
}

const everything: Condition = { sql: '', values: [] };

/** Key order and facts are asked once per selection of a snapshot. */
export type Orders = Map<string, KeyOrder>;

export const orderOf = (db: Database, selection: Selection, orders: Orders): KeyOrder => {
  const name = JSON.stringify([selection.table, selection.columns.slice(0, selection.keyWidth)]);
  let order = orders.get(name);
  if (order === undefined) {
    order = keyOrder(db, selection, findTable(db, selection.table.name));
    orders.set(name, order);
  }
  return order;
};

/** Is the key the rowid, so that a range of it is read alone? */
export const isRowid = (s: { readonly db: Database; readonly orders: Orders }, selection: Selection): boolean =>
  selection.keyWidth === 1 &&
  selection.columns[0]!.name === findTable(s.db, selection.table.name).rowidAlias &&
  orderOf(s.db, selection, s.orders).plain;

/** The types that order a selection's keys: all columns where there is no key. */
export const orderTypes = (selection: Selection): ReturnType<typeof keyTypes> =>
  selection.keyWidth > 0 ? keyTypes(selection) : selection.columns.map((c) => c.as);

export const planRead = (db: Database, selection: Selection, segment: Segment, orders: Orders): ReadPlan => {
  const order = orderOf(db, selection, orders);
  switch (segment.kind) {
    case 'all':
      return { order, pieces: [everything], lookup: false };
    case 'range':
      return planRange(db, selection, segment, order);
    case 'keys':
      return planKeys(db, selection, segment.keys, order);
    case 'parts':
    case 'text_parts':
      return planParts(selection, segment, order);
  }
};

const planRange = (
  db: Database,
  selection: Selection,
  { from, to }: Extract<Segment, { kind: 'range' }>,
  order: KeyOrder,
): ReadPlan => {
  const lower = from && order.plain ? keyBinds(selection, from, db) : undefined;
  const upper = to && order.plain ? keyBinds(selection, to, db) : undefined;
  const parts: string[] = [];
  const values: Bind[] = [];
  const compare =
    (binds: readonly { sql: string; value: Bind }[]) =>
    (column: number, operator: string): string => {
      values.push(binds[column]!.value);
      return `${order.expressions[column]} ${operator} ${binds[column]!.sql}`;
    };
  if (lower) parts.push(keyFrom(selection.keyWidth, compare(lower)));
  if (upper) parts.push(keyBefore(selection.keyWidth, compare(upper)));
  const condition: Condition = { sql: parts.map((p) => `(${p})`).join(' and '), values };
  const done = (from === undefined || lower !== undefined) && (to === undefined || upper !== undefined);
  if (done) return { order, pieces: [condition], lookup: false };
  const types = orderTypes(selection);
  return {
    order,
    pieces: [condition],
    lookup: false,
    keep: (key) =>
      (from === undefined || compareKeys(types, key, from) >= 0) &&
      (to === undefined || compareKeys(types, key, to) < 0),
  };
};

const sameKey = (key: Key): string => JSON.stringify(key);

const planKeys = (db: Database, selection: Selection, keys: readonly Key[], order: KeyOrder): ReadPlan => {
  const wanted = new Map(keys.map((key) => [sameKey(key), key]));
  if (order.plain && order.indexed) {
    const types = orderTypes(selection);
    const pieces = [...wanted.values()]
      .sort((a, b) => compareKeys(types, a, b))
      .map((key) => keyBinds(selection, key, db))
      .filter((binds) => binds !== undefined)
      .map((binds): Condition => {
        // The column's own collation finds the row by an index; the binary one decides.
        const sql = binds.map(
          (b, i) => `${id(selection.columns[i]!.name)} = ${b.sql} and ${order.expressions[i]} = ${b.sql}`,
        );
        return { sql: sql.join(' and '), values: binds.flatMap((b) => [b.value, b.value]) };
      });
    return { order, pieces, lookup: true };
  }
  return { order, pieces: [everything], lookup: false, keep: (key) => wanted.has(sameKey(key)) };
};

const least = -(2n ** 63n);
const most = 2n ** 63n - 1n;

const planParts = (
  selection: Selection,
  { partition, parts }: Extract<Segment, { kind: 'parts' | 'text_parts' }>,
  order: KeyOrder,
): ReadPlan => {
  const wanted = new Set(parts);
  if (partition.by !== 'range' || !order.plain) {
    const part = partOf(selection, partition);
    return { order, pieces: [everything], lookup: false, keep: (key) => wanted.has(part(key)) };
  }
  const { origin, width, count } = partition;
  const sorted = [...wanted].filter((p) => p >= 0 && p < count).sort((a, b) => a - b);
  const runs: [number, number][] = [];
  for (const p of sorted) {
    const last = runs.at(-1);
    if (last && last[1] === p - 1) last[1] = p;
    else runs.push([p, p]);
  }
  const k = order.expressions[0]!;
  const pieces = runs.map(([first, last]): Condition => {
    const sql: string[] = [];
    const values: bigint[] = [];
    const from = first === 0 ? least : origin + BigInt(first) * width;
    const to = last === count - 1 ? most + 1n : origin + BigInt(last + 1) * width;
    if (from > most || to <= least) return { sql: '0', values: [] };
    if (from > least) {
      sql.push(`${k} >= ?`);
      values.push(from);
    }
    if (to <= most) {
      sql.push(`${k} < ?`);
      values.push(to);
    }
    return { sql: sql.join(' and '), values };
  });
  return { order, pieces, lookup: false };
};
