import type { Digest, Partition, Selection } from '../../model/endpoint.ts';
import { rowHasher } from '../../model/hash/row-hash.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import { partOf } from './read-plan.ts';
import type { Snapshot } from './reading.ts';
import { type Meter, scanRows } from './scan.ts';

/** Sums of row hashes per part: two double accumulators, folded before they lose a bit. */
export interface Sums {
  add(part: number, high: number, low: number, times: number): void;
  digests(): readonly Digest[];
}

const fold = 1 << 20;

export const sums = (): Sums => {
  const parts = new Map<number, { rows: number; high: number; low: number; pending: number; sum: bigint }>();
  const settle = (p: { high: number; low: number; pending: number; sum: bigint }): void => {
    p.sum = BigInt.asUintN(64, p.sum + (BigInt(p.high) << 32n) + BigInt(p.low));
    p.high = 0;
    p.low = 0;
    p.pending = 0;
  };
  return {
    add: (part, high, low, times) => {
      let p = parts.get(part);
      if (p === undefined) {
        p = { rows: 0, high: 0, low: 0, pending: 0, sum: 0n };
        parts.set(part, p);
      }
      p.rows += times;
      if (times === 1) {
        p.high += high >>> 0;
        p.low += low >>> 0;
        if (++p.pending === fold) settle(p);
      } else {
        const hash = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
        p.sum = BigInt.asUintN(64, p.sum + hash * BigInt(times));
      }
    },
    digests: () =>
      [...parts].map(([part, p]) => {
        settle(p);
        return { part, rows: p.rows, sum: p.sum };
      }),
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
  const total = sums();
  for (const rows of scanRows(s.db, s.slots, s.orders, selection, { kind: 'all' }, meter)) {
    for (const row of rows) {
      hasher.hash(row);
      total.add(part(row), hasher.out[0]!, hasher.out[1]!, selection.keyWidth > 0 ? 1 : Number(row.at(-1)));
    }
  }
  return total.digests();
};
