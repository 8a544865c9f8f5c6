import { randomSeed } from '../lib/ids.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import type { EndpointFacts } from '../model/runs.ts';
import { findPlan } from '../work/find-plan.ts';
import { guardRevert, inRequest } from '../work/revert-guard.ts';
import { findRun } from '../work/runs.ts';
import { applyTwoWay } from '../work/two-way/apply-plan.ts';
import type { TwoWayInput } from '../work/two-way/context.ts';
import { goesByArchive } from '../work/two-way/goes-by-archive.ts';
import { openTwoWay } from '../work/two-way/open.ts';
import { childRuns, refusePart, revertTwoWay } from '../work/two-way/revert.ts';
import { applySettingsOf, type Job, jobOfSync, scopeOf } from './job.ts';
import { basics, type Kind, measuresOf, opened, type RunWork, type RunWorld, syncNamed } from './run-world.ts';

/** Both sides of a sync, as they are open. */
interface OpenSides {
  readonly source: Endpoint;
  readonly target: Endpoint;
  readonly facts: { readonly source: EndpointFacts; readonly target: EndpointFacts };
}

/** What the use cases of a sync that keeps an archive are given. */
export const twoWayInput = (w: RunWorld, x: RunWork, job: Job, sides: OpenSides): TwoWayInput => ({
  ...basics(w, x),
  ...measuresOf(w),
  ...scopeOf(job),
  ...sides,
  sync: job.sync!,
  rules: job.twoWay!,
  ...(job.partial ? { partial: true } : {}),
  guards: job.guards,
  settings: applySettingsOf(job),
  settleMs: job.settleMs,
  seed: randomSeed(),
  random: w.random,
  stop: x.stop,
});

/** Both sides of the sync that a stored plan or run is of, to be written to. */
const withBothSides = async (
  w: RunWorld,
  x: RunWork,
  name: string,
  use: (input: TwoWayInput) => Promise<void>,
): Promise<void> => {
  const sync = syncNamed(w.config, name);
  const job = jobOfSync(w.config, sync, {}, true);
  if (job.twoWay === undefined)
    throw new LockstepError('USAGE', `sync \`${name}\` keeps no archive any more: nothing was written`, {
      hint: 'What it had planned or written went by what both sides had agreed on. Set mode: two_way, or make a new plan.',
    });
  const [source, sourceFacts] = await opened(w, sync.source, job.mode === 'two_way', x);
  await using _source = source;
  const [target, targetFacts] = await opened(w, sync.target, true, x);
  await using _target = target;
  await use(twoWayInput(w, x, job, { source, target, facts: { source: sourceFacts, target: targetFacts } }));
};

/** A plan or run of a sync that keeps an archive is applied or reverted on both sides; false: it is none. */
export const appliedBoth = async (
  w: RunWorld,
  x: RunWork,
  request: Kind<'apply'> | Kind<'revert'>,
): Promise<boolean> => {
  if (request.kind === 'apply') {
    const plan = await findPlan(x.store, request.plan, x);
    if (plan.header.sync === null || !goesByArchive(plan)) return false;
    await withBothSides(w, x, plan.header.sync, async (input) => {
      await applyTwoWay({ ...input, plan, two: await openTwoWay(input) });
    });
    return true;
  }
  const run = await findRun(x.store, request.run, x);
  await refusePart(x.store, run, x);
  if (run.sync === null || (await childRuns(x.store, run, x)).length === 0) return false;
  await withBothSides(w, x, run.sync, async (input) => {
    const { settings: _, guards: __, rules: ___, ...rest } = input;
    const gone: string[] = [];
    await revertTwoWay({
      ...rest,
      run,
      two: await openTwoWay(input),
      confirm: async (side, planned) => {
        guardRevert(planned, request, inRequest, gone);
        gone.push(input[side].name);
        return true;
      },
    });
  });
  return true;
};
