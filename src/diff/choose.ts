import { grouped } from '../lib/grouped.ts';
import type { HashSpec } from '../model/hash/spec.ts';
import { compareKeys } from '../model/order.ts';
import type { Reader } from '../model/reader.ts';
import type { Key } from '../model/row.ts';
import type { Partition, Selection } from '../model/selected.ts';
import { keyTypes } from '../model/selection.ts';
import { both } from './concurrent.ts';
import type { Sides, Work } from './context.ts';
import { keyIsGuaranteed, keyMayBeNull } from './key.ts';
import { mergeRuns } from './merge.ts';
import { type Reading, readRuns } from './runs.ts';
import { exactly } from './settle.ts';
import { type TextParts, textParts } from './texts.ts';

/** How one pair is compared, and why (for `--explain`). */
export type Choice =
  | ({ readonly path: 'digest'; readonly partition: Partition } & Hashed)
  /** Digests by the text hash, made in the databases. */
  | ({ readonly path: 'texts'; readonly partition: TextParts } & Hashed)
  | ({ readonly path: 'hashes' } & Hashed)
  | ({ readonly path: 'key_hashes' } & Hashed)
  | { readonly path: 'rows'; readonly why: string };

interface Hashed extends CommonHash {
  readonly why: string;
}

/** A row hash that both sides can make. */
export interface CommonHash {
  readonly spec: HashSpec;
  /** Columns (indexes) whose difference must be judged on values: a tolerance, or equal values may hash apart. */
  readonly soft: ReadonlySet<number>;
}

/** Columns with a tolerance. */
export const tolerant = (work: Work): ReadonlySet<number> =>
  new Set(work.pair.columns.flatMap((c, i) => (c.tolerance ? [i] : [])));

/** Tables up to this many rows are streamed at once: a probe would cost more than it saves. */
const smallRows = 20_000;
/** Keys looked up on both sides before choosing, per side. */
const probeKeys = 1000;
/** Above this expected share of parts with a difference, streaming everything once is cheaper than drilling down. */
const touchedShare = 0.3;
/** Above this share of rows whose values are needed anyway, values are streamed. */
const valueShare = 0.02;

/** Differences with values up to this many are found again by the hash of their key. */
const mostWanted = 20_000;

/** More do not stay in a processor's cache while a database groups rows by them, which then costs more than their hashes. */
const mostBuckets = 2048;

const count = (n: number): string => grouped(Math.round(n));

/** The hash both sides can make of every column, or why they cannot. */
export const commonHash = (work: Work, readers: Sides<Reader>): CommonHash | string => {
  const { transform, sample } = work.pair;
  if (sample) return 'only a sample of them is read';
  if (transform) return `they are transformed or validated first (${transform.description})`;
  const [s, t] = [readers.source.hashing, readers.target.hashing];
  if (!s || !t) return `${work.endpoints[s ? 'target' : 'source'].name} has no row hashes`;
  const form = (['bytes', 'hex'] as const).find((f) => s.forms.includes(f) && t.forms.includes(f));
  if (!form) return 'the two sides hash different forms of a value';
  const soft = new Set(tolerant(work));
  let sent = s.sendsJson === true && t.sendsJson === true;
  for (let i = 0; i < work.pair.columns.length; i++) {
    const a = s.supports(work.selections.source.columns[i]!);
    const b = t.supports(work.selections.target.columns[i]!);
    const name = work.pair.columns[i]!.source.name;
    if (!a || !b) return `${name} has no hash on both sides`;
    if (a === 'exact' && b === 'exact') continue;
    // A weak hash is of the engine's own rendering: between two engines it would differ in every row.
    if ((a === 'weak' || b === 'weak') && work.endpoints.source.engine !== work.endpoints.target.engine)
      return `${name} is rendered differently by the two engines`;
    // a text on one side is hashed as one on the other
    if (a !== b) sent = false;
    soft.add(i);
  }
  return { spec: { seed: work.seed, form, ...(sent ? { json: 'sent' } : {}) }, soft };
};

