import { createReadStream } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { type ApplyResult, applyPlan } from '../apply/apply-plan.ts';
import { type ApplySettings, defaultApplySettings } from '../apply/context.ts';
import { type ApplyTable, applyTable } from '../apply/images.ts';
import { totalOf } from '../apply/numbers.ts';
import type { Clock } from '../lib/clock.ts';
import { newId } from '../lib/ids.ts';
import type { ApprovalRule } from '../model/approval.ts';
import type { NewAuditEntry } from '../model/audit.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Endpoint, Fingerprint } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import type { JsonValue } from '../model/json.ts';
import type { Measure } from '../model/monitoring.ts';
import type { Plan, PlanTable } from '../model/plans.ts';
import type { Progress } from '../model/report.ts';
import type { EndpointFacts, Run } from '../model/runs.ts';
import { type Schema, tableLabel } from '../model/schema.ts';
import type { Store } from '../model/store.ts';
import type { Writer } from '../model/writer.ts';
import { defaultGuards, type Guards, guardError } from '../plan/guards.ts';
import { mustBeApproved } from './approvals.ts';
import { audited } from './audited.ts';
import { summaryOf } from './make-plan.ts';
import { measuredReport } from './measures.ts';
import { type Asked, type Ended, hasBegun, recorded } from './recorded.ts';

/** What applying needs, whoever asks for it. */
export interface ApplyWork extends Cancel {
  readonly store: Store;
  readonly target: Endpoint;
  readonly clock: Clock;
  /** 0 <= x < 1 */
  readonly random: () => number;
  /** Replaces what the plan was made with. */
  readonly guards?: Partial<Guards>;
  readonly settings?: Partial<ApplySettings>;
  /** Who has to agree to plans of its sync, as configured now. */
  readonly approvals?: ApprovalRule;
  /** Business metrics to be kept with the run. */
  readonly measures?: readonly Measure[];
  /** Aborted: finish the batches under way, save, end. */
  readonly stop?: AbortSignal;
  onProgress?(progress: Progress): void;
}

export interface ApplyInput extends Asked, ApplyWork {
  /** Id of a plan (or its beginning), or the path of an exported one. */
  readonly plan: string;
  readonly facts: EndpointFacts;
}

export interface AppliedPlan extends Ended {
  readonly run: string;
  readonly plan: Plan;
  readonly result: ApplyResult;
  readonly resumed: boolean;
}

/** The plan by its id, else by a file of that name. */
export const findPlan = async (store: Store, name: string, o: Cancel): Promise<Plan> => {
  const known = /[./\\]/.test(name) ? undefined : await store.plans.get(name, o);
  if (known !== undefined) return known;
  try {
    return await store.plans.import(createReadStream(name), o);
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ENOENT') throw error;
    throw new LockstepError('NOT_FOUND', `There is no plan ${name}, neither in the control store nor as a file.`, {
      hint: 'Make one: lockstep plan SYNC, or lockstep plan SOURCE TARGET',
    });
  }
};

const place = (f: Fingerprint): string => `${f.database} at ${f.address}`;

/** Is this the database the plan was made for? The address may be written in another way. */
export const checkTarget = (plan: Plan, target: Endpoint): void => {
  const planned = plan.header.fingerprint;
  const found = target.fingerprint;
  if (planned.server === found.server && planned.database === found.database) return;
  throw new LockstepError(
    'WRONG_TARGET',
    `Plan ${plan.header.id} was made for ${place(planned)}, this is ${place(found)}. Nothing was written.`,
    { hint: 'Connect to the database it was made for, or make a new plan for this one.' },
  );
};

const shapeOf = (t: PlanTable['table']): unknown =>
  t.columns.map(({ name, native, type, nullable, generated }) => ({
    name,
    native,
    type,
    nullable,
    generated,
  }));

const inspected = (plan: Plan, target: Endpoint, o: Cancel): Promise<Schema> => {
  const schemas = [...new Set(plan.header.tables.flatMap((t) => t.table.schema ?? []))];
  return target.inspect({ ...o, ...(schemas.length === 0 ? {} : { schemas }) });
};

/** The plan's tables as they are now. Throws SCHEMA_DRIFT when their columns are not what they were. */
export const currentTables = async (
  plan: Plan,
  target: Endpoint,
  o: Cancel & { readonly seen?: Promise<Schema> | undefined },
): Promise<readonly ApplyTable[]> => {
  const schema = await (o.seen ?? inspected(plan, target, o));
  return plan.header.tables.map((planned) => {
    const label = tableLabel(planned.table);
    const now = schema.tables.find((t) => tableLabel(t) === label);
    const drift = (what: string): LockstepError =>
      new LockstepError('SCHEMA_DRIFT', `${label} has changed since the plan was made: ${what}. Nothing was written.`, {
        hint: 'Make a new plan.',
      });
    if (now === undefined) throw drift('it is gone');
    const [before, after] = [planned.table, now].map((t) => new Map(t.columns.map((c) => [c.name, c])));
    for (const name of after!.keys()) if (!before!.has(name)) throw drift(`column ${name} is new`);
    for (const [name, column] of before!) {
      const found = after!.get(name);
      if (found === undefined) throw drift(`column ${name} is gone`);
      if (found.native !== column.native) throw drift(`${name} was ${column.native} and is ${found.native}`);
      if (found.nullable !== column.nullable) throw drift(`${name} is ${found.nullable ? 'nullable' : 'not null'} now`);
    }
    // The store gives back what JSON keeps.
    const kept = JSON.parse(JSON.stringify([shapeOf(planned.table), shapeOf(now)])) as readonly [unknown, unknown];
    if (!isDeepStrictEqual(kept[0], kept[1])) throw drift('its columns are defined in another way or order');
    return applyTable(planned, now);
  });
};

