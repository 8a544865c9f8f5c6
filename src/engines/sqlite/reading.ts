import { isMisfit } from '../../model/canon/misfit.ts';
import { type RowHasher, rowHasher } from '../../model/hash/row-hash.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import type { HashBatch } from '../../model/reader.ts';
import type { Key, Row, Text } from '../../model/row.ts';
import type { Segment, Selection } from '../../model/selected.ts';
import { id } from '../sql/quote.ts';
import { findTable, rowidName } from './catalogue.ts';
import type { Database } from './database.ts';
import { isRowid, type Orders, orderOf } from './read-plan.ts';
import { type Meter, type Slots, scanRows, whereOf } from './scan.ts';

/** What reads share: one connection inside one snapshot. */
export interface Snapshot {
  readonly db: Database;
  readonly slots: Slots;
  readonly orders: Orders;
}

const all: Segment = { kind: 'all' };
const unmetered = (): Meter => ({ rows: 0, bytes: 0, sql: '', pace: () => {} });

/** Row hashes from canonical cells, the slow and obviously right way. */
export function* hashesOfRows(
  s: Snapshot,
  selection: Selection,
  segment: Segment,
  hash: HashSpec,
  meter: Meter,
): Generator<HashBatch> {
  const hasher = rowHasher(selection.columns, selection.keyWidth, hash);
  for (const rows of scanRows(s.db, s.slots, s.orders, selection, segment, meter))
    yield hashBatch(selection, rows, hasher);
}

const hashBatch = (selection: Selection, rows: readonly Row[], hasher: RowHasher): HashBatch => {
  const hashes = new Int32Array(rows.length * 2);
  rows.forEach((row, i) => {
    hasher.hash(row);
    hashes[2 * i] = hasher.out[0]!;
    hashes[2 * i + 1] = hasher.out[1]!;
  });
  const width = selection.keyWidth || selection.columns.length;
  const int = selection.keyWidth === 1 && selection.columns[0]!.as.kind === 'int' && !rows.some((r) => isMisfit(r[0]!));
  return {
    count: rows.length,
    hashes,
    keys: int
      ? { kind: 'int64', values: BigInt64Array.from(rows, (row) => BigInt(row[0]!)) }
      : { kind: 'keys', values: rows.map((row) => row.slice(0, width)) },
  };
};

/** The exact number of rows that a selection reads. */
export const countRows = (s: Snapshot, selection: Selection): { rows: number; sql: string } => {
  const sql = `select count(*) from ${id(selection.table.name)}${whereOf(selection, { sql: '', values: [] })}`;
  return { rows: Number(s.db.get(sql)![0]), sql };
};

const onlyKey = (selection: Selection): Selection => ({
  ...selection,
  columns: selection.columns.slice(0, selection.keyWidth),
});

/** About `rows` keys, at even distances over the rowids; over the whole table where there are none. */
export const sampleKeys = (s: Snapshot, selection: Selection, rows: number): readonly Key[] => {
  if (selection.keyWidth === 0 || rows < 1) return [];
  const rowid = rowidName(findTable(s.db, selection.table.name));
  const key = onlyKey(selection);
  const condition =
    rowid !== undefined && selection.filter === undefined
      ? rowidPicks(s.db, selection.table.name, rowid, rows)
      : undefined;
  if (condition?.length === 0) return [];
  if (condition !== undefined && selection.columns[0]!.as.kind === 'int' && isRowid(s, selection))
    return condition.map((n): Key => [String(n) as Text]);
  const picked: Selection =
    condition === undefined
      ? { ...key, filter: stride(s, selection, rows) }
      : { ...key, filter: `${rowid} in (${condition.join(', ')})` };
  return [...scanRows(s.db, s.slots, s.orders, picked, all, unmetered())].flat();
};

/** Rowids at even distances, ascending: each the first at or behind one of the numbers that are looked for. */
const rowidPicks = (db: Database, table: string, rowid: string, rows: number): bigint[] => {
  const [min] = db.get(`select min(${rowid}) from ${id(table)}`)!;
  const [max] = db.get(`select max(${rowid}) from ${id(table)}`)!;
  if (typeof min !== 'bigint' || typeof max !== 'bigint') return [];
  const span = max - min + 1n;
  const n = BigInt(Math.min(rows, 5000));
  const wanted = Array.from({ length: Number(n) }, (_, i) => min + (span * (2n * BigInt(i) + 1n)) / (2n * n));
  const first = `select ${rowid} from ${id(table)} where ${rowid} >= lockstep_wanted.value order by ${rowid} limit 1`;
  return db
    .all(`select distinct (${first}) from json_each(?) as lockstep_wanted`, `[${wanted.join(',')}]`)
    .flatMap(([found]) => (typeof found === 'bigint' ? [found] : []));
};

/** Keeps one row in so many, by chance: the table has no numbers to aim at. */
const stride = (s: Snapshot, selection: Selection, rows: number): string => {
  const step = Math.max(1, Math.floor(countRows(s, selection).rows / rows));
  const chance = `random() % ${step} = 0`;
  return selection.filter === undefined ? chance : `(${selection.filter}\n) and ${chance}`;
};

/** Least and greatest key of a single integer key; misfits apart. */
export const keyBounds = (s: Snapshot, selection: Selection): { min: bigint; max: bigint } | undefined => {
  const order = orderOf(s.db, selection, s.orders);
  if (order.plain) {
    const from = `from ${id(selection.table.name)}${whereOf(selection, { sql: '', values: [] })}`;
    const k = id(selection.columns[0]!.name);
    const [min, max] = s.db.get(`select (select min(${k}) ${from}), (select max(${k}) ${from})`)!;
    return typeof min === 'bigint' && typeof max === 'bigint' ? { min, max } : undefined;
  }
  let min: bigint | undefined;
  let max: bigint | undefined;
  for (const rows of scanRows(s.db, s.slots, s.orders, onlyKey(selection), all, unmetered())) {
    for (const [cell] of rows) {
      if (cell === null || cell === undefined || isMisfit(cell)) continue;
      max = BigInt(cell);
      min ??= max;
    }
  }
  return min === undefined || max === undefined ? undefined : { min, max };
};
