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
  /** Its own, or those of both sides. */
  readonly plans: readonly Plan[];
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

/** The plans that a run made: one, or one for each side. */
const plansOf = async (store: Pick<Store, 'plans'>, run: Run, o: Cancel): Promise<readonly Plan[]> => {
  const report = (run.report ?? {}) as {
    readonly sides?: Readonly<Record<string, { readonly plan?: string }>>;
    readonly plans?: Readonly<Record<string, string>>;
  };
  const sides = Object.values(report.sides ?? {}).map((side) => side.plan);
  const ids = new Set([run.plan, ...sides, ...Object.values(report.plans ?? {})]);
  const plans: Plan[] = [];
  for (const id of ids) {
    const plan = id === null || id === undefined || id === '' ? undefined : await store.plans.get(id, o);
    if (plan !== undefined) plans.push(plan);
  }
  return plans;
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
  const plans = await plansOf(store, run, o);
  return {
    run,
    plan: plans.find((p) => p.header.id === run.plan),
    plans,
    tally: await store.journal.tally(run.id, o),
    open: (await store.journal.open(run.id, o)).length,
    exceptions,
    more,
  };
};
