import { createHash } from 'node:crypto';
import { LockstepError } from './errors.ts';
import { rowHasher } from './hash/row-hash.ts';
import type { Pair } from './pair.ts';
import type { Key } from './row.ts';
import type { Partition, Sample, Selection } from './selected.ts';

/** Parts that keys fall into; a sample is the first of them. Its steps are 1/4096: 0.025 %. */
const parts = 4096;

/** How many of the parts a share is; at least one. */
const partsOf = (share: number): number => Math.max(1, Math.ceil(Number((share * parts).toFixed(6))));

/** The sample of a pair of tables. */
const sampleOf = (share: number, source: string, target: string): Sample => ({
  share,
  seed: createHash('sha256')
    .update(JSON.stringify(['lockstep sample', source, target]))
    .digest('hex')
    .slice(0, 16),
});

/** `5 %` */
const shareText = (share: number): string => `${Number((share * 100).toPrecision(6))} %`;

const specOf = ({ seed }: Sample) => ({ seed: BigInt(`0x${seed}`), form: 'hex' }) as const;

/** The rows of a sample as parts of a partition by the key's hash. */
export const partsOfSample = (
  sample: Sample,
): { readonly kind: 'parts'; readonly partition: Partition; readonly parts: readonly number[] } => ({
  kind: 'parts',
  partition: { by: 'hash', count: parts, hash: specOf(sample) },
  parts: Array.from({ length: partsOf(sample.share) }, (_, i) => i),
});

/** Tells whether a key is in the sample; a row will do for its key. The key's cells are as `columns` renders them. */
export const inSample = (
  { columns, keyWidth }: Pick<Selection, 'columns' | 'keyWidth'>,
  sample: Sample,
): ((key: Key) => boolean) => {
  const hasher = rowHasher(columns.slice(0, keyWidth), keyWidth, specOf(sample));
  const taken = partsOf(sample.share);
  return (key) => hasher.bucket(key, parts) < taken;
};

/** The pair, of which only a sample is looked at: nothing else of it counts as compared. Throws KEY_MISSING. */
export const sampled = (pair: Pair, share: number, target: string): Pair => {
  if (share >= 1) return pair;
  if (pair.keyWidth === 0)
    throw new LockstepError('KEY_MISSING', `${pair.name} has no key by which a sample of its rows could be told`, {
      hint: 'Name columns that identify a row on both sides (`key:` of the pair), or exclude the table.',
    });
  return {
    ...pair,
    sample: sampleOf(share, pair.name, target),
    notCompared: [
      ...pair.notCompared,
      {
        what: pair.name,
        reason: `a sample of ${shareText(share)} of its keys was looked at, and no other row`,
        fix: 'Look at more of it (sample: 20%), or at all of it: leave sample out.',
      },
    ],
  };
};
