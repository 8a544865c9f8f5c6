import type { IncrementalRequest } from '../../src/diff/incremental/request.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { IncrementalRule, Standing } from '../../src/model/incremental.ts';
import type { Standings } from '../../src/model/store.ts';
import type { CompareOptions } from '../../src/work/compare.ts';
import { runStandings } from '../../src/work/standings.ts';
import { compareAll } from './tables.ts';

export const rule = (by: string, more: Partial<IncrementalRule> = {}): IncrementalRule => ({
  by: { source: by, target: by },
  sameColumn: true,
  overlapMs: 120_000,
  overlapCount: 10,
  deletes: 'keys',
  fullEvery: { ms: 86_400_000 },
  ...more,
});

const standingsInMemory = (): Standings & { readonly kept: Map<string, Standing> } => {
  const kept = new Map<string, Standing>();
  return {
    kept,
    get: async (sync, pair, settings) => kept.get(JSON.stringify([sync, pair, settings])),
    put: async (sync, standings) => {
      for (const { pair, ...standing } of standings)
        kept.set(JSON.stringify([sync, pair, standing.settings]), standing);
    },
  };
};

/** A sync that is compared again and again. */
export const incrementalRuns = (source: Endpoint, target: Endpoint, clock: Clock = systemClock) => {
  const store = { standings: standingsInMemory() };
  const signal = new AbortController().signal;
  let n = 0;
  return {
    standings: store.standings.kept,
    /** `die`: the process ends after the comparison, before it is kept where that one stood. */
    run: async (
      asked: IncrementalRule,
      more: Partial<CompareOptions> & {
        readonly full?: string;
        readonly die?: boolean;
        readonly limit?: number;
        readonly limits?: IncrementalRequest['limits'];
      } = {},
    ) => {
      const { full, die, limits, ...options } = more;
      const standings = runStandings(
        {
          store,
          sync: 's',
          signal,
          source,
          target,
          incremental: { rule: asked, ...(full === undefined ? {} : { full }) },
        },
        { id: `r_${++n}`, started: clock.now() },
      );
      const result = await compareAll(source, target, {
        clock,
        incremental: {
          ...standings.incremental,
          request: async (pair) => ({ ...(await standings.incremental.request(pair)), ...(limits ? { limits } : {}) }),
        },
        ...options,
      });
      if (!die) await standings.keep();
      const { pair } = result;
      return { ...result, facts: pair.incremental!, keys: result.differences.map((d) => d.key.join(',')) };
    },
  };
};
