import type { DifferenceSink } from '../diff/context.ts';
import type { Pair } from '../model/pair.ts';
import type { CompareReport } from '../model/report.ts';
import type { DiffOutput } from './output/diff-output.ts';
import type { ShownPair } from './output/difference.ts';

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

/** Hands the first `limit` differences to an output; `also` gets all of them (a store). */
export interface LimitedSink extends DifferenceSink {
  /** How many were shown. */
  readonly shown: number;
}

export const limitedSink = (
  output: DiffOutput,
  limit: number,
  also?: { add(pair: Pair, differences: Parameters<DifferenceSink['write']>[1]): Promise<void> },
): LimitedSink => {
  let shown = 0;
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
  return {
    get shown() {
      return shown;
    },
    wanted: () => (also ? Number.POSITIVE_INFINITY : limit - shown),
    write: async (pair, differences) => {
      await also?.add(pair, differences);
      for (const difference of differences) {
        if (shown >= limit) return;
        shown++;
        await output.difference(known(pair), difference);
      }
    },
  };
};

export const differencesFound = (report: CompareReport): number =>
  report.pairs.reduce((n, p) => n + p.different + p.only_in_source + p.only_in_target, 0);
