import type { IncrementalRule } from '../model/incremental.ts';
import type { WrittenIncremental } from './incremental-schema.ts';

const minute = 60_000;
const hour = 60 * minute;

/** What is written, with its defaults; `duration` reads one at a place of its own: milliseconds. */
export const incrementalOf = (
  written: WrittenIncremental,
  duration: (value: string, key: 'overlap' | 'full_every') => number,
): IncrementalRule => {
  const { by = 'auto', overlap, deletes = 'keys', full_every: every } = written;
  const same = typeof by === 'string';
  return {
    by: same ? { source: by, target: by } : { source: by.source ?? 'auto', target: by.target ?? 'auto' },
    sameColumn: same,
    overlapMs: typeof overlap === 'string' ? duration(overlap, 'overlap') : 2 * minute,
    overlapCount: typeof overlap === 'number' ? overlap : 10_000,
    deletes,
    fullEvery:
      typeof every === 'number'
        ? { runs: every }
        : { ms: every === undefined ? 24 * hour : duration(every, 'full_every') },
  };
};

/** `--incremental` without a word about it in the config. */
export const defaultIncremental: IncrementalRule = incrementalOf({}, () => 0);
