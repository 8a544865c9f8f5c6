import { LockstepError } from '../errors.ts';
import type { Key } from '../row.ts';
import type { Partition, Selection, TextPartition } from '../selected.ts';
import { rowHasher } from './row-hash.ts';
import { textHasher } from './text-hash.ts';

const intKey = /^-?\d+$/;

/** The part of a range partition that holds a key; the first and the last are unbounded, and what is no integer is in the last. */
const rangePart = (p: Extract<Partition, { by: 'range' }>, key: Key): number => {
  if (!intKey.test(key[0]!)) return p.count - 1;
  const distance = BigInt(key[0]!) - p.origin;
  if (distance < 0n) return 0;
  const part = distance / p.width;
  return part >= BigInt(p.count) ? p.count - 1 : Number(part);
};

/** The part of a partition that a key, or a row by its key, falls into: the same as the databases make of it. */
export const partOf = (
  selection: Selection,
  partition: Partition | TextPartition | undefined,
): ((key: Key) => number) => {
  if (partition === undefined) return () => 0;
  if (partition.by === 'range') return (key) => rangePart(partition, key);
  if (selection.keyWidth === 0) throw new LockstepError('INTERNAL', 'rows without a key have no bucket.');
  if (partition.by === 'text') {
    const texts = textHasher(selection.columns, selection.keyWidth, partition.seed);
    return (key) => texts.part(key, partition.count);
  }
  const hasher = rowHasher(selection.columns, selection.keyWidth, partition.hash);
  return (key) => hasher.bucket(key, partition.count);
};
