import type { Config, Sync } from '../config/config.ts';
import { randomSeed } from '../lib/ids.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import type { JsonValue } from '../model/json.ts';
import type { EndpointFacts } from '../model/runs.ts';
import type { RunRequest } from '../model/service.ts';
import type { Store } from '../model/store.ts';
import { apply } from '../work/apply.ts';
import { compareExit } from '../work/compare-exit.ts';
import { findPlan } from '../work/find-plan.ts';
import { makePlan, type PlanInput } from '../work/make-plan.ts';
import { migrate } from '../work/migrate.ts';
import { recorded } from '../work/recorded.ts';
import { type RevertPlan, revert } from '../work/revert.ts';
import { guardRevert, inRequest } from '../work/revert-guard.ts';
import { findRun } from '../work/runs.ts';
import { type SaveDiffInput, saveDiff } from '../work/save-diff.ts';
import { sync as syncWork } from '../work/sync.ts';
import { makeTwoWayPlan } from '../work/two-way/make-plan.ts';
import { syncTwoWay } from '../work/two-way/sync.ts';
import type { ApplyWork } from '../work/under-lock.ts';
import { approvalRuleOf } from './approvals.ts';
import { madeReport, makeBackups } from './backups.ts';
import { copied } from './execute-copy.ts';
import { appliedBoth, twoWayInput } from './execute-two-way.ts';
import { applySettingsOf, approvalsOfJob, type Job, jobOfSync, scopeOf } from './job.ts';
import { basics, type Kind, measuresOf, missing, opened, type RunWork, type RunWorld, syncNamed } from './run-world.ts';
import { type SpreadOptions, spreadOver } from './segments.ts';

type SyncRequest = Extract<RunRequest, { readonly sync: string }>;

/** Does it compare a sync, whatever comes of it? */
export const comparesSync = (request: RunRequest): request is SyncRequest =>
  request.kind === 'diff' || request.kind === 'plan' || request.kind === 'sync' || request.kind === 'verify';

/** A configured sync as a request wants it. Throws what is wrong with the request. */
export const jobOfRequest = (config: Config, request: SyncRequest): Job => {
  const { kind, tables, full, maxChanges, allowDeletes } = request;
  const compares = kind === 'diff' || kind === 'verify';
  const job = jobOfSync(
    config,
    syncNamed(config, request.sync),
    {
      ...(tables === undefined ? {} : { only: tables.map((t) => [t, t] as const) }),
      ...(kind === 'verify' || full === true ? { full: `asked for by ${kind === 'verify' ? 'verify' : 'full'}` } : {}),
      ...(maxChanges === undefined ? {} : { maxChanges }),
      ...(allowDeletes === undefined ? {} : { allowDeletes }),
    },
    !compares,
  );
  if (request.onlyDecided !== true || job.twoWay !== undefined) return job;
  throw new LockstepError('USAGE', `sync \`${job.sync}\` keeps no archive, so there are no decisions to be written`, {
    hint: 'Set mode: two_way, or say how its conflicts are settled.',
  });
};

/** The endpoints that a run connects to, by name, and whether it writes there. */
export const endpointsOf = async (
  config: Config,
  store: Store,
  request: RunRequest,
  o: Cancel,
): Promise<readonly { readonly name: string; readonly writable: boolean }[]> => {
  switch (request.kind) {
    case 'apply': {
      const { header } = await findPlan(store, request.plan, o);
      return [{ name: targetName(config, header.sync, header.target), writable: true }];
    }
    case 'revert': {
      const run = await findRun(store, request.run, o);
      if (run.target === null) throw new LockstepError('NOT_FOUND', `Run ${run.id} has no target.`);
      return [{ name: targetName(config, run.sync, run.target), writable: true }];
    }
    case 'copy':
    case 'assess':
      return [
        { name: request.source, writable: false },
        ...(request.target === undefined ? [] : [{ name: request.target, writable: true }]),
      ];
    case 'backup':
      return [];
    default: {
      const sync = syncNamed(config, request.sync);
      const writable = request.kind === 'plan' || request.kind === 'sync';
      return [
        { name: sync.source, writable: writable && sync.mode === 'two_way' },
        { name: sync.target, writable },
      ];
    }
  }
};

/** Where a stored plan or run is to be written: its sync's target now, else the endpoint of its recorded name. */
const targetName = (config: Config, sync: string | null, facts: EndpointFacts): string => {
  const name = (sync === null ? undefined : config.syncs[sync]?.target) ?? facts.name;
  if (config.endpoints[name]) return name;
  throw missing(`endpoint \`${name}\``, Object.keys(config.endpoints), config);
};

const applyInput = (
  w: RunWorld,
  x: RunWork,
  target: Endpoint,
  facts: EndpointFacts,
): ApplyWork & ReturnType<typeof basics> & { facts: EndpointFacts } => ({
  ...basics(w, x),
  ...measuresOf(w),
  random: w.random,
  stop: x.stop,
  target,
  facts,
});

/** A limit of rows a second is for all that is read of an endpoint: only one worker at a time heeds it. */
const isPaced = (config: Config, sync: Sync): boolean =>
  [sync.source, sync.target].some((name) => config.endpoints[name]?.rowsPerSecond !== undefined);

