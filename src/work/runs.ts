import type { Cancel } from '../model/cancel.ts';
import { LockstepError } from '../model/errors.ts';
import type { OutcomeStatus, Settled } from '../model/journal.ts';
import type { Plan } from '../model/plans.ts';
import type { Run, RunFilter } from '../model/runs.ts';
import type { Store } from '../model/store.ts';

/** `lockstep runs`: newest first. */
export const listRuns = (store: Pick<Store, 'runs'>, filter: RunFilter, o: Cancel): Promise<readonly Run[]> =>
  store.runs.list(filter, o);

export interface ShownRun {
  readonly run: Run;
  readonly plan: Plan | undefined;
  /** Sums of what its steps counted. */
  readonly tally: Readonly<Record<string, number>>;
  /** Writes that were begun and not settled: resume before anything else. */
  readonly open: number;
  /** What did not go as planned, the first ones. */
  readonly exceptions: readonly Settled[];
  /** There are more exceptions than are shown. */
  readonly more: boolean;
}

const exceptional: readonly OutcomeStatus[] = ['already', 'moved', 'rejected', 'conflict', 'skipped'];

/** A run by its id or the beginning of one; NOT_FOUND. */
export const findRun = async (store: Pick<Store, 'runs'>, id: string, o: Cancel): Promise<Run> => {
  const run = await store.runs.get(id, o);
  if (run !== undefined) return run;
  throw new LockstepError('NOT_FOUND', `There is no run ${id} in this control store, or several begin like that.`, {
    hint: 'List them: lockstep runs',
  });
};

/** `lockstep show RUN`. */
export const showRun = async (store: Store, id: string, o: Cancel & { readonly limit: number }): Promise<ShownRun> => {
  const run = await findRun(store, id, o);
  const exceptions: Settled[] = [];
  let more = false;
  for await (const batch of store.journal.outcomes(run.id, { signal: o.signal, statuses: exceptional })) {
    const room = o.limit - exceptions.length;
    exceptions.push(...batch.slice(0, room));
    if (batch.length > room) {
      more = true;
      break;
    }
  }
  return {
    run,
    plan: run.plan === null ? undefined : await store.plans.get(run.plan, o),
    tally: await store.journal.tally(run.id, o),
    open: (await store.journal.open(run.id, o)).length,
    exceptions,
    more,
  };
};
