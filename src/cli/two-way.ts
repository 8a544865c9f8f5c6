import { count } from '../lib/grouped.ts';
import { randomSeed } from '../lib/ids.ts';
import { LockstepError } from '../model/errors.ts';
import type { Plan } from '../model/plans.ts';
import type { Key } from '../model/row.ts';
import type { Run } from '../model/runs.ts';
import type { Store } from '../model/store.ts';
import { type ConnectedSides, connectBoth, describeSide } from '../service/connect.ts';
import { applySettingsOf, type Job, jobOfSync, scopeOf } from '../service/job.ts';
import { factsOf } from '../work/recorded.ts';
import { guardRevert } from '../work/revert-guard.ts';
import { applyTwoWay, plansTogether } from '../work/two-way/apply-plan.ts';
import { anyChange } from '../work/two-way/apply-sides.ts';
import type { TwoWayInput } from '../work/two-way/context.ts';
import { makeTwoWayPlan } from '../work/two-way/make-plan.ts';
import { openTwoWay } from '../work/two-way/open.ts';
import { revertTwoWay } from '../work/two-way/revert.ts';
import { syncTwoWay, type TwoWaySynced } from '../work/two-way/sync.ts';
import { configOf } from './config-of.ts';
import { confirm } from './confirm.ts';
import { type Context, type Flags, tell } from './context.ts';
import { askedBy } from './control.ts';
import { exitCodes } from './exit.ts';
import {
  twoWayAppliedJson,
  twoWayAppliedTable,
  twoWayJson,
  twoWayPlanJson,
  twoWayPlanTable,
  twoWayRevertedJson,
  twoWayRevertedTable,
  twoWayReview,
  twoWayTable,
} from './output/two-way-view.ts';
import type { ProgressView } from './progress.ts';
import { byFlag, revertLimits } from './revert-limits.ts';

interface Open {
  readonly store: Store;
  readonly sides: ConnectedSides;
  readonly progress: ProgressView;
  readonly format: 'table' | 'json';
}

/** What the use cases of a sync that keeps an archive are given. */
const inputOf = async (context: Context, job: Job, x: Omit<Open, 'format'>): Promise<TwoWayInput> => {
  if (job.sync === null || job.twoWay === undefined) {
    throw new LockstepError('USAGE', 'a two-way run needs a sync of a config file: it goes by what was agreed before', {
      hint: '`lockstep init SOURCE TARGET` writes one; then set mode: two_way.',
    });
  }
  const [source, target] = await Promise.all([describeSide(context, job.source), describeSide(context, job.target)]);
  return {
    ...askedBy(context),
    store: x.store,
    source: x.sides.source,
    target: x.sides.target,
    ...scopeOf(job),
    sync: job.sync,
    rules: job.twoWay,
    ...(job.partial ? { partial: true } : {}),
    guards: job.guards,
    settings: applySettingsOf(job),
    facts: { source: factsOf(x.sides.source, source), target: factsOf(x.sides.target, target) },
    settleMs: job.settleMs,
    ...(job.config === undefined ? {} : { measures: job.config.measures }),
    clock: context.clock,
    random: Math.random,
    seed: randomSeed(),
    signal: context.now,
    stop: context.stop,
    onProgress: x.progress.tick,
  };
};

const changesOf = (plans: readonly Plan[]): number =>
  plans.reduce((n, { header: { counts } }) => n + counts.insert + counts.update + counts.delete, 0);

const question = (plans: readonly Plan[]): string =>
  `Apply ${plans
    .filter((p) => changesOf([p]) > 0)
    .map((p) => `${count(changesOf([p]), 'change')} to ${p.header.target.name} (${p.header.target.description})`)
    .join(' and ')}?`;

/** `lockstep sync SYNC` of a sync that keeps an archive. */
export const syncBoth = async (
  context: Context,
  flags: Flags,
  job: Job,
  x: Open & { readonly most: number },
): Promise<number> => {
  const began = context.clock.elapsed();
  let declined = false;
  const synced = await syncTwoWay({
    ...(await inputOf(context, job, x)),
    confirm: async (planned) => {
      if (flags.yes) return true;
      x.progress.clear();
      await twoWayReview(context.err, x.store, planned, context.now);
      const go = await confirm(context, flags, question(Object.values(planned.plans)));
      declined = !go;
      return go;
    },
  });
  x.progress[Symbol.dispose]();
  if (x.format === 'json') await twoWayJson(context.out, synced);
  else await twoWayTable(context.out, synced, x.most, context.clock.elapsed() - began);
  if (declined) await tell(context, 'Declined: nothing was written.');
  return declined ? exitCodes.usage : synced.exit;
};

