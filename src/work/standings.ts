import { fullIsDue, type IncrementalRequest, settingsOf } from '../diff/incremental/request.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { IncrementalRule, Standing } from '../model/incremental.ts';
import type { Run } from '../model/runs.ts';
import type { Store } from '../model/store.ts';
import type { CompareOptions } from './compare.ts';

/** A sync is to be compared incrementally. */
export interface Incremental {
  readonly rule: IncrementalRule;
  /** Why all rows are to be compared this time, where the user asks for it. */
  readonly full?: string;
}

/** Where the pairs of a run start from, and where the next run can. */
export interface RunStandings {
  readonly incremental: NonNullable<CompareOptions['incremental']>;
  /** Makes this run's end the place to start from. To be called when the whole comparison has ended well. */
  keep(): Promise<void>;
}

export const runStandings = (
  o: Cancel & {
    readonly store: Pick<Store, 'standings'>;
    readonly sync: string;
    readonly incremental: Incremental;
    readonly source: Endpoint;
    readonly target: Endpoint;
  },
  run: Pick<Run, 'id' | 'started'>,
): RunStandings => {
  const { store, sync } = o;
  const { rule, full } = o.incremental;
  const concluded: (Standing & { readonly pair: string })[] = [];
  return {
    incremental: {
      request: async (pair): Promise<IncrementalRequest> => {
        const settings = settingsOf(pair, rule, { source: o.source, target: o.target });
        const earlier = await store.standings.get(sync, pair.name, settings, o);
        const why = earlier === undefined ? undefined : (full ?? fullIsDue(rule, earlier, run.started));
        return {
          rule,
          settings,
          run: run.id,
          at: run.started,
          ...(earlier === undefined ? {} : { earlier }),
          ...(why === undefined ? {} : { full: why }),
        };
      },
      concluded: (pair, standing) => {
        if (standing !== undefined) concluded.push({ ...standing, pair: pair.name });
      },
    },
    keep: () => store.standings.put(sync, concluded, o),
  };
};
