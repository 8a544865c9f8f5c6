import type { Cancel } from '../../model/cancel.ts';
import type { HashBatch } from '../../model/reader.ts';
import { openSpill, type Spill } from './spill.ts';

/** Ints per row: key hash (high, low), row hash (high, low). */
const width = 4;
const buckets = 65_536;

/** The bucket of a key hash by its upper 16 bits, in signed order. */
const bucketOf = (high: number): number => (high ^ 0x8000_0000) >>> 16;

/**
 * Sorts rows (four ints each, in chunks, which are emptied) by their key hash as a signed 64-bit integer. The hashes
 * are spread evenly, so one pass puts each row into its place but for a few neighbours.
 */
export const sortByKeyHash = (chunks: Int32Array[]): Int32Array => {
  const starts = new Int32Array(buckets + 1);
  let total = 0;
  for (const chunk of chunks) {
    total += chunk.length;
    for (let i = 0; i < chunk.length; i += width) starts[bucketOf(chunk[i]!) + 1]!++;
  }
  for (let b = 1; b <= buckets; b++) starts[b]! += starts[b - 1]!;
  const rows = new Int32Array(total);
  const next = starts.slice();
  for (let chunk = chunks.pop(); chunk; chunk = chunks.pop()) {
    for (let i = 0; i < chunk.length; i += width) {
      const at = width * next[bucketOf(chunk[i]!)]!++;
      rows[at] = chunk[i]!;
      rows[at + 1] = chunk[i + 1]!;
      rows[at + 2] = chunk[i + 2]!;
      rows[at + 3] = chunk[i + 3]!;
    }
  }
  for (let b = 0; b < buckets; b++) insertionSort(rows, width * starts[b]!, width * starts[b + 1]!);
  return rows;
};

const insertionSort = (rows: Int32Array, start: number, end: number): void => {
  for (let i = start + width; i < end; i += width) {
    const high = rows[i]!;
    const low = rows[i + 1]! >>> 0;
    let at = i;
    while (at > start && (rows[at - 4]! > high || (rows[at - 4] === high && rows[at - 3]! >>> 0 > low))) at -= width;
    if (at === i) continue;
    const [hashHigh, hashLow] = [rows[i + 2]!, rows[i + 3]!];
    rows.copyWithin(at + width, at, i);
    rows[at] = high;
    rows[at + 1] = low;
    rows[at + 2] = hashHigh;
    rows[at + 3] = hashLow;
  }
};

/** Cuts sorted rows into batches. */
export function* hashBatches(rows: Int32Array, batchRows: number): Generator<HashBatch> {
  for (let from = 0; from < rows.length; from += width * batchRows) {
    const count = Math.min(batchRows, (rows.length - from) / width);
    const values = new BigInt64Array(count);
    const halves = new Int32Array(values.buffer);
    const hashes = new Int32Array(2 * count);
    for (let n = 0, at = from; n < count; n++, at += width) {
      halves[2 * n] = rows[at + 1]!;
      halves[2 * n + 1] = rows[at]!;
      hashes[2 * n] = rows[at + 2]!;
      hashes[2 * n + 1] = rows[at + 3]!;
    }
    yield { count, keys: { kind: 'int64', values }, hashes };
  }
}

/** Rows that are sorted in memory at once, 32 bytes each while that is done. */
const rowsAtOnce = 262_144;
/** Rows of the file that are put in order at once. */
const partRows = 131_072;

/**
 * Puts hashes of keys and rows (four ints each, in chunks of any order) in the order of their key hashes. More than
 * `rowsAtOnce` go through a temporary file, so that memory does not grow with the table. Throws TEMP_FILE, and the
 * signal's reason also when the database has delivered everything.
 */
export async function* inKeyHashOrder(
  chunks: AsyncIterable<Int32Array>,
  batchRows: number,
  { signal }: Cancel,
): AsyncGenerator<HashBatch, void, undefined> {
  await using stack = new AsyncDisposableStack();
  let spill: Spill | undefined;
  let held: Int32Array[] = [];
  let ints = 0;
  for await (const chunk of chunks) {
    held.push(chunk);
    ints += chunk.length;
    if (ints < width * rowsAtOnce) continue;
    spill ??= stack.use(await openSpill());
    await spill.add(sortByKeyHash(held));
    held = [];
    ints = 0;
  }
  const rest = sortByKeyHash(held);
  if (spill === undefined) {
    yield* hashBatches(rest, batchRows);
    return;
  }
  await spill.add(rest);
  for await (const part of spill.parts(partRows)) {
    signal.throwIfAborted();
    yield* hashBatches(sortByKeyHash([part]), batchRows);
  }
}
