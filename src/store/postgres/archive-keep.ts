import type { Agreed } from '../../model/archive.ts';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import { keyBytes, keyOfBytes } from '../../model/key-bytes.ts';
import type { Batch, Key, Text } from '../../model/row.ts';
import type { BaseCell, BaseRow } from '../../model/two-way.ts';
import type { Lock } from '../stored-values.ts';
import type { ArchiveTable } from './archive-hashes.ts';
import { archiveKeys, integerOf } from './archive-keys.ts';
import type { Connection, Rows } from './database.ts';
import { plainText } from './values.ts';

/** Rows per statement. */
const atOnce = 4000;

/** The cells after the key. Of a value that is not kept, an object with its hash. */
const jsonOf = (cells: readonly BaseCell[], width: number): string => JSON.stringify(cells.slice(width));

/**
 * Rows are found by their keys in the index, in the rest of this transaction: the planner takes a thousand keys for so many
 * rows that it would read the whole table for them.
 */
export const byIndex = async (connection: Connection, o: Cancel): Promise<void> => {
  const off = ['seqscan', 'hashjoin', 'mergejoin'].map((way) => `set local enable_${way} to off`);
  await connection.query(off.join('; '), [], o);
};

/** A key as a row of the archive has it. */
const nameOf = (table: ArchiveTable, key: Key): Rows[number] => {
  const k = integerOf(table, key);
  return k === undefined ? { k: null, key: keyBytes(table.keyTypes, key) } : { k, key: null };
};

/** What cells are encrypted for. */
export const cellsPlace = (table: ArchiveTable, row: Rows[number], column: string): string =>
  `${table.name} ${row['k'] === null ? (row['key'] as Buffer).toString('hex') : BigInt(row['k'] as string)} ${column}`;

/** Both sides' last agreed rows, out of the archive. */
export const baseOf = (table: ArchiveTable, row: Rows[number]): { readonly key: Key; readonly base: BaseRow } => {
  const key = row['k'] === null ? keyOfBytes(table.keyTypes, row['key'] as Buffer) : [row['k'] as string as Text];
  const source = [...key, ...(JSON.parse(row['cells'] as string) as BaseCell[])];
  const target =
    row['target_cells'] === null ? source : [...key, ...(JSON.parse(row['target_cells'] as string) as BaseCell[])];
  return { key, base: { source, target, at: Number(row['at']), run: row['run'] as string } };
};

/** The numbers that stand for runs and times. */
const stampsOf = async (
  connection: Connection,
  archive: number,
  rows: readonly BaseRow[],
  o: Cancel,
): Promise<(base: BaseRow) => number> => {
  const byRun = new Map<string, Map<number, number>>();
  const stamps: { readonly run: string; readonly at: number }[] = [];
  for (const { run, at } of rows) {
    const times = byRun.get(run) ?? new Map<number, number>();
    if (times.size === 0) byRun.set(run, times);
    if (times.has(at)) continue;
    times.set(at, 0);
    stamps.push({ run, at });
  }
  const found = await connection.query(
    `with x as (select * from unnest($2::text[], $3::bigint[]) with ordinality as x (run, at, place)),
     made as (insert into lockstep_control.archive_stamp (archive, run, at) select $1, run, at from x
       on conflict (archive, run, at) do nothing returning n, run, at)
     select place, n from x join (select * from made
       union all select n, run, at from lockstep_control.archive_stamp where archive = $1) s using (run, at)`,
    [archive, stamps.map((s) => plainText(s.run)), stamps.map((s) => s.at)],
    o,
  );
  for (const row of found) {
    const { run, at } = stamps[Number(row['place']) - 1]!;
    byRun.get(run)!.set(at, row['n'] as number);
  }
  return ({ run, at }) => byRun.get(run)!.get(at)!;
};

type Kept = Agreed & { readonly base: BaseRow; readonly source: bigint; readonly target: bigint };

const isKept = (row: Agreed): row is Kept => {
  if (row.base === null) return false;
  if (row.source === null || row.target === null) {
    throw new LockstepError('INTERNAL', 'a row that both sides agreed on has the hash of one side only');
  }
  return true;
};

/** An array of numbers as PostgreSQL reads it: said at once, which the driver would do one by one. */
const numbers = (values: readonly (string | number | bigint)[]): string => `{${values.join(',')}}`;

const bytesArray = (values: readonly Buffer[]): string =>
  `{${values.map((b) => `"\\\\x${b.toString('hex')}"`).join(',')}}`;

