import { LockstepError } from '../model/errors.ts';
import type { Plan, Run } from '../model/store.ts';
import { type ApplyWork, checkTarget, underLock } from './apply.ts';
import { measuredReport } from './measures.ts';
import { hasBegun } from './recorded.ts';

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
    const held = await o.store.runs.resume(run.id, o);
    const stop = AbortSignal.abort();
    await underLock({ ...o, stop }, plan, held, true);
    if (run.asked !== undefined) {
      // A worker goes on with it.
      await o.store.runs.putBack(run.id, o);
      continue;
    }
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
    finished.push(held);
  }
  return finished;
};