/** Chooses once, by the size of the table and a probe of sampled keys. */
export const choose = async (work: Work, readers: Sides<Reader>): Promise<Choice> => {
  const { pair, sink } = work;
  const hash = commonHash(work, readers);
  if (typeof hash === 'string') return { path: 'rows', why: `values are merged in key order: ${hash}` };
  const guaranteed = keyIsGuaranteed(pair);
  if (keyMayBeNull(pair))
    return { path: 'rows', why: 'values are merged in key order: the key may be NULL, so every row is looked at' };
  if (work.force === 'rows') return { path: 'rows', why: 'as asked: values are merged in key order' };
  const streamed = 'keys and row hashes of all rows are merged';
  if (!guaranteed) {
    const why = `no unique index guarantees the key on both sides: ${streamed}, duplicates counted`;
    return { path: 'hashes', ...hash, why };
  }
  if (work.force === 'hashes') return { path: 'hashes', ...hash, why: `as asked: ${streamed}` };
  if (work.force === 'key_hashes') {
    const why = 'as asked: hashes of keys and rows are merged';
    return isPairableByHash(work, readers, hash.soft)
      ? { path: 'key_hashes', ...hash, why }
      : { path: 'hashes', ...hash, why: `as asked: ${streamed}` };
  }
  const rows = await tableRows(work, readers);
  if (rows < smallRows && work.force === undefined)
    return { path: 'hashes', ...hash, why: `about ${count(rows)} rows: ${streamed}, a probe would cost more` };

  const probe = await probeSides(work, readers, hash);
  const found = `probe: ${count(probe.differing)} of ${count(probe.rows)} sampled keys differ`;
  const partition = await cut(work, readers, rows, probe.keys, hash.spec, mostBuckets);
  const parts = `${count(partition.count)} ${partition.by === 'range' ? 'key ranges' : "buckets of the key's hash"}`;
  const digest = {
    path: 'digest',
    partition,
    ...hash,
    why: `${found}: digests by ${parts}, then only those that differ`,
  } as const;
  if (work.force === 'digest') return digest;
  if (work.force === 'texts') {
    const texts = await textParts(work, readers, {
      partition,
      spec: hash.spec,
      keys: probe.keys,
      rows,
      isTimed: false,
    });
    return texts ? { ...digest, path: 'texts', ...texts } : digest;
  }
  const share = (n: number): number => n / Math.max(1, probe.rows);
  const wanted = sink.wanted(work.pair) > rows * valueShare ? share(probe.differing) : share(probe.open);
  if (wanted > valueShare)
    return { path: 'rows', why: `${found}, and their values are needed: values are merged in key order` };
  const touched = 1 - Math.exp(-(share(probe.differing) * rows) / partition.count);
  if (touched <= touchedShare) {
    const texts = await textParts(work, readers, { partition, spec: hash.spec, keys: probe.keys, rows, isTimed: true });
    return texts ? { ...digest, path: 'texts', ...texts, why: `${digest.why} (${texts.why})` } : digest;
  }
  const percent = Math.round(touched * 100);
  if (partition.by === 'hash' && sink.wanted(pair) <= mostWanted && isPairableByHash(work, readers, hash.soft)) {
    const why = `${found}, so about ${percent} % of ${parts} would differ: hashes of keys and rows are merged`;
    return { path: 'key_hashes', ...hash, why };
  }
  return { path: 'hashes', ...hash, why: `${found}, so about ${percent} % of ${parts} would differ: ${streamed}` };
};

/**
 * Can rows be paired by the hashes of their keys alone? Keys must be unique for certain; a filter needs each key that
 * is missing on one side looked up there, so that keys are wanted at once; and keys that are kept open are keys.
 */
export const isPairableByHash = (work: Work, { source, target }: Sides<Reader>, soft: ReadonlySet<number>): boolean =>
  source.hashing?.byKeyHash !== undefined &&
  target.hashing?.byKeyHash !== undefined &&
  work.pair.filter === undefined &&
  work.open === undefined &&
  ![...soft].some((i) => i < work.pair.keyWidth);

/** About how many rows the larger side has; counted where the engine has no estimate. */
export const tableRows = async (work: Work, readers: Sides<Reader>): Promise<number> => {
  const [s, t] = await both(
    work.signal,
    async (signal) => work.pair.source.estimatedRows ?? readers.source.count(work.selections.source, { signal }),
    async (signal) => work.pair.target.estimatedRows ?? readers.target.count(work.selections.target, { signal }),
  );
  return Math.max(s, t);
};

interface Probe {
  readonly rows: number;
  readonly differing: number;
  /** Of these, rows whose difference must be judged on values. */
  readonly open: number;
  readonly keys: readonly Key[];
}

