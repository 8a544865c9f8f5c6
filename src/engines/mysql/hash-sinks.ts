import { hashed } from '../../lib/lookup3.ts';
import { LockstepError } from '../../model/errors.ts';
import { halves } from '../../model/hash/column-hash.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import type { Digest, HashBatch } from '../../model/reader.ts';
import type { Key, Text } from '../../model/row.ts';
import type { Partition } from '../../model/selected.ts';
import type { ColumnSql } from './columns.ts';
import { cellHashing, hashCells, readFirst } from './hash-cells.ts';
import { render } from './render.ts';
import type { RawCells, RowSink } from './row-stream.ts';

/** Is this row wanted? */
export type Wanted = (cells: RawCells) => boolean;

/** Of the parts of a hash partition: by the key's hash. */
export const inParts = (
  keys: readonly ColumnSql[],
  partition: Extract<Partition, { by: 'hash' }>,
  parts: readonly number[],
): Wanted => {
  const hashing = cellHashing(keys, 'key', partition.hash);
  const wanted = new Set(parts);
  return (cells) => {
    hashCells(hashing, cells);
    return wanted.has((hashed[1]! >>> 0) % partition.count);
  };
};

/** One integer key of 64 bits. */
export const isInt64Key = (keys: readonly ColumnSql[]): boolean =>
  keys.length === 1 && keys[0]!.column.as.kind === 'int' && keys[0]!.column.stored.kind === 'int';

const noHash = (): LockstepError => new LockstepError('INTERNAL', 'a key that must be an integer is none');

/** Keys and row hashes; `inOrder` is told each key that is not an integer. */
export const hashSink = (
  columns: readonly ColumnSql[],
  width: number,
  hash: HashSpec,
  batchRows: number,
  o: { readonly wanted: Wanted | undefined; readonly inOrder: ((key: Key) => void) | undefined },
): RowSink<HashBatch> => {
  const row = cellHashing(columns, 'row', hash);
  const keyColumns = columns.slice(0, width);
  const integers = isInt64Key(keyColumns);
  const decoders = keyColumns.map((c) => render(c).decode);
  let hashes = new Int32Array(2 * batchRows);
  let numbers = new Int32Array(integers ? 2 * batchRows : 0);
  let keys: Key[] = [];
  let count = 0;
  return {
    add: (cells) => {
      if (o.wanted !== undefined && !o.wanted(cells)) return;
      if (integers) {
        if (!readFirst(cells)) throw noHash();
        // a BigInt64Array keeps its low half first
        numbers[2 * count] = halves[1]!;
        numbers[2 * count + 1] = halves[0]!;
      } else {
        const key = decoders.map((decode, i): Text | null => {
          const end = cells.ends[i]!;
          return end < 0 ? null : decode(cells.bytes, cells.starts[i]!, end);
        });
        o.inOrder?.(key);
        keys.push(key);
      }
      hashCells(row, cells);
      hashes[2 * count] = hashed[0]!;
      hashes[2 * count + 1] = hashed[1]!;
      count++;
    },
    get full() {
      return count >= batchRows;
    },
    take: () => {
      if (count === 0) return undefined;
      const batch: HashBatch = {
        count,
        hashes: hashes.subarray(0, 2 * count),
        keys: integers
          ? { kind: 'int64', values: new BigInt64Array(numbers.buffer, 0, count) }
          : { kind: 'keys', values: keys },
      };
      hashes = new Int32Array(2 * batchRows);
      numbers = new Int32Array(numbers.length);
      keys = [];
      count = 0;
      return batch;
    },
  };
};

const safe = 2 ** 52;

/** The part of a row of integer key; the first and the last part are unbounded. */
const rangePart = (p: Extract<Partition, { by: 'range' }>): ((cells: RawCells) => number) => {
  const small = [p.origin, p.origin + p.width * BigInt(p.count), p.width].every((n) => n > -safe && n < safe);
  const [origin, width, last] = [Number(p.origin), Number(p.width), p.count - 1];
  const exact = (): number => {
    const distance = ((BigInt(halves[0]!) << 32n) | BigInt(halves[1]! >>> 0)) - p.origin;
    if (distance < 0n) return 0;
    const part = distance / p.width;
    return part > BigInt(last) ? last : Number(part);
  };
  return (cells) => {
    if (!readFirst(cells)) throw noHash();
    const high = halves[0]!;
    if (!small || high > 0x7ffff || high < -0x80000) return exact();
    const distance = high * 4_294_967_296 + (halves[1]! >>> 0) - origin;
    return distance < 0 ? 0 : Math.min(last, Math.floor(distance / width));
  };
};

/** Counts and sums of row hashes by part. Its batches are how many rows were added. */
export interface DigestSink extends RowSink<number> {
  digests(): Digest[];
}

export const digestSink = (
  columns: readonly ColumnSql[],
  width: number,
  partition: Partition | undefined,
  hash: HashSpec,
  batchRows: number,
): DigestSink => {
  const row = cellHashing(columns, 'row', hash);
  const count = partition?.count ?? 1;
  const rows = new Float64Array(count);
  const high = new Int32Array(count);
  const low = new Float64Array(count);
  const part = partOf(columns.slice(0, width), partition);
  let added = 0;
  return {
    add: (cells) => {
      const p = part(cells);
      hashCells(row, cells);
      const sum = low[p]! + (hashed[1]! >>> 0);
      const carry = sum >= 4_294_967_296 ? 1 : 0;
      low[p] = sum - carry * 4_294_967_296;
      high[p] = high[p]! + hashed[0]! + carry;
      rows[p] = rows[p]! + 1;
      added++;
    },
    get full() {
      return added >= batchRows;
    },
    take: () => {
      const taken = added;
      added = 0;
      return taken === 0 ? undefined : taken;
    },
    digests: () => {
      const found: Digest[] = [];
      for (let p = 0; p < count; p++) {
        if (rows[p] === 0) continue;
        found.push({ part: p, rows: rows[p]!, sum: (BigInt(high[p]! >>> 0) << 32n) | BigInt(low[p]!) });
      }
      return partition === undefined && found.length === 0 ? [{ part: 0, rows: 0, sum: 0n }] : found;
    },
  };
};

const partOf = (keys: readonly ColumnSql[], partition: Partition | undefined): ((cells: RawCells) => number) => {
  if (partition === undefined) return () => 0;
  if (partition.by === 'range') return rangePart(partition);
  const hashing = cellHashing(keys, 'key', partition.hash);
  return (cells) => {
    hashCells(hashing, cells);
    return (hashed[1]! >>> 0) % partition.count;
  };
};
