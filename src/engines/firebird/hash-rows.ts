import { rowHasher } from '../../model/hash/row-hash.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import type { Digest, HashBatch } from '../../model/reader.ts';
import type { Row } from '../../model/row.ts';
import type { Selection } from '../../model/selected.ts';

/** Rows put together again until a batch is worth its while. */
const worthwhile = 500;

/** Count and sum of the row hashes of each part. */
export const digestRows = async (
  batches: AsyncIterable<Row[]>,
  selection: Selection,
  hash: HashSpec,
  part: (row: Row) => number,
): Promise<readonly Digest[]> => {
  const hasher = rowHasher(selection.columns, selection.keyWidth, hash);
  const parts = new Map<number, { rows: number; high: number; low: number; sum: bigint }>();
  for await (const rows of batches) {
    for (const row of rows) {
      hasher.hash(row);
      const p = part(row);
      const d = parts.get(p) ?? { rows: 0, high: 0, low: 0, sum: 0n };
      if (d.rows === 0) parts.set(p, d);
      d.rows++;
      d.high += hasher.out[0]! >>> 0;
      d.low += hasher.out[1]! >>> 0;
      // The two sums stay exact far beyond this.
      if (d.rows % 1_000_000 === 0) fold(d);
    }
  }
  return [...parts].map(([p, d]) => {
    fold(d);
    return { part: p, rows: d.rows, sum: d.sum };
  });
};

/** Keys and row hashes of batches of rows. */
export async function* hashBatches(
  batches: AsyncIterable<Row[]>,
  selection: Selection,
  hash: HashSpec,
): AsyncGenerator<HashBatch> {
  const hasher = rowHasher(selection.columns, selection.keyWidth, hash);
  const single = selection.keyWidth === 1 && selection.columns[0]!.as.kind === 'int';
  for await (const rows of batches) {
    const hashes = new Int32Array(2 * rows.length);
    for (let i = 0; i < rows.length; i++) {
      hasher.hash(rows[i]!);
      hashes[2 * i] = hasher.out[0]!;
      hashes[2 * i + 1] = hasher.out[1]!;
    }
    // Some other type's text that is no integer of 64 bits is a key like any other.
    const int64 = single && rows.every((row) => isInt64(row[0]!));
    yield {
      count: rows.length,
      keys: int64
        ? { kind: 'int64', values: BigInt64Array.from(rows, (row) => BigInt(row[0]!)) }
        : { kind: 'keys', values: rows.map((row) => row.slice(0, selection.keyWidth)) },
      hashes,
    };
  }
}

const fold = (d: { high: number; low: number; sum: bigint }): void => {
  d.sum = BigInt.asUintN(64, d.sum + (BigInt(d.high) << 32n) + BigInt(d.low));
  d.high = 0;
  d.low = 0;
};

const isInt64 = (cell: string | null): boolean => {
  if (cell === null || !/^-?\d{1,19}$/.test(cell)) return false;
  return cell.length < 19 || BigInt.asIntN(64, BigInt(cell)) === BigInt(cell);
};

/** Small batches made into larger ones. */
export async function* joined(batches: AsyncIterable<Row[]>): AsyncGenerator<Row[]> {
  let held: Row[] = [];
  for await (const rows of batches) {
    if (held.length === 0) held = rows;
    else held.push(...rows);
    if (held.length >= worthwhile) {
      yield held;
      held = [];
    }
  }
  if (held.length > 0) yield held;
}
