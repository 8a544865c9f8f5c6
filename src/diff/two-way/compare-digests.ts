import type { Digest, Reader } from '../../model/reader.ts';
import type { Partition } from '../../model/selected.ts';
import { both } from '../concurrent.ts';
import type { Sides } from '../context.ts';
import type { TwoWayWork } from './options.ts';

/** What one pass over each side and the archive found. */
export interface ThreeDigests {
  /** Keys in parts that are as agreed. */
  readonly unchanged: number;
  /** Parts that are not, ascending, and the rows they hold on each side. */
  readonly differing: readonly number[];
  readonly differingRows: Sides<number>;
  /** Rows of each side. */
  readonly rows: Sides<number>;
}

interface Parts {
  readonly rows: Float64Array;
  readonly sums: BigUint64Array;
}

const byPart = (digests: readonly Digest[], parts: number): Parts => {
  const rows = new Float64Array(parts);
  const sums = new BigUint64Array(parts);
  for (const { part, rows: n, sum } of digests) {
    rows[part]! += n;
    // A typed array of 64 bits reduces modulo 2^64.
    sums[part] = sums[part]! + sum;
  }
  return { rows, sums };
};

/** One pass over each side and the archive, all at the same time. `shared`: equal rows of both sides have equal hashes. */
export const compareWithArchive = async (
  work: TwoWayWork,
  readers: Sides<Reader>,
  partition: Partition,
  shared: boolean,
): Promise<ThreeDigests> => {
  const { selections, signal, two } = work;
  const { archive } = two.archive;
  const spec = archive.facts.hash;
  const [[s, t], agreed] = await both(
    signal,
    (x) =>
      both(
        x,
        (y) => readers.source.hashing!.digest(selections.source, partition, spec, { signal: y }),
        (y) => readers.target.hashing!.digest(selections.target, partition, spec, { signal: y }),
      ),
    (x) => archive.digest(partition, { signal: x }),
  );
  const count = partition.count;
  const source = byPart(s, count);
  const target = byPart(t, count);
  const base = {
    source: byPart(
      agreed.map(({ part, source: of }) => ({ part, ...of })),
      count,
    ),
    target: byPart(
      agreed.map(({ part, target: of }) => ({ part, ...of })),
      count,
    ),
  };
  const same = (a: Parts, b: Parts, part: number): boolean =>
    a.rows[part] === b.rows[part] && a.sums[part] === b.sums[part];
  const rows = { source: 0, target: 0 };
  const differingRows = { source: 0, target: 0 };
  const differing: number[] = [];
  let unchanged = 0;
  for (let part = 0; part < count; part++) {
    const [n, m] = [source.rows[part]!, target.rows[part]!];
    rows.source += n;
    rows.target += m;
    const asAgreed = same(source, base.source, part) && same(target, base.target, part);
    if (asAgreed && (!shared || same(source, target, part))) unchanged += n;
    else {
      differing.push(part);
      differingRows.source += n;
      differingRows.target += m;
    }
  }
  return { unchanged, differing, differingRows, rows };
};
