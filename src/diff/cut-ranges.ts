import { compareKeys } from '../model/order.ts';
import type { Reader } from '../model/reader.ts';
import type { Key } from '../model/row.ts';
import type { ColumnType } from '../model/schema.ts';
import type { KeyRange, Selection } from '../model/selected.ts';
import { keyTypes, pairSelection } from '../model/selection.ts';
import { choose, tableRows } from './choose.ts';
import { both } from './concurrent.ts';
import { type DiffOptions, startWork, type Work } from './context.ts';
import { keyMayBeNull } from './key.ts';

/** A table of fewer rows is one range. */
const smallTable = 200_000;

/** How a pair is cut into ranges. */
export interface Cut {
  /** About how many ranges are wanted of a table of so many rows. */
  ranges(rows: number): number;
  /** A table of fewer rows is one range. Default `smallTable`. */
  readonly smallRows?: number;
}

/** Adjacent ranges of a pair's key, in order, unbounded at both ends; and how each is to be compared. */
export interface Ranges {
  readonly ranges: readonly KeyRange[];
  /** Chosen once, for all of them: to be forced. */
  readonly way: NonNullable<DiffOptions['force']>;
  /** Why. */
  readonly why: string;
}

/** Keys asked for per range and side: ranges are as even as their places among these. */
const keysPerRange = 40;
/** Where few keys were found, the places between them are looked at again so often. */
const rounds = 4;

/**
 * Cuts a pair into adjacent ranges of its key that hold about as many rows each. Undefined where that is not worth it: the table is small, or has no key, or one that may be NULL, or reading a range of it costs as much
 * as reading all on a side.
 */
export const cutRanges = async (options: DiffOptions, cut: Cut): Promise<Ranges | undefined> => {
  const { pair } = options;
  if (pair.keyWidth === 0 || keyMayBeNull(pair)) return undefined;
  const { signal } = options;
  const work = startWork(options, { source: pairSelection(pair, 'source'), target: pairSelection(pair, 'target') });
  const [source, target] = await work.snapshots();
  await using _source = source;
  await using _target = target;
  const readers = { source, target };
  const rows = await tableRows(work, readers);
  const wanted = cut.ranges(rows);
  if (wanted < 2 || rows < (cut.smallRows ?? smallTable)) return undefined;
  const [s, t] = await both(
    signal,
    async (x) => (await source.ranges?.(work.selections.source, { signal: x })) ?? false,
    async (x) => (await target.ranges?.(work.selections.target, { signal: x })) ?? false,
  );
  if (!s || !t) return undefined;
  const keys = await spreadKeys(work, readers, wanted * keysPerRange);
  const ranges = between(evenly(keys, wanted - 1));
  if (ranges.length < 2) return undefined;
  const { path, why } = await choose(work, readers);
  return { ranges, way: path, why };
};

/** Keys of both sides spread over the table, in order, each once. */
const spreadKeys = async (
  { selections, signal }: Work,
  readers: { readonly source: Reader; readonly target: Reader },
  wanted: number,
): Promise<readonly Key[]> => {
  const types = keyTypes(selections.source);
  const sampled = async (range: KeyRange, count: number): Promise<readonly Key[]> => {
    const within = (selection: Selection): Selection => ({ ...selection, range });
    const [s, t] = await both(
      signal,
      (x) => readers.source.sample(within(selections.source), count, { signal: x }),
      (x) => readers.target.sample(within(selections.target), count, { signal: x }),
    );
    return [...s, ...t];
  };
  let keys = inOrder(types, await sampled({}, wanted));
  // An engine that looks at places spread over the numbers finds few keys where most share a small part of them.
  for (let round = 1; round < rounds && keys.length > 0 && keys.length < wanted / 4; round++) {
    const found: Key[] = [];
    const gaps = between(keys);
    for (const gap of gaps) found.push(...(await sampled(gap, Math.ceil(wanted / gaps.length))));
    const more = inOrder(types, [...keys, ...found]);
    if (more.length === keys.length) break;
    keys = more;
  }
  return keys;
};

const inOrder = (types: readonly ColumnType[], keys: readonly Key[]): readonly Key[] =>
  [...keys]
    .sort((a, b) => compareKeys(types, a, b))
    .filter((key, i, all) => i === 0 || compareKeys(types, all[i - 1]!, key) !== 0);

/** `count` of the keys that cut the others into parts of about one size; the first key cuts nothing off. */
const evenly = (keys: readonly Key[], count: number): readonly Key[] => {
  const places = new Set(Array.from({ length: count }, (_, i) => Math.round(((i + 1) * keys.length) / (count + 1))));
  return keys.filter((_, i) => i > 0 && places.has(i));
};

/** The ranges between keys, unbounded at both ends. */
const between = (cuts: readonly Key[]): readonly KeyRange[] =>
  Array.from({ length: cuts.length + 1 }, (_, i) => ({
    ...(i > 0 ? { from: cuts[i - 1]! } : {}),
    ...(i < cuts.length ? { to: cuts[i]! } : {}),
  }));
