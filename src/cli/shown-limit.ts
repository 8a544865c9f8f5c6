import type { DifferenceSink } from '../diff/context.ts';
import type { Pair } from '../model/pair.ts';
import type { CompareReport, PairReport } from '../model/report.ts';
import type { ShownPair } from '../work/shown-difference.ts';
import type { DiffOutput } from './output/diff-output.ts';
import { fairShares } from './output/shares.ts';

/** The facts of a pair that output needs. */
export const shownPair = (pair: Pair, target: string): ShownPair => ({
  name: pair.name,
  target,
  targetTable: pair.target,
  columns: pair.columns.map((c) => ({
    source: c.source.name,
    target: c.target.name,
    as: c.as,
    native: c.target.native,
  })),
  keyWidth: pair.keyWidth,
});

/** Hands differences to an output: the first `limit` that come, or, for people, a fair share of each pair. */
export interface LimitedSink extends DifferenceSink {
  /** Of each pair by name, how many of those handed over are shown. */
  shares(): ReadonlyMap<string, number>;
}

export const limitedSink = (output: DiffOutput, limit: number, o: { readonly shared: boolean }): LimitedSink => {
  const given = new Map<string, number>();
  const pairs = new Map<string, ShownPair>();
  const known = (pair: Pair): ShownPair => {
    let found = pairs.get(pair.name);
    if (!found) {
      const { schema, name } = pair.target;
      found = shownPair(pair, schema === undefined ? name : `${schema}.${name}`);
      pairs.set(pair.name, found);
    }
    return found;
  };
  /** What a pair may still show, were it the only one to find more: other pairs can only make it less. */
  const room = (pair: Pair): number => {
    const own = given.get(pair.name) ?? 0;
    const others = [...given].filter(([name]) => name !== pair.name).map(([, n]) => n);
    if (!o.shared) return limit - own - others.reduce((a, b) => a + b, 0);
    return Math.max(0, fairShares([Number.POSITIVE_INFINITY, ...others], limit)[0]! - own);
  };
  return {
    shares: () => {
      const counts = [...given.values()];
      const shares = o.shared ? fairShares(counts, limit) : counts;
      return new Map([...given.keys()].map((name, i) => [name, shares[i]!]));
    },
    wanted: room,
    write: async (pair, differences) => {
      const most = room(pair);
      const some = differences.length <= most ? differences : differences.slice(0, most);
      given.set(pair.name, (given.get(pair.name) ?? 0) + some.length);
      for (const difference of some) await output.difference(known(pair), difference);
    },
  };
};

/** How many of them are shown. */
export const shownCount = (shares: ReadonlyMap<string, number>): number =>
  [...shares.values()].reduce((a, b) => a + b, 0);

export const differencesOf = (p: PairReport): number => p.different + p.only_in_source + p.only_in_target;

export const differencesFound = (report: CompareReport): number =>
  report.pairs.reduce((n, p) => n + differencesOf(p), 0);