/** Writes what people have chosen, and nothing else: every other key waits for the next run of the sync. */
export const syncDecided = async (context: Context, job: Job, x: Omit<Open, 'format'>): Promise<TwoWaySynced> =>
  syncTwoWay({ ...(await inputOf(context, job, x)), onlyDecided: true });

/** `lockstep plan SYNC` of a sync that keeps an archive. */
export const planBoth = async (context: Context, flags: Flags, job: Job, x: Open & { readonly limit: number }) => {
  if (flags.out !== undefined) {
    throw new LockstepError('USAGE', 'the plans of a two-way sync cannot be exported: they are used together', {
      hint: 'Leave --out away, look at them with lockstep show, and apply them with lockstep apply PLAN.',
    });
  }
  const made = await makeTwoWayPlan(await inputOf(context, job, x));
  x.progress[Symbol.dispose]();
  if (x.format === 'json') await twoWayPlanJson(context.out, x.store, made, x.limit, context.now);
  else {
    const next = flags.quiet === true || !anyChange(made.planned.plans) ? [] : ['apply'];
    await twoWayPlanTable(context.out, x.store, made, { limit: x.limit, next: next.length > 0 }, context.now);
  }
  return made.exit;
};

/** The sync of a stored run or plan, as it is configured now, with both its sides. */
const configuredJob = async (context: Context, flags: Flags, sync: string | null, what: string): Promise<Job> => {
  const config = await configOf(context, flags);
  const found = sync === null ? undefined : config?.syncs[sync];
  if (config === undefined || found === undefined) {
    throw new LockstepError('NOT_FOUND', `${what} is of the two-way sync ${sync}, which is not configured here`, {
      hint: 'Run it where the config file is, or name that with --config: both sides and their policies are needed.',
    });
  }
  return jobOfSync(config, found, {}, true);
};

/** `lockstep apply PLAN` of one of the two plans of a two-way sync. */
export const applyBoth = async (
  context: Context,
  flags: Flags,
  plan: Plan,
  x: Omit<Open, 'sides'>,
): Promise<number> => {
  const job = await configuredJob(context, flags, plan.header.sync, `Plan ${plan.header.id}`);
  await using sides = await connectBoth(context, job, context.now);
  const input = await inputOf(context, job, { ...x, sides });
  const { plans } = await plansTogether(input, plan);
  const all = Object.values(plans);
  if (changesOf(all) > 0 && !(await confirm(context, flags, question(all)))) {
    await tell(context, 'Nothing was written.');
    return exitCodes.usage;
  }
  const done = await applyTwoWay({ ...input, plan, two: await openTwoWay(input) });
  x.progress[Symbol.dispose]();
  if (x.format === 'json') await twoWayAppliedJson(context.out, done);
  else await twoWayAppliedTable(context.out, done);
  return done.exit;
};

/** `lockstep revert RUN` of a run of a two-way sync. */
export const revertBoth = async (
  context: Context,
  flags: Flags,
  run: Run,
  x: Omit<Open, 'sides'> & { readonly only?: { readonly pair?: string; readonly key: Key } },
): Promise<number> => {
  const job = await configuredJob(context, flags, run.sync, `Run ${run.id}`);
  await using sides = await connectBoth(context, job, context.now);
  const input = await inputOf(context, job, { ...x, sides });
  const { settings: _, guards: __, rules: ___, ...rest } = input;
  let declined = false;
  /** Sides that are being written to, or have been. */
  const gone: string[] = [];
  const done = await revertTwoWay({
    ...rest,
    run,
    two: await openTwoWay(input),
    ...(flags.pin === true ? { pin: true } : {}),
    ...(x.only === undefined ? {} : { only: x.only }),
    confirm: async (side, planned) => {
      x.progress.clear();
      guardRevert(planned, revertLimits(flags), byFlag, gone);
      const { counts } = planned.plan.header;
      const n = counts.insert + counts.update + counts.delete;
      const go = await confirm(context, flags, `Take back ${count(n, 'change')} of ${run.id} in ${sides[side].name}?`);
      declined ||= !go;
      if (go) gone.push(sides[side].name);
      return go;
    },
  });
  x.progress[Symbol.dispose]();
  if (x.format === 'json') await twoWayRevertedJson(context.out, done);
  else await twoWayRevertedTable(context.out, done);
  if (flags.pin !== true) {
    await tell(
      context,
      `The next run of ${run.sync} settles these keys again as configured. To keep them as they are: --pin, then lockstep conflicts list.`,
    );
  }
  return declined ? exitCodes.usage : done.exit;
};
