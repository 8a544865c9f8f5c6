import type { Difference } from '../../model/change.ts';
import type { Pair } from '../../model/pair.ts';
import type { Row } from '../../model/row.ts';
import type { TwoWaySide } from '../../model/two-way-runs.ts';

/** A pair seen from its other side: what is planned for its target is written to the source. */
export interface Turned {
  readonly pair: Pair;
  /** Which of the pair's columns it has: those that can be written to the source. */
  readonly columns: readonly number[];
}

const known = new WeakMap<Pair, Turned>();

/**
 * The pair seen from the other side, over the source as it is stored. Columns that a transformation makes are told
 * backwards where that can be done; the others are left out: they follow from what is stored. Made once for a pair.
 */
export const turned = (pair: Pair): Turned => {
  const made = known.get(pair) ?? turn(pair);
  known.set(pair, made);
  return made;
};

const turn = (pair: Pair): Turned => {
  const { transform, filter, sample } = pair;
  const raw = transform?.raw ?? pair.source;
  const made = new Set([
    ...(transform?.oneWay.map((c) => c.column) ?? []),
    ...(transform?.backwards.map((c) => c.column) ?? []),
  ]);
  const ways = new Map(transform?.backwards.map((c) => [c.column, c]));
  const columns = pair.columns.flatMap((c, i) => (made.has(c.source.name) && !ways.has(c.source.name) ? [] : [i]));
  const rewrites = columns.map((i) => ways.get(pair.columns[i]!.source.name));
  return {
    columns,
    pair: {
      name: pair.name,
      source: pair.target,
      target: raw,
      columns: columns.map((i) => {
        const c = pair.columns[i]!;
        const stored = raw.columns.find((column) => column.name === c.source.name) ?? c.source;
        return { ...c, source: c.target, target: stored };
      }),
      keyWidth: pair.keyWidth,
      ...(filter === undefined
        ? {}
        : {
            filter: {
              ...(filter.target === undefined ? {} : { source: filter.target }),
              ...(filter.source === undefined ? {} : { target: filter.source }),
            },
          }),
      ...(sample === undefined ? {} : { sample }),
      notCompared: pair.notCompared,
      ...(ways.size === 0 ? {} : { rewrites }),
      warnings: [],
    },
  };
};

/** The pair so that this side is its target. */
export const seenFrom = (side: TwoWaySide, pair: Pair): Pair => (side === 'target' ? pair : turned(pair).pair);

const project = (row: Row, { columns }: Turned): Row => columns.map((i) => row[i]!);

/** A difference of the pair as the turned pair has it; undefined: it is only in columns that cannot be written. */
export const turnedDifference = (difference: Difference, pair: Pair): Difference | undefined => {
  const { key } = difference;
  const t = turned(pair);
  switch (difference.kind) {
    case 'only_in_source':
      return { key, kind: 'only_in_source', source: project(difference.source, t), target: null };
    case 'only_in_target':
      return { key, kind: 'only_in_target', source: null, target: project(difference.target, t) };
    case 'different': {
      const places = new Map(t.columns.map((from, to) => [from, to]));
      const columns = difference.columns.flatMap((i) => places.get(i) ?? []);
      if (columns.length === 0) return undefined;
      return {
        key,
        kind: 'different',
        source: project(difference.source, t),
        target: project(difference.target, t),
        columns,
      };
    }
  }
};

/** A row of the turned pair as the pair has it; what cannot be written is as `rest` has it. */
export const turnedBack = (row: Row, rest: Row | null, pair: Pair): Row => {
  if (rest === null || row.length === rest.length) return row;
  const full = [...rest];
  turned(pair).columns.forEach((at, i) => {
    full[at] = row[i]!;
  });
  return full;
};
