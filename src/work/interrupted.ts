import { LockstepError } from '../model/errors.ts';
import type { Plan } from '../model/plans.ts';
import type { Run } from '../model/runs.ts';
import { checkTarget } from './check-plan.ts';
import { measuredReport } from './measures.ts';
import { hasBegun } from './recorded.ts';
import { type ApplyWork, underLock } from './under-lock.ts';

/** The plan of a run that has begun to write to this target and has not settled all of it; undefined: nothing is open. */
const halfWritten = async (o: ApplyWork, run: Run): Promise<Plan | undefined> => {
  const plan = run.plan === null || !hasBegun(run) ? undefined : await o.store.plans.get(run.plan, o);
  if (plan === undefined) return undefined;
  try {
    checkTarget(plan, o.target);
  } catch (error) {
    // Another database's run: not ours to finish.
    if (error instanceof LockstepError && error.code === 'WRONG_TARGET') return undefined;
    throw error;
  }
  return (await o.store.journal.open(run.id, o)).length === 0 ? undefined : plan;
};

/** Settles what a run of this process has begun to write to this target, and writes nothing more. */
export const settleRun = async (o: ApplyWork, run: Run): Promise<void> => {
  const plan = await halfWritten(o, run);
  if (plan !== undefined) await underLock({ ...o, stop: AbortSignal.abort() }, plan, run, true);
};

/** Settles a run that is held; one that no worker goes on with ends so. */
const settle = async (o: ApplyWork, plan: Plan, run: Run): Promise<void> => {
  await underLock({ ...o, stop: AbortSignal.abort() }, plan, run, true);
  if (run.asked !== undefined) return;
  const business = await measuredReport(o.store, run.id, plan, o.measures, o);
  await o.store.runs.finish(
    run.id,
    {
      state: 'cancelled',
      exit: 130,
      finished: o.clock.now(),
      ...(Object.keys(business).length === 0 ? {} : { report: business }),
      error: { code: 'ABORTED', message: 'Its process ended before it was done; its open writes have been settled.' },
    },
    o,
  );
};

/**
 * Runs whose process died while writing to this target: their journaled intents are finished before anybody looks
 * for differences again, otherwise half-done work would be read as new edits. What they had not begun is left to the
 * next plan.
 */
export const finishInterrupted = async (
  o: ApplyWork & { /** The run of who asks. */ readonly except?: string },
): Promise<readonly Run[]> => {
  const finished: Run[] = [];
  // Those that wait for a worker again have been left by one.
  const waiting = await o.store.runs.list({ states: ['queued'], limit: 1000 }, o);
  for (const run of [...(await o.store.runs.unfinished(o)), ...waiting]) {
    const plan = run.id === o.except ? undefined : await halfWritten(o, run);
    if (plan === undefined) continue;
    const held = await o.store.runs.resume(run.id, { ...o, left: true });
    try {
      await settle(o, plan, held);
    } catch (error) {
      // Held by a process that is not at work on it, the next try would take it for a live one, and compare over it.
      await o.store.runs.putBack(run.id, { signal: AbortSignal.timeout(10_000) }).catch(() => {});
      throw error;
    }
    // A worker goes on with it.
    if (run.asked !== undefined) await o.store.runs.putBack(run.id, o);
    else finished.push(held);
  }
  return finished;
};
