import { isMisfit } from '../../model/canon/misfit.ts';
import { LockstepError } from '../../model/errors.ts';
import { partOf } from '../../model/hash/part-of.ts';
import { type RowHasher, rowHasher } from '../../model/hash/row-hash.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import type { Digest, HashBatch } from '../../model/reader.ts';
import type { Row } from '../../model/row.ts';
import type { Partition, Segment, Selection } from '../../model/selected.ts';

const mask = (1n << 64n) - 1n;

/** Does a segment of key hashes hold this one? */
export const holds = (segment: Segment, hash: bigint): boolean => {
  if (segment.kind === 'keys') return segment.keys.some(([key]) => BigInt(key!) === hash);
  if (segment.kind === 'parts' || segment.kind === 'text_parts') {
    if (segment.partition.by !== 'hash') throw new LockstepError('INTERNAL', 'Key hashes are read by buckets only.');
    return segment.parts.includes(Number(BigInt.asUintN(64, hash) % BigInt(segment.partition.count)));
  }
  const { from, to } = segment.kind === 'range' ? segment : {};
  return (from === undefined || hash >= BigInt(from[0]!)) && (to === undefined || hash < BigInt(to[0]!));
};

/** A digest of each part that has rows. */
export const digestRows = (
  selection: Selection,
  rows: readonly Row[],
  partition: Partition | undefined,
  hash: HashSpec,
): readonly Digest[] => {
  const hasher = rowHasher(selection.columns, selection.keyWidth, hash);
  const part = partOf(selection, partition);
  const digests = new Map<number, { rows: number; sum: bigint }>();
  for (const row of rows) {
    const times = selection.keyWidth > 0 ? 1 : Number(row.at(-1));
    const p = part(row);
    hasher.hash(row);
    const h = (BigInt(hasher.out[0]! >>> 0) << 32n) | BigInt(hasher.out[1]! >>> 0);
    const digest = digests.get(p) ?? { rows: 0, sum: 0n };
    digests.set(p, { rows: digest.rows + times, sum: (digest.sum + h * BigInt(times)) & mask });
  }
  return [...digests].map(([p, d]) => ({ part: p, ...d }));
};

/** Rows as their hashes and keys. */
export const hashBatch = (selection: Selection, rows: readonly Row[], hasher: RowHasher): HashBatch => {
  const hashes = new Int32Array(rows.length * 2);
  rows.forEach((row, i) => {
    hasher.hash(row);
    hashes[2 * i] = hasher.out[0]!;
    hashes[2 * i + 1] = hasher.out[1]!;
  });
  const plain =
    selection.keyWidth === 1 && selection.columns[0]!.as.kind === 'int' && !rows.some((row) => isMisfit(row[0]!));
  return {
    count: rows.length,
    hashes,
    keys: plain
      ? { kind: 'int64', values: BigInt64Array.from(rows, (row) => BigInt(row[0]!)) }
      : { kind: 'keys', values: rows.map((row) => row.slice(0, selection.keyWidth || selection.columns.length)) },
  };
};
