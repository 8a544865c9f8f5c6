import { LockstepError } from '../model/errors.ts';
import type { Run } from '../model/store.ts';
import { type ApplyWork, checkTarget, underLock } from './apply.ts';
import { measuredReport } from './measures.ts';
import { hasBegun } from './recorded.ts';

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
    if (run.plan === null || run.id === o.except || !hasBegun(run)) continue;
    const plan = await o.store.plans.get(run.plan, o);
    if (plan === undefined) continue;
    try {
      checkTarget(plan, o.target);
    } catch (error) {
      // Another database's run: not ours to finish.
      if (error instanceof LockstepError && error.code === 'WRONG_TARGET') continue;
      throw error;
    }
    if ((await o.store.journal.open(run.id, o)).length === 0) continue;
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