/** Between JSON texts, which have no character like it. */
const separator = '\u001e';

const columnsOf = (
  table: ArchiveTable,
  rows: readonly Kept[],
  stamp: (base: BaseRow) => number,
): readonly unknown[] => {
  const width = table.keyTypes.length;
  const kept = (column: string, texts: readonly string[]) => (lock: Lock) =>
    texts
      .map((text, i) => (text === '' ? '' : lock.text(text, cellsPlace(table, nameOf(table, rows[i]!.key), column))))
      .join(separator);
  const cells = rows.map(({ base }) => jsonOf(base.source, width));
  // an empty one: the same as the source's
  const others = rows.map(({ base }, i) => {
    if (base.target === base.source) return '';
    const other = jsonOf(base.target, width);
    return other === cells[i] ? '' : other;
  });
  return [
    numbers(rows.map((r) => r.keyHash)),
    numbers(rows.map((r) => r.source)),
    numbers(rows.map((r) => r.target)),
    numbers(rows.map(({ base }) => stamp(base))),
    kept('cells', cells),
    others.every((text) => text === '') ? null : kept('target_cells', others),
  ];
};

const columns = 'key_hash, source_hash, target_hash, stamp, cells, target_cells';
const values = `$1::bigint[], $2::bigint[], $3::bigint[], $4::integer[],
         string_to_array($5, e'\\x1e'), string_to_array($6, e'\\x1e', '')`;
const assignments = `source_hash = x.source_hash, target_hash = x.target_hash, stamp = x.stamp, cells = x.cells,
       target_cells = x.target_cells`;

const write = async (
  connection: Connection,
  table: ArchiveTable,
  rows: readonly Kept[],
  stamp: (base: BaseRow) => number,
  o: Cancel,
) => {
  const integers = rows.filter((r) => integerOf(table, r.key) !== undefined);
  if (integers.length > 0)
    await connection.query(
      `insert into ${table.name} as t (${columns}, k) select * from unnest(${values}, $7::bigint[]) as x
       on conflict (k) where k is not null do update set key_hash = excluded.key_hash,
         ${assignments.replaceAll('x.', 'excluded.')}`,
      [...columnsOf(table, integers, stamp), numbers(integers.map((r) => r.key[0]!))],
      o,
    );
  const others = rows.filter((r) => integerOf(table, r.key) === undefined);
  if (others.length > 0)
    await connection.query(
      `with x as (select * from unnest(${values}, $7::bytea[]) as x (${columns}, key)),
       old as (update ${table.name} as t set ${assignments} from x
         where t.k is null and substring(t.key, 1, 1000) = substring(x.key, 1, 1000) and t.key = x.key returning t.key)
       insert into ${table.name} (${columns}, key) select ${columns}, key from x where key not in (select key from old)`,
      [...columnsOf(table, others, stamp), bytesArray(others.map((r) => keyBytes(table.keyTypes, r.key)))],
      o,
    );
};

const remove = async (connection: Connection, table: ArchiveTable, keys: readonly Key[], o: Cancel) => {
  const { integers, bytes } = archiveKeys(table, keys);
  if (integers.length > 0)
    await connection.query(`delete from ${table.name} where k = any ($1::bigint[])`, [integers], o);
  if (bytes.length > 0)
    await connection.query(
      `delete from ${table.name} where k is null and substring(key, 1, 1000) = any ($1::bytea[]) and key = any ($2::bytea[])`,
      [bytes.map((b) => b.subarray(0, 1000)), bytes],
      o,
    );
};

/** Writes what was agreed, in the transaction of the connection. */
export const keepAgreed = async (
  connection: Connection,
  archive: number,
  table: ArchiveTable,
  agreed: Batch<Agreed>,
  o: Cancel,
): Promise<void> => {
  // the last of each key
  const last = new Map(agreed.map((row) => [JSON.stringify(row.key), row]));
  const all = [...last.values()];
  const kept = all.filter(isKept);
  const gone = all.filter((row) => row.base === null).map((row) => row.key);
  const stamp = await stampsOf(
    connection,
    archive,
    kept.map((r) => r.base),
    o,
  );
  await byIndex(connection, o);
  for (let i = 0; i < kept.length; i += atOnce) await write(connection, table, kept.slice(i, i + atOnce), stamp, o);
  for (let i = 0; i < gone.length; i += atOnce) await remove(connection, table, gone.slice(i, i + atOnce), o);
};