/** About so many keys of each side, in order, each once. */
export const sampledKeys = async (
  { selections, signal }: Pick<Work, 'selections' | 'signal'>,
  readers: Sides<Reader>,
): Promise<readonly Key[]> => {
  const types = keyTypes(selections.source);
  const [s, t] = await both(
    signal,
    (x) => readers.source.sample(selections.source, probeKeys, { signal: x }),
    (x) => readers.target.sample(selections.target, probeKeys, { signal: x }),
  );
  const sorted = [...s.slice(0, 4 * probeKeys), ...t.slice(0, 4 * probeKeys)].sort((a, b) => compareKeys(types, a, b));
  return sorted.filter((key, i) => i === 0 || compareKeys(types, sorted[i - 1]!, key) !== 0);
};

const probeSides = async (work: Work, readers: Sides<Reader>, { spec, soft }: CommonHash): Promise<Probe> => {
  const { selections, signal, onProgress, pair } = work;
  const types = keyTypes(selections.source);
  const keys = await sampledKeys(work, readers);
  if (keys.length === 0) return { rows: 0, differing: 0, open: 0, keys };
  const reading: Reading = { form: { kind: 'hash', spec }, types };
  const unequal = async (from: Sides<Selection>): Promise<number> => {
    let n = 0;
    const differ = (): void => void n++;
    await mergeRuns(
      types,
      (side, x) => readRuns(readers[side], from[side], { kind: 'keys', keys }, reading, x),
      { same: () => false, unequal: differ, duplicate: differ, breathe: () => undefined },
      signal,
    );
    return n;
  };
  const differing = await unequal(selections);
  const decided = soft.size === 0 || differing === 0 ? differing : await unequal(exactly(selections, soft));
  onProgress?.({ pair: pair.name, phase: 'probe', rows: keys.length, total: keys.length });
  return { rows: keys.length, differing, open: differing - decided, keys };
};

/** Ranges of a single integer key where rows are spread evenly over it, else buckets of the key's hash, `most` of them. */
export const cut = async (
  work: Work,
  readers: Sides<Reader>,
  rows: number,
  sampled: readonly Key[],
  spec: HashSpec,
  most = 16_384,
): Promise<Partition> => {
  const { selections, signal, pair } = work;
  const buckets: Partition = { by: 'hash', count: powerOfTwo(rows / 500, 1024, most), hash: spec };
  if (pair.keyWidth !== 1 || selections.source.columns[0]!.as.kind !== 'int') return buckets;
  const [s, t] = await both(
    signal,
    (x) => readers.source.keyBounds(selections.source, { signal: x }),
    (x) => readers.target.keyBounds(selections.target, { signal: x }),
  );
  const bounds = [s, t].filter((b) => b !== undefined);
  if (bounds.length === 0) return { by: 'range', origin: 0n, width: 1n, count: 1 };
  let { min, max } = bounds[0]!;
  for (const b of bounds) {
    if (b.min < min) min = b.min;
    if (b.max > max) max = b.max;
  }
  // A part costs a database about as much as eight rows, and one that differs is read again whole.
  const parts = Math.max(Math.min(4000, rows / 100), Math.min(10_000, rows / 250));
  const wanted = BigInt(Math.max(1, Math.ceil(parts)));
  const span = max - min + 1n;
  const width = (span + wanted - 1n) / wanted;
  const ranges: Partition = { by: 'range', origin: min, width, count: Number((span + width - 1n) / width) };
  // A sample by places in the key's range finds few keys when most rows share a small part of it.
  return sampled.length * 2 >= Math.min(rows, probeKeys) && isSpread(ranges, sampled) ? ranges : buckets;
};

/** No part holds more than 2 % of the sampled keys: a differing part stays cheap to look into. */
const isSpread = (ranges: Extract<Partition, { by: 'range' }>, sampled: readonly Key[]): boolean => {
  const held = new Map<bigint, number>();
  let most = 0;
  for (const [cell] of sampled) {
    if (cell === null || cell === undefined || !/^-?\d+$/.test(cell)) return false;
    const part = (BigInt(cell) - ranges.origin) / ranges.width;
    const n = (held.get(part) ?? 0) + 1;
    held.set(part, n);
    if (n > most) most = n;
  }
  return most <= Math.max(10, sampled.length * 0.02);
};

const powerOfTwo = (wanted: number, least: number, greatest: number): number => {
  let n = least;
  while (n < wanted && n < greatest) n *= 2;
  return n;
};
