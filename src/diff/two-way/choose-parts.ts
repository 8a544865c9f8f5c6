import { grouped } from '../../lib/grouped.ts';
import type { Reader } from '../../model/reader.ts';
import type { Key } from '../../model/row.ts';
import type { Partition } from '../../model/selected.ts';
import { keyTypes } from '../../model/selection.ts';
import { cut, sampledKeys, tableRows } from '../choose.ts';
import type { Sides } from '../context.ts';
import { keyIsGuaranteed } from '../key.ts';
import { type Reading, readRuns } from '../runs.ts';
import { mergeThree } from './merge-three.ts';
import type { TwoWayWork, Ways } from './options.ts';

/** Tables up to this many rows are streamed at once: a probe would cost more than it saves. */
const smallRows = 20_000;
/** Above this expected share of parts that are not as agreed, streaming everything once is cheaper than drilling down. */
const touchedShare = 0.3;
/** Buckets, at most: the sums of more leave the cache of a server. */
const mostBuckets = 16_384;

/** Digests by parts first, or keys and hashes of all rows at once; and why. */
export interface PartsChoice {
  readonly partition?: Partition;
  readonly why: string;
}

/** Chooses once, by the size of the table and a probe of sampled keys. `readers` with hashes of their rows. */
export const chooseParts = async (work: TwoWayWork, readers: Sides<Reader>, ways: Ways): Promise<PartsChoice> => {
  const { pair, two } = work;
  const streamed = 'keys and row hashes of both sides and of what was agreed are merged';
  const here = (['source', 'target'] as const).find((side) => ways[side] === 'process');
  if (here !== undefined) {
    const name = work.endpoints[here].name;
    return { why: `rows of ${name} are hashed here, so all of them are read: ${streamed}` };
  }
  if (!keyIsGuaranteed(pair))
    return { why: `no unique index guarantees the key on both sides: ${streamed}, duplicates counted` };
  if (two.force === 'merge') return { why: `as asked: ${streamed}` };
  const rows = await tableRows(work, readers);
  if (rows < smallRows && two.force === undefined)
    return { why: `about ${grouped(rows)} rows: ${streamed}, a probe would cost more` };
  const probe = await probeSides(work, readers);
  const found = `probe: ${grouped(probe.changed)} of ${grouped(probe.keys.length)} sampled keys are not as agreed`;
  const share = probe.changed / Math.max(1, probe.keys.length);
  const partition = finer(await cut(work, readers, rows, probe.keys, two.archive.archive.facts.hash), share * rows);
  const parts = `${grouped(partition.count)} ${partition.by === 'range' ? 'key ranges' : "buckets of the key's hash"}`;
  const digest = { partition, why: `${found}: digests by ${parts}, then only those that are not as agreed` };
  if (two.force === 'digest') return digest;
  const touched = 1 - Math.exp(-(share * rows) / partition.count);
  if (touched <= touchedShare) return digest;
  return { why: `${found}, so about ${Math.round(touched * 100)} % of ${parts} would not be: ${streamed}` };
};

/** More buckets where changes are expected, so that most of them have none. */
const finer = (partition: Partition, changes: number): Partition => {
  if (partition.by === 'range') return partition;
  let { count } = partition;
  while (count < mostBuckets && count < 8 * changes) count *= 2;
  return { ...partition, count };
};

const probeSides = async (
  work: TwoWayWork,
  readers: Sides<Reader>,
): Promise<{ readonly keys: readonly Key[]; readonly changed: number }> => {
  const { selections, signal, pair, two } = work;
  const { archive } = two.archive;
  const types = keyTypes(selections.source);
  const keys = await sampledKeys(work, readers);
  if (keys.length === 0) return { keys, changed: 0 };
  const reading: Reading = { form: { kind: 'hash', spec: archive.facts.hash }, types };
  let changed = 0;
  const count = (): void => void changed++;
  await mergeThree(
    types,
    (side, x) => readRuns(readers[side], selections[side], { kind: 'keys', keys }, reading, x),
    (x) => archive.hashes({ keys }, { signal: x }),
    false,
    { met: count, duplicate: count, breathe: () => undefined },
    signal,
  );
  work.onProgress?.({ pair: pair.name, phase: 'probe', rows: keys.length, total: keys.length });
  return { keys, changed };
};
