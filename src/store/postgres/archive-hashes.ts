import type { ArchiveHashes, ArchivePlaces } from '../../model/archive.ts';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import { keyOfBytes } from '../../model/key-bytes.ts';
import type { ColumnType } from '../../model/schema.ts';
import type { Partition } from '../../model/selected.ts';
import { archiveKeys } from './archive-keys.ts';
import type { Database, Rows } from './database.ts';

/** Rows per statement. */
const page = 16_384;

const least = -(2n ** 63n);
const greatest = 2n ** 63n - 1n;

/** Where the rows of an archive are. */
export interface ArchiveTable {
  readonly name: string;
  readonly keyTypes: readonly ColumnType[];
  readonly integerKey: boolean;
}

/** Big-endian 64-bit numbers, as their halves. */
const halvesOf = (bytes: Buffer): Int32Array => {
  const copy = Buffer.alloc(bytes.length);
  bytes.copy(copy);
  copy.swap32();
  return new Int32Array(copy.buffer, copy.byteOffset, copy.length / 4);
};

const int64Of = (bytes: Buffer): BigInt64Array => {
  const copy = new BigInt64Array(bytes.length / 8);
  const view = Buffer.from(copy.buffer);
  bytes.copy(view);
  view.swap64();
  return copy;
};

const packed = `string_agg(int8send(source_hash), '') as s, string_agg(int8send(target_hash), '') as t`;

const unordered = (): LockstepError => new LockstepError('INTERNAL', 'rows of an archive did not arrive in key order');

/** Key ranges of some parts, first and last key inclusive, adjacent ones together; unbounded ones go to the end of int64. */
const rangesOf = (
  p: Extract<Partition, { by: 'range' }>,
  parts: readonly number[],
): { readonly low: bigint[]; readonly high: bigint[] } => {
  const low: bigint[] = [];
  const high: bigint[] = [];
  for (const part of [...parts].sort((a, b) => a - b)) {
    const from = part === 0 ? least : p.origin + BigInt(part) * p.width;
    const to = part === p.count - 1 ? greatest : p.origin + BigInt(part + 1) * p.width - 1n;
    if (to < least || from > greatest) continue;
    const start = from < least ? least : from;
    const end = to > greatest ? greatest : to;
    if (high.length > 0 && high[high.length - 1]! + 1n === start) high[high.length - 1] = end;
    else {
      low.push(start);
      high.push(end);
    }
  }
  return { low, high };
};

const integersOf = (row: Rows[number]): { readonly hashes: ArchiveHashes; readonly last: bigint } => {
  const values = int64Of(row['k'] as Buffer);
  for (let i = 1; i < values.length; i++) if (values[i]! <= values[i - 1]!) throw unordered();
  return {
    hashes: {
      count: values.length,
      keys: { kind: 'int64', values },
      source: halvesOf(row['s'] as Buffer),
      target: halvesOf(row['t'] as Buffer),
    },
    last: values[values.length - 1]!,
  };
};

/** Keys of one integer, in ranges of them, in order. `where`: more conditions. */
async function* integers(
  database: Database,
  table: ArchiveTable,
  ranges: { low: bigint[]; high: bigint[] },
  where: { readonly sql: string; readonly values: readonly unknown[] },
  o: Cancel,
): AsyncGenerator<ArchiveHashes> {
  let { low, high } = ranges;
  while (low.length > 0) {
    const [row] = await database.query(
      // a join by ranges in their order: each is read in the order of the index, and no more than a page of all
      `select string_agg(int8send(k), '') as k, ${packed} from (
         select x.* from unnest($1::bigint[], $2::bigint[]) with ordinality as r (low, high, n)
         cross join lateral (select k, source_hash, target_hash from ${table.name}
           where k is not null and k >= r.low and k <= r.high ${where.sql} order by k limit ${page}) x
         limit ${page}) page`,
      [low.map(String), high.map(String), ...where.values],
      o,
    );
    if (row?.['k'] == null) return;
    const { hashes, last } = integersOf(row);
    yield hashes;
    if (hashes.count < page) return;
    const rest = high.findIndex((to) => to > last);
    if (rest < 0) return;
    low = low.slice(rest);
    high = high.slice(rest);
    if (low[0]! <= last) low[0] = last + 1n;
  }
}

