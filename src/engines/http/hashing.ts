import type { Cancel } from '../../model/cancel.ts';
import { isMisfit } from '../../model/canon/misfit.ts';
import { partOf } from '../../model/hash/part-of.ts';
import { type RowHasher, rowHasher } from '../../model/hash/row-hash.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import type { Digest, HashBatch, Hashing } from '../../model/reader.ts';
import type { Batch, Key, Row } from '../../model/row.ts';
import type { Segment, Selection } from '../../model/selected.ts';

type Scan = (selection: Selection, segment: Segment, o: Cancel) => AsyncIterable<Batch<Row>>;

const isInt64 = (selection: Selection): boolean => selection.keyWidth === 1 && selection.columns[0]!.as.kind === 'int';

const hashBatch = (selection: Selection, rows: readonly Row[], hasher: RowHasher): HashBatch => {
  const hashes = new Int32Array(2 * rows.length);
  rows.forEach((row, i) => {
    hasher.hash(row);
    hashes[2 * i] = hasher.out[0]!;
    hashes[2 * i + 1] = hasher.out[1]!;
  });
  const count = rows.length;
  if (isInt64(selection) && rows.every((row) => !isMisfit(row[0]!)))
    return { count, hashes, keys: { kind: 'int64', values: BigInt64Array.from(rows, (row) => BigInt(row[0]!)) } };
  return { count, hashes, keys: { kind: 'keys', values: rows.map((row): Key => row.slice(0, selection.keyWidth)) } };
};

/** Row hashes of what was read, made here. */
export const hashingOver = (scan: Scan): Hashing => ({
  forms: ['bytes', 'hex'],
  supports: (c) => (c.as.kind === 'json' ? 'jsonb' : 'exact'),
  digest: async (selection, partition, hash: HashSpec, o): Promise<readonly Digest[]> => {
    const hasher = rowHasher(selection.columns, selection.keyWidth, hash);
    const part = partOf(selection, partition);
    const found = new Map<number, { rows: number; sum: bigint }>();
    for await (const batch of scan(selection, { kind: 'all' }, o))
      for (const row of batch) {
        const times = selection.keyWidth > 0 ? 1 : Number(row.at(-1));
        const p = part(row);
        hasher.hash(row);
        const h = (BigInt(hasher.out[0]! >>> 0) << 32n) | BigInt(hasher.out[1]! >>> 0);
        const digest = found.get(p) ?? { rows: 0, sum: 0n };
        digest.rows += times;
        digest.sum = BigInt.asUintN(64, digest.sum + h * BigInt(times));
        found.set(p, digest);
      }
    return [...found].map(([p, d]) => ({ part: p, ...d }));
  },
  hashes: async function* (selection, segment, hash, o) {
    const hasher = rowHasher(selection.columns, selection.keyWidth, hash);
    for await (const rows of scan(selection, segment, o)) yield hashBatch(selection, rows, hasher);
  },
});
