import { randomSeed } from '../lib/ids.ts';
import { LockstepError } from '../model/errors.ts';
import type { JsonValue } from '../model/json.ts';
import type { Store } from '../model/store.ts';
import { type ConnectedSides, describeSide } from '../service/connect.ts';
import { applySettingsOf, approvalsOfJob, type Job, scopeOf } from '../service/job.ts';
import type { PlanInput } from '../work/make-plan.ts';
import { factsOf } from '../work/recorded.ts';
import type { Context } from './context.ts';
import { askedBy } from './control.ts';
import type { ProgressView } from './progress.ts';

/** What the use cases that plan are given, from a job and what is open. */
export const planInput = async (
  context: Context,
  job: Job,
  open: {
    readonly store: Store;
    readonly sides: ConnectedSides;
    readonly progress: ProgressView;
    readonly signal: AbortSignal;
  },
): Promise<PlanInput> => {
  const { mode } = job;
  if (mode === 'compare' || mode === 'two_way') {
    throw new LockstepError('USAGE', `mode ${mode} plans nothing`, {
      hint: 'Modes that write: mirror, upsert, insert_only, update_only.',
    });
  }
  const [source, target] = await Promise.all([describeSide(context, job.source), describeSide(context, job.target)]);
  return {
    ...askedBy(context),
    store: open.store,
    source: open.sides.source,
    target: open.sides.target,
    ...scopeOf(job),
    sync: job.sync,
    // what a migration writes once its tables are there
    mode: mode === 'migrate' ? 'upsert' : mode,
    guards: job.guards,
    ...approvalsOfJob(job),
    settings: applySettingsOf(job) as JsonValue,
    facts: { source: factsOf(open.sides.source, source), target: factsOf(open.sides.target, target) },
    settleMs: job.settleMs,
    ...(job.incremental === undefined ? {} : { incremental: job.incremental }),
    clock: context.clock,
    seed: randomSeed(),
    signal: open.signal,
    onProgress: open.progress.tick,
  };
};
