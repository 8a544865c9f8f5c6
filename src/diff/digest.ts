import type { HashSpec } from '../model/hash/spec.ts';
import type { Digest, Reader } from '../model/reader.ts';
import type { Partition } from '../model/selected.ts';
import { both } from './concurrent.ts';
import type { Side, Sides, Work } from './context.ts';

/** What one digest pass over both sides found. */
export interface PartsCompared {
  readonly rows: Sides<number>;
  /** Rows of the parts that agree (as many on both sides). */
  readonly identical: number;
  /** Parts that differ, ascending, and the rows they hold on each side. */
  readonly differing: readonly number[];
  readonly differingRows: Sides<number>;
}

/** One pass over each side, both at the same time: which parts hold a difference. Without a partition: the whole table. */
export const compareDigests = (
  work: Work,
  readers: Sides<Reader>,
  partition: Partition | undefined,
  spec: HashSpec,
): Promise<PartsCompared> =>
  compareParts(work.signal, partition?.count ?? 1, (side, signal) =>
    readers[side].hashing!.digest(work.selections[side], partition, spec, { signal }),
  );

/** Compares the digests of as many parts that each side makes. */
export const compareParts = async (
  signal: AbortSignal,
  parts: number,
  digest: (side: Side, signal: AbortSignal) => Promise<readonly Digest[]>,
): Promise<PartsCompared> => {
  const [source, target] = await both(
    signal,
    (s) => digest('source', s),
    (s) => digest('target', s),
  );
  const a = byPart(source, parts);
  const b = byPart(target, parts);
  const differing: number[] = [];
  const rows = { source: 0, target: 0 };
  const differingRows = { source: 0, target: 0 };
  let identical = 0;
  for (let part = 0; part < parts; part++) {
    const [n, m] = [a.rows[part]!, b.rows[part]!];
    rows.source += n;
    rows.target += m;
    if (n === m && a.sums[part] === b.sums[part]) identical += n;
    else {
      differing.push(part);
      differingRows.source += n;
      differingRows.target += m;
    }
  }
  return { rows, identical, differing, differingRows };
};

const byPart = (
  digests: readonly Digest[],
  parts: number,
): { readonly rows: Float64Array; readonly sums: BigUint64Array } => {
  const rows = new Float64Array(parts);
  const sums = new BigUint64Array(parts);
  for (const digest of digests) {
    rows[digest.part]! += digest.rows;
    // A typed array of 64 bits reduces modulo 2^64.
    sums[digest.part] = sums[digest.part]! + digest.sum;
  }
  return { rows, sums };
};
