import { isMisfit } from '../../model/canon/misfit.ts';
import type {
  Cancel,
  Digest,
  HashBatch,
  Hashing,
  KeyBatch,
  Partition,
  Segment,
  Selection,
} from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import { rowHasher } from '../../model/hash/row-hash.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import type { Batch, Row } from '../../model/row.ts';
import { tableLabel } from '../../model/schema.ts';
import type { Rows } from './rows.ts';

/** Counts and sums of parts; a sum is kept as two halves below 2^53. */
class Sums {
  readonly #rows = new Map<number, number>();
  readonly #high = new Map<number, number>();
  readonly #low = new Map<number, number>();

  add(part: number, high: number, low: number): void {
    const sum = (this.#low.get(part) ?? 0) + (low >>> 0);
    const carry = sum >= 4_294_967_296 ? 1 : 0;
    this.#low.set(part, carry ? sum - 4_294_967_296 : sum);
    this.#high.set(part, ((this.#high.get(part) ?? 0) + high + carry) | 0);
    this.#rows.set(part, (this.#rows.get(part) ?? 0) + 1);
  }

  digests(): Digest[] {
    return [...this.#rows].map(([part, rows]) => ({
      part,
      rows,
      sum: (BigInt(this.#high.get(part)! >>> 0) << 32n) | BigInt(this.#low.get(part)!),
    }));
  }
}

/** The part of a range partition that holds a key; the first and the last are unbounded. */
const rangePart = (p: Extract<Partition, { by: 'range' }>): ((key: bigint) => number) => {
  return (key) => {
    const distance = key - p.origin;
    if (distance < 0n) return 0;
    const part = distance / p.width;
    return part >= BigInt(p.count) ? p.count - 1 : Number(part);
  };
};

const partOf = (selection: Selection, partition: Partition | undefined): ((row: Row) => number) => {
  if (partition === undefined) return () => 0;
  if (partition.by === 'range') {
    const part = rangePart(partition);
    return (row) => part(BigInt(row[0]!));
  }
  const hasher = rowHasher(selection.columns, selection.keyWidth, partition.hash);
  return (row) => hasher.bucket(row, partition.count);
};

/** Row hashes made on our side, of the rows as they stream by. */
export const hashingOf = (rows: Rows): Hashing => ({
  forms: ['bytes', 'hex'],
  supports: (c) => (c.as.kind === 'json' ? 'weak' : 'exact'),
  digest: async (selection, partition, hash, o) => {
    const hasher = rowHasher(selection.columns, selection.keyWidth, hash);
    const part = partOf(selection, partition);
    const sums = new Sums();
    for await (const batch of rows.unordered(selection, o)) {
      for (const row of batch) {
        hasher.hash(row);
        sums.add(part(row), hasher.out[0]!, hasher.out[1]!);
      }
    }
    const digests = sums.digests();
    return partition === undefined && digests.length === 0 ? [{ part: 0, rows: 0, sum: 0n }] : digests;
  },
  hashes: (selection, segment, hash, o) => hashes(rows, selection, segment, hash, o),
});

async function* hashes(
  rows: Rows,
  selection: Selection,
  segment: Segment,
  hash: HashSpec,
  o: Cancel,
): AsyncGenerator<HashBatch, void, undefined> {
  if (selection.keyWidth === 0) {
    throw new LockstepError('KEY_TYPES', `${tableLabel(selection.table)} has no key to put its rows in order by`, {
      hint: 'Choose a key (--key).',
    });
  }
  const hasher = rowHasher(selection.columns, selection.keyWidth, hash);
  for await (const batch of rows.scan(selection, segment, o)) {
    const words = new Int32Array(batch.length * 2);
    batch.forEach((row, i) => {
      hasher.hash(row);
      words[2 * i] = hasher.out[0]!;
      words[2 * i + 1] = hasher.out[1]!;
    });
    yield { count: batch.length, hashes: words, keys: keysOf(selection, batch) };
  }
}

const keysOf = (selection: Selection, batch: Batch<Row>): KeyBatch => {
  const [first] = selection.columns;
  if (selection.keyWidth === 1 && first!.as.kind === 'int' && !batch.some((row) => isMisfit(row[0]!)))
    return { kind: 'int64', values: BigInt64Array.from(batch, (row) => BigInt(row[0]!)) };
  return { kind: 'keys', values: batch.map((row) => row.slice(0, selection.keyWidth)) };
};