const asSegments = ({ run, store: { segments, queue } }: RunWork): SpreadOptions => ({
  segments,
  queue,
  run: run.id,
  worker: run.asked?.worker ?? run.id,
});

const compared = async (w: RunWorld, x: RunWork, request: SyncRequest): Promise<void> => {
  const job = jobOfRequest(w.config, request);
  const sync = w.config.syncs[request.sync]!;
  const writes = request.kind === 'plan' || request.kind === 'sync';
  const [source, sourceFacts] = await opened(w, sync.source, writes && job.mode === 'two_way', x, !writes);
  await using _source = source;
  const [target, targetFacts] = await opened(w, sync.target, writes, x, !writes);
  await using _target = target;
  if (writes && job.twoWay !== undefined) {
    const sides = { source, target, facts: { source: sourceFacts, target: targetFacts } };
    const input = twoWayInput(w, x, job, sides);
    if (request.kind === 'plan') await makeTwoWayPlan(input);
    else await syncTwoWay(request.onlyDecided === true ? { ...input, onlyDecided: true } : input);
    return;
  }
  const common = {
    ...basics(w, x),
    source,
    target,
    ...scopeOf(job),
    sync: job.sync,
    facts: { source: sourceFacts, target: targetFacts },
    settleMs: job.settleMs,
    ...(job.incremental === undefined ? {} : { incremental: job.incremental }),
    seed: randomSeed(),
    ...(isPaced(w.config, sync) ? {} : { spread: spreadOver(asSegments(x)) }),
  };
  if (!writes) {
    const input: SaveDiffInput = {
      ...common,
      resume: x.run.id,
      exitOf: compareExit,
      sink: { wanted: () => 0, write: async () => {} },
      ...(typeof job.publish === 'object' ? { publish: job.publish } : {}),
    };
    await saveDiff(input);
    return;
  }
  if (job.mode === 'compare' || job.mode === 'two_way')
    throw new LockstepError('USAGE', `mode ${job.mode} plans nothing`);
  const settings = applySettingsOf(job);
  // what a migration writes once its tables are there
  const mode = job.mode === 'migrate' ? 'upsert' : job.mode;
  const planned = { mode, guards: job.guards, settings: settings as JsonValue };
  const input: PlanInput = { ...common, ...planned, ...approvalsOfJob(job) };
  if (request.kind === 'plan') await makePlan(input);
  else {
    const writing = { ...input, ...measuresOf(w), settings, random: w.random, stop: x.stop };
    if (job.mode !== 'migrate') await syncWork(writing);
    else await migrate({ ...writing, excludeTables: job.excludeTables, types: job.types, version: w.version });
  }
};

const applied = async (w: RunWorld, x: RunWork, request: Kind<'apply'> | Kind<'revert'>): Promise<void> => {
  if (await appliedBoth(w, x, request)) return;
  const [place] = await endpointsOf(w.config, x.store, request, x);
  const [target, facts] = await opened(w, place!.name, true, x);
  await using _target = target;
  const input = applyInput(w, x, target, facts);
  if (request.kind === 'revert') {
    const confirm = async (planned: RevertPlan): Promise<boolean> => {
      guardRevert(planned, request, inRequest);
      return true;
    };
    await revert({ ...input, run: request.run, confirm });
    return;
  }
  const { header } = await findPlan(x.store, request.plan, x);
  const approvals = approvalRuleOf(w.config, header.sync);
  const done = await apply({ ...input, ...(approvals === undefined ? {} : { approvals }), plan: request.plan });
  if (done.run === x.run.id) return;
  // It went on with a run that had begun to apply the plan: that one has the record.
  await x.store.runs.finish(
    x.run.id,
    {
      state: done.result.stopped === undefined ? 'done' : 'cancelled',
      exit: done.exit,
      finished: w.clock.now(),
      report: { plan: done.plan.header.id, went_on_with: done.run, ...done.result.numbers } as unknown as JsonValue,
    },
    x,
  );
};

const backedUp = async (w: RunWorld, x: RunWork, request: Kind<'backup'>): Promise<void> => {
  const { endpoints, controlUrls } = w;
  await recorded(x.store, w.clock, { resume: x.run.id }, x, async () => {
    const made = await makeBackups(
      {
        ...w,
        ...(x.log === undefined ? {} : { log: x.log }),
        open: (name, o) => endpoints.open(name, { ...o, correlation: x.run.correlation }),
        controlUrls: async () => (await controlUrls?.()) ?? [],
      },
      request.backup,
      x,
    );
    return { exit: 0, report: madeReport(made) as unknown as JsonValue };
  });
};

/** Carries out what was asked for; its record is kept by the use case. Throws what the use case throws. */
export const executeRun = async (w: RunWorld, x: RunWork): Promise<void> => {
  const request = x.run.asked!.request as unknown as RunRequest;
  switch (request.kind) {
    case 'apply':
    case 'revert':
      return applied(w, x, request);
    case 'copy':
    case 'assess':
      return copied(w, x, request);
    case 'backup':
      return backedUp(w, x, request);
    default:
      return compared(w, x, request);
  }
};
