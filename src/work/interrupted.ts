import { LockstepError } from '../model/errors.ts';
import type { Run } from '../model/store.ts';
import { type ApplyWork, checkTarget, underLock } from './apply.ts';
import { measuredReport } from './measures.ts';

/**
 * Runs whose process died while writing to this target: their journaled intents are finished before anybody looks
 * for differences again, otherwise half-done work would be read as new edits. What they had not begun is left to the
 * next plan.
 */
export const finishInterrupted = async (o: ApplyWork): Promise<readonly Run[]> => {
  const finished: Run[] = [];
  for (const run of await o.store.runs.unfinished(o)) {
    if (run.plan === null || (run.checkpoint as { begun?: boolean } | null)?.begun !== true) continue;
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
