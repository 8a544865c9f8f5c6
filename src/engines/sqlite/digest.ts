import { partOf } from '../../model/hash/part-of.ts';
import { rowHasher } from '../../model/hash/row-hash.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import type { Digest } from '../../model/reader.ts';
import type { Partition, Selection } from '../../model/selected.ts';
import type { Snapshot } from './reading.ts';
import { type Meter, scanRows } from './scan.ts';

/** Sums of row hashes per part: the two halves as doubles, folded before they lose a bit. */
export interface Sums {
  add(part: number, high: number, low: number): void;
  addTimes(part: number, high: number, low: number, times: number): void;
  /** Adds the sum of so many rows. */
  addSum(part: number, rows: number, sum: bigint): void;
  digests(): readonly Digest[];
}

/** So many halves of 32 bits add up exactly in a double. */
const foldRows = 1 << 20;

export const sums = (partition: Partition | undefined): Sums => {
  const count = partition?.count ?? 1;
  const rows = new Float64Array(count);
  const highs = new Float64Array(count);
  const lows = new Float64Array(count);
  const folded = new BigUint64Array(count);
  let pending = 0;
  const fold = (): void => {
    pending = 0;
    for (let i = 0; i < count; i++) {
      if (highs[i] === 0 && lows[i] === 0) continue;
      folded[i] = folded[i]! + (BigInt(highs[i]!) << 32n) + BigInt(lows[i]!);
      highs[i] = 0;
      lows[i] = 0;
    }
  };
  return {
    add: (part, high, low) => {
      rows[part] = rows[part]! + 1;
      highs[part] = highs[part]! + (high >>> 0);
      lows[part] = lows[part]! + (low >>> 0);
      if (++pending === foldRows) fold();
    },
    addTimes: (part, high, low, times) => {
      rows[part] = rows[part]! + times;
      folded[part] = folded[part]! + ((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)) * BigInt(times);
    },
    addSum: (part, count, sum) => {
      rows[part] = rows[part]! + count;
      folded[part] = folded[part]! + sum;
    },
    digests: () => {
      fold();
      const found: Digest[] = [];
      for (let part = 0; part < count; part++) {
        if (rows[part]! > 0) found.push({ part, rows: rows[part]!, sum: folded[part]! });
      }
      return found;
    },
  };
};

/** Digests from canonical cells, the slow and obviously right way. */
export const digestOfRows = (
  s: Snapshot,
  selection: Selection,
  partition: Partition | undefined,
  hash: HashSpec,
  meter: Meter,
): readonly Digest[] => {
  const hasher = rowHasher(selection.columns, selection.keyWidth, hash);
  const part = partOf(selection, partition);
  const total = sums(partition);
  for (const rows of scanRows(s.db, s.slots, s.orders, selection, { kind: 'all' }, meter)) {
    for (const row of rows) {
      hasher.hash(row);
      total.addTimes(part(row), hasher.out[0]!, hasher.out[1]!, selection.keyWidth > 0 ? 1 : Number(row.at(-1)));
    }
  }
  return total.digests();
};