/**
 * For what is only settled: as they are now, else as they were planned. Whether a step was committed is told by its
 * marker, whatever became of the table since; and what must be known before anything is compared cannot wait for a plan
 * that is made after it.
 */
const tablesToSettle: typeof currentTables = (plan, target, o) =>
  currentTables(plan, target, o).catch((error: unknown) => {
    if (!(error instanceof LockstepError) || error.code !== 'SCHEMA_DRIFT') throw error;
    return plan.header.tables.map((t) => applyTable(t, t.table));
  });

export const writerOf = (target: Endpoint): Writer => {
  if (target.writer !== undefined) return target.writer;
  throw new LockstepError('NOT_WRITABLE', `${target.name} is read-only.`, {
    hint: 'Give the endpoint `writable: true` in the configuration.',
  });
};

/** One writer at a time per target database. */
const lockName = '*';

/** What the audit log says before the first write of a plan. */
const auditOf = (run: Run, plan: Plan, resumed: boolean): Omit<NewAuditEntry, 'outcome'> => ({
  actor: run.actor,
  action: run.kind === 'revert' ? 'change.revert' : 'plan.apply',
  object: `plans/${plan.header.id}`,
  after: {
    run: run.id,
    kind: run.kind,
    sync: plan.header.sync,
    target: plan.header.target.name,
    hash: plan.hash,
    planned: { ...plan.header.counts },
    ...(resumed ? { resumed } : {}),
  },
  correlation: run.correlation,
});

/**
 * Applies a checked plan under a run's record: claim, lock, write; between two entries of the audit log. `seen`: what the
 * target has now, if that is being read already.
 */
export const underLock = async (
  o: ApplyWork,
  plan: Plan,
  run: Run,
  resumed: boolean,
  seen?: Promise<Schema>,
): Promise<ApplyResult> => {
  const writer = writerOf(o.target);
  const summary = summaryOf(plan);
  const { signal } = o;
  const lookUp = resumed && o.stop?.aborted === true ? tablesToSettle : currentTables;
  const tables = await lookUp(plan, o.target, { signal, seen });
  const settings: ApplySettings = {
    ...defaultApplySettings,
    ...((plan.header.settings ?? {}) as Partial<ApplySettings>),
    ...o.settings,
  };
  if (settings.atomic === 'run' && writer.maxBatch === 1)
    throw new LockstepError(
      'CONFIG',
      `${o.target.name} writes one row at a time, so a run cannot be all or nothing there. Nothing was written.`,
      {
        side: o.target.name,
        hint: 'Leave `atomic: run` out for this target; an interrupted run is finished by the same command.',
      },
    );
  await o.store.plans.claim(plan.header.id, run.id, o.clock.now(), o);
  let begun = resumed;
  const marked = resumed ? (run.checkpoint as { marked?: readonly string[] } | null)?.marked : undefined;
  const batchRows = (total: number): number =>
    settings.atomic === 'run' ? total : Math.max(1, Math.min(settings.batchSize, writer.maxBatch));
  const write = async (): Promise<ApplyResult> => {
    const guardedBy = await writer.prepare(o);
    await using lock = await writer.lock({ run: run.id, pair: lockName }, o);
    return await applyPlan(
      {
        run: run.id,
        plan,
        tables,
        groups: summary.groups ?? {},
        writer,
        plans: o.store.plans,
        journal: o.store.journal,
        settings,
        clock: o.clock,
        random: o.random,
        signal: o.signal,
        ...(o.stop === undefined ? {} : { stop: o.stop }),
        ...(marked === undefined ? {} : { markedBy: marked.map(BigInt) }),
        onBegin: async (token) => {
          const checkpoint = { begun: true, marked: [...(marked ?? []), String(token)] };
          await o.store.runs.update(run.id, { plan: plan.header.id, checkpoint }, o);
          begun = true;
        },
        onProgress: (rows, total) =>
          o.onProgress?.({ pair: '', phase: 'apply', rows, total, batchRows: batchRows(total) }),
      },
      { token: lock.token, guardedBy, resumed },
    );
  };
  try {
    return await audited(
      o.store.audit,
      auditOf(run, plan, resumed),
      o,
      () => write(),
      ({ numbers, stopped }) => ({
        run: run.id,
        ...(numbers as unknown as { readonly [name: string]: JsonValue }),
        ...(stopped === undefined ? {} : { stopped: stopped.code }),
      }),
    );
  } catch (error) {
    // A claim that led to no write is given back: the plan can still be used.
    if (!begun) await o.store.plans.release(plan.header.id, run.id, o).catch(() => {});
    throw error;
  }
};

