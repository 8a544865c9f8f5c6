import { hashed } from '../../lib/lookup3.ts';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import type { HashBatch } from '../../model/reader.ts';
import type { Segment, Selection } from '../../model/selected.ts';
import { inKeyHashOrder } from '../sql/sort-hashes.ts';
import type { ColumnSql } from './columns.ts';
import { cellHashing, hashCells } from './hash-cells.ts';
import type { RowSink } from './row-stream.ts';
import { batchRows, type Rows } from './rows.ts';

type Wanted = (high: number, low: number) => boolean;

const below = (high: number, low: number, bound: bigint): boolean => {
  const h = Number(bound >> 32n);
  return high < h || (high === h && low >>> 0 < Number(BigInt.asUintN(32, bound)));
};

/** Does a segment of key hashes hold this one? */
const wantedOf = (segment: Segment): Wanted => {
  switch (segment.kind) {
    case 'all':
      return () => true;
    case 'range': {
      const [from, to] = [segment.from, segment.to].map((key) => (key === undefined ? undefined : BigInt(key[0]!)));
      return (high, low) =>
        (from === undefined || !below(high, low, from)) && (to === undefined || below(high, low, to));
    }
    case 'keys': {
      const keys = new Set(segment.keys.map(([key]) => BigInt(key!)));
      return (high, low) => keys.has((BigInt(high) << 32n) | BigInt(low >>> 0));
    }
    case 'parts':
      if (segment.partition.by === 'hash') {
        const parts = new Set(segment.parts);
        const mask = segment.partition.count - 1;
        return (_, low) => parts.has((low & mask) >>> 0);
      }
  }
  throw new LockstepError('INTERNAL', 'key hashes are read by buckets only');
};

/** Hashes of key and row, four ints per row; its batches are those that were wanted, and how many rows went by. */
const quadSink = (
  columns: readonly ColumnSql[],
  width: number,
  hash: HashSpec,
  wanted: Wanted,
): RowSink<{ readonly quads: Int32Array; readonly seen: number }> => {
  const key = cellHashing(columns.slice(0, width), 'key', hash);
  const row = cellHashing(columns, 'row', hash);
  let quads = new Int32Array(4 * batchRows);
  let used = 0;
  let seen = 0;
  return {
    add: (cells) => {
      seen++;
      hashCells(key, cells);
      const high = hashed[0]!;
      const low = hashed[1]!;
      if (!wanted(high, low)) return;
      hashCells(row, cells);
      quads[used] = high;
      quads[used + 1] = low;
      quads[used + 2] = hashed[0]!;
      quads[used + 3] = hashed[1]!;
      used += 4;
    },
    get full() {
      return seen >= batchRows;
    },
    take: () => {
      if (seen === 0) return undefined;
      const taken = { quads: quads.slice(0, used), seen };
      if (used > 0) quads = new Int32Array(4 * batchRows);
      used = 0;
      seen = 0;
      return taken;
    },
  };
};

/**
 * The hashes of keys and rows in the order of the key hashes: rows are read in the order of the table, hashed and sorted
 * here, which is cheaper than the server's sort of a key that no index has in our order.
 */
export async function* byKeyHash(
  rows: Rows,
  selection: Selection,
  segment: Segment,
  hash: HashSpec,
  o: Cancel,
): AsyncGenerator<HashBatch, void, undefined> {
  const columns = await rows.columns(selection, o);
  const sink = quadSink(columns, selection.keyWidth, hash, wantedOf(segment));
  const quads = async function* (): AsyncGenerator<Int32Array, void, undefined> {
    for await (const batch of rows.into(selection, undefined, sink, (b) => b.seen, o)) yield batch.quads;
  };
  yield* inKeyHashOrder(quads(), batchRows, o);
}
