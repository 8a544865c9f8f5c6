import { grouped } from '../lib/grouped.ts';
import type { HashSpec } from '../model/hash/spec.ts';
import type { Reader } from '../model/reader.ts';
import type { Key } from '../model/row.ts';
import type { KeyRange, Partition, TextPartition } from '../model/selected.ts';
import { both } from './concurrent.ts';
import type { Sides, Work } from './context.ts';
import { compareDigests, compareParts, type PartsCompared } from './digest.ts';

/** What the text hash can be digested by. */
export type TextParts = Extract<Partition, { by: 'range' }> | TextPartition;

/** Rows of one trial, about; there are two. */
const trialRows = 4000;
/** Only what is clearly quicker is chosen: a trial of so few rows is not exact. */
const clearly = 0.8;

/** One pass over each side by the text hash. */
export const compareTexts = (work: Work, readers: Sides<Reader>, partition: TextParts): Promise<PartsCompared> =>
  compareParts(work.signal, partition.count, (side, signal) =>
    readers[side].hashing!.texts!.digest(work.selections[side], partition, work.seed, { signal }),
  );

/** What would be digested otherwise. */
interface TextRequest {
  readonly partition: Partition;
  readonly spec: HashSpec;
  /** Some keys of the table, in order. */
  readonly keys: readonly Key[];
  /** Of the table, about. */
  readonly rows: number;
  /** Only if it is quicker. */
  readonly isTimed: boolean;
}

/**
 * The parts to digest by the text hash in the databases, in place of `partition`; undefined: both sides cannot, or
 * (`isTimed`) it is not quicker than hashing the rows where they are hashed otherwise. Where nothing travels to be hashed,
 * or no range of keys is cheap to try it on, it is not tried.
 */
export const textParts = async (
  work: Work,
  readers: Sides<Reader>,
  { partition, spec, keys, rows, isTimed }: TextRequest,
): Promise<{ readonly partition: TextParts; readonly why: string } | undefined> => {
  const { selections, signal, endpoints, clock } = work;
  const [a, b] = [readers.source.hashing!, readers.target.hashing!];
  const [s, t] = [a.texts, b.texts];
  if (s === undefined || t === undefined || (isTimed && !a.travels && !b.travels)) return undefined;
  const isAlike = (i: number): boolean => {
    const found = [s.supports(selections.source.columns[i]!), t.supports(selections.target.columns[i]!)];
    if (found.every((f) => f === 'exact')) return true;
    return !found.includes(undefined) && endpoints.source.engine === endpoints.target.engine;
  };
  if (!selections.source.columns.every((_, i) => isAlike(i))) return undefined;
  const trials = isTimed ? await trialRanges(work, readers, partition, keys, rows) : [];
  if (isTimed && trials.length === 0) return undefined;
  const works = await both(
    signal,
    (x) => s.works({ signal: x }),
    (x) => t.works({ signal: x }),
  );
  if (works.includes(false)) return undefined;
  const parts: TextParts =
    partition.by === 'range' ? partition : { by: 'text', count: partition.count, seed: work.seed };
  if (!isTimed) return { partition: parts, why: 'as asked: digests of texts, made in the databases' };

  const took = { texts: 0, rows: 0 };
  const differing = { texts: 0, rows: 0 };
  let tried = 0;
  for (const [i, range] of trials.entries()) {
    const inside: Work = {
      ...work,
      selections: { source: { ...selections.source, range }, target: { ...selections.target, range } },
    };
    const ways = {
      texts: () => compareTexts(inside, readers, parts),
      rows: () => compareDigests(inside, readers, partition, spec),
    };
    // the first to read a range may read it from disk: each way is the first once
    const order = i % 2 === 0 ? (['rows', 'texts'] as const) : (['texts', 'rows'] as const);
    for (const way of order) {
      const began = clock.elapsed();
      const found = await ways[way]();
      took[way] += clock.elapsed() - began;
      differing[way] += found.differing.length;
      if (way === 'texts') tried += Math.max(found.rows.source, found.rows.target);
    }
    // slower although what it read had just been read, or texts that are written differently for equal values
    if (took.texts > took.rows || differing.texts > differing.rows) return undefined;
  }
  const said = `${grouped(tried)} rows took ${Math.round(took.texts)} ms in the databases, and ${Math.round(took.rows)} ms read`;
  return took.texts < took.rows * clearly ? { partition: parts, why: `by md5 in the databases: ${said}` } : undefined;
};

/** Two ranges of keys that each hold about `trialRows`; none where a range costs more than its rows. */
const trialRanges = async (
  work: Work,
  readers: Sides<Reader>,
  partition: Partition,
  keys: readonly Key[],
  rows: number,
): Promise<readonly KeyRange[]> => {
  const { selections, signal } = work;
  if (selections.source.range !== undefined || selections.target.range !== undefined || keys.length < 40) return [];
  if (partition.by !== 'range') {
    const cheap = await both(
      signal,
      async (x) => (await readers.source.ranges?.(selections.source, { signal: x })) === true,
      async (x) => (await readers.target.ranges?.(selections.target, { signal: x })) === true,
    );
    if (cheap.includes(false)) return [];
  }
  const gap = Math.max(
    1,
    Math.min(Math.floor(keys.length / 20), Math.round((keys.length * trialRows) / Math.max(1, rows))),
  );
  return [1, 2].map((third) => {
    const from = Math.floor((keys.length * third) / 3);
    return { from: keys[from]!, to: keys[from + gap]! };
  });
};