const bytesRow = (
  table: ArchiveTable,
  row: Rows[number],
): { readonly hashes: ArchiveHashes; readonly last: Buffer } => {
  const keys = row['key'] as Buffer;
  const lengths = row['l'] as Buffer;
  const values = [];
  let last = keys.subarray(0, 0);
  for (let i = 0, at = 0; i < lengths.length; i += 4) {
    const end = at + lengths.readUInt32BE(i);
    const bytes = keys.subarray(at, end);
    if (i > 0 && Buffer.compare(last, bytes) >= 0) throw unordered();
    values.push(keyOfBytes(table.keyTypes, bytes));
    last = bytes;
    at = end;
  }
  return {
    hashes: {
      count: values.length,
      keys: { kind: 'keys', values },
      source: halvesOf(row['s'] as Buffer),
      target: halvesOf(row['t'] as Buffer),
    },
    last,
  };
};

/** All other keys, in order. */
async function* others(
  database: Database,
  table: ArchiveTable,
  where: { readonly sql: string; readonly values: readonly unknown[] },
  o: Cancel,
): AsyncGenerator<ArchiveHashes> {
  // before every key: each begins with a letter
  let after = Buffer.alloc(0);
  for (;;) {
    const [row] = await database.query(
      `select string_agg(int4send(length(key)), '') as l, string_agg(key, '') as key, ${packed} from (
         select key, source_hash, target_hash from ${table.name}
         where k is null and (substring(key, 1, 1000), key) > (substring($1::bytea, 1, 1000), $1) ${where.sql}
         order by substring(key, 1, 1000), key limit ${page}) page`,
      [after, ...where.values],
      o,
    );
    if (row?.['key'] == null) return;
    const { hashes, last } = bytesRow(table, row);
    yield hashes;
    if (hashes.count < page) return;
    after = Buffer.from(last);
  }
}

const everything = { low: [least], high: [greatest] };

/** Keys and hashes of an archive in key order: those of one integer come before what is none. */
export async function* archiveHashes(
  database: Database,
  table: ArchiveTable,
  of: ArchivePlaces | undefined,
  o: Cancel,
): AsyncGenerator<ArchiveHashes> {
  const all = { sql: '', values: [] };
  if (of === undefined) {
    if (table.integerKey) yield* integers(database, table, everything, all, o);
    yield* others(database, table, all, o);
  } else if ('keys' in of) {
    const { integers: ks, bytes } = archiveKeys(table, of.keys);
    if (ks.length > 0)
      yield* integers(database, table, everything, { sql: 'and k = any ($3::bigint[])', values: [ks] }, o);
    if (bytes.length > 0)
      yield* others(
        database,
        table,
        {
          sql: 'and substring(key, 1, 1000) = any ($2::bytea[]) and key = any ($3::bytea[])',
          values: [bytes.map((b) => b.subarray(0, 1000)), bytes],
        },
        o,
      );
  } else if (of.partition.by === 'range') {
    yield* integers(database, table, rangesOf(of.partition, of.parts), all, o);
    // what is no integer is in the last part
    if (of.parts.includes(of.partition.count - 1)) yield* others(database, table, all, o);
  } else {
    const mask = String(of.partition.count - 1);
    const parts = of.parts.map(String);
    const sql = (n: number): string => `and (key_hash & $${n}::bigint) = any ($${n + 1}::bigint[])`;
    if (table.integerKey) yield* integers(database, table, everything, { sql: sql(3), values: [mask, parts] }, o);
    yield* others(database, table, { sql: sql(2), values: [mask, parts] }, o);
  }
}