/**
 * Guards as they were planned, unless told otherwise. Throws before anything is written. `by`: a sync is given what
 * allows it; a plan keeps the guards it was made with.
 */
export const checkPlanGuards = (plan: Plan, given: Partial<Guards> | undefined, by: 'sync' | 'plan'): void => {
  const guards = { ...defaultGuards, ...(plan.header.guards as Partial<Guards> | null), ...given };
  const again = `lockstep plan ${plan.header.sync ?? 'SOURCE TARGET'}`;
  const error = guardError(summaryOf(plan).pairs ?? [], guards, (flags) =>
    by === 'sync'
      ? `run the same command with ${flags}`
      : `make a new one, since a plan keeps its guards: ${again} ${flags} (with the tables and flags of this one, if it had some)`,
  );
  if (error !== undefined) throw error;
};

/** 0: everything was written; 2: rows moved, were refused, taken back, or cannot be written; the error's own code when it was stopped. */
export const applyExit = (plan: Plan, result: ApplyResult): number => {
  if (result.stopped !== undefined) return result.stopped.exit;
  const { numbers } = result;
  const left = numbers.moved + numbers.rejected + numbers.rolled_back + numbers.changed_by_target;
  const summary = summaryOf(plan);
  const unplanned = totalOf(summary.unfit) + totalOf(summary.withheld);
  return left + unplanned > 0 ? 2 : 0;
};

/** The run that has claimed the plan. One that was just killed still looks alive for a moment. */
const userOf = async (o: ApplyInput, plan: Plan): Promise<Run | undefined> => {
  if (plan.usedBy === null) return undefined;
  for (let attempt = 1; ; attempt++) {
    const user = await o.store.runs.get(plan.usedBy, o);
    if (user?.alive !== true || user.id === o.asRun || attempt > graceTries) return user;
    await o.clock.sleep(gracePauseMs, o.signal);
  }
};
const graceTries = 20;
const gracePauseMs = 100;

/**
 * `lockstep apply PLAN`. The same plan again goes on with a run that was interrupted: its open steps come first.
 */
export const apply = async (o: ApplyInput): Promise<AppliedPlan> => {
  const plan = await findPlan(o.store, o.plan, o);
  // a long plan takes its time to be checked, by another server; who goes on with one may have to wait for that, and looks later
  const refused = new AbortController();
  const signal = AbortSignal.any([o.signal, refused.signal]);
  const seen = plan.usedBy === null ? inspected(plan, o.target, { signal }) : undefined;
  seen?.catch(() => {});
  try {
    return await applyFound(o, plan, seen);
  } finally {
    refused.abort();
    await seen?.catch(() => {});
  }
};

const applyFound = async (o: ApplyInput, plan: Plan, seen: Promise<Schema> | undefined): Promise<AppliedPlan> => {
  const { store, clock } = o;
  const { id } = plan.header;
  await store.plans.verify(id, o);
  checkTarget(plan, o.target);
  const user = await userOf(o, plan);
  if (user !== undefined && user.id !== o.asRun && (user.state === 'done' || user.alive)) {
    throw new LockstepError(
      user.alive ? 'LOCK_HELD' : 'PLAN_USED',
      user.alive ? `Run ${user.id} is applying plan ${id} now.` : `Plan ${id} was applied by run ${user.id}.`,
      { hint: `See what it did: lockstep show ${user.id}. To apply again, make a new plan.` },
    );
  }
  const resumed = user !== undefined && hasBegun(user);
  if (!resumed) {
    if (clock.now() > plan.header.expires) {
      throw new LockstepError('PLAN_EXPIRED', `Plan ${id} expired at ${new Date(plan.header.expires).toISOString()}.`, {
        hint: 'The target may have changed since. Make a new plan and review it.',
      });
    }
    checkPlanGuards(plan, o.guards, 'plan');
    await mustBeApproved(store, plan, o.approvals, o);
  }
  const started = clock.now();
  // The same run, also when it had not begun to write: its lock in the target may still stand.
  const begin =
    user !== undefined
      ? { resume: user.id }
      : o.asRun !== undefined
        ? { resume: o.asRun, facts: { source: plan.header.source, target: o.facts } }
        : {
            id: newId('r', started),
            kind: 'apply' as const,
            sync: plan.header.sync,
            source: plan.header.source,
            target: o.facts,
            plan: id,
            parent: plan.header.run,
            correlation: o.correlation,
            actor: o.actor,
            started,
          };
  return recorded(store, clock, begin, o, async (run) => {
    const result = await underLock(o, plan, run, resumed, seen);
    const business = await measuredReport(store, run.id, plan, o.measures, o);
    return {
      run: run.id,
      plan,
      result,
      resumed,
      exit: applyExit(plan, result),
      report: { plan: id, ...result.numbers, ...business } as unknown as JsonValue,
      ...(result.stopped === undefined ? {} : { interrupted: result.stopped }),
    };
  });
};
