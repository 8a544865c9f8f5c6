import type { ApplyResult } from '../apply/apply-plan.ts';
import { totalOf } from '../apply/numbers.ts';
import { settingsOf } from '../diff/incremental/request.ts';
import type { PlanWait } from '../model/approval.ts';
import { errorCodes } from '../model/errors.ts';
import type { JsonValue } from '../model/json.ts';
import type { Pair } from '../model/pair.ts';
import type { Plan } from '../model/plans.ts';
import type { CompareReport, IncrementalFacts, Verdict } from '../model/report.ts';
import type { Run } from '../model/runs.ts';
import { applyExit } from './apply-exit.ts';
import { needsApproval } from './approvals.ts';
import { asConfigured, pairsOfReport } from './as-configured.ts';
import { checkPlanGuards, checkTarget } from './check-plan.ts';
import { alignAll } from './compare.ts';
import { findPlan } from './find-plan.ts';
import { finishInterrupted } from './interrupted.ts';
import { comparedPlan, type PlanInput, type Planned, summaryOf } from './make-plan.ts';
import { measuredReport } from './measures.ts';
import { beginOf, type Ended, hasBegun, recorded } from './recorded.ts';
import { changedByTarget } from './side-effects.ts';
import { type ApplyWork, underLock } from './under-lock.ts';
import { type Verification, verifyWritten } from './verify-written.ts';

export interface SyncInput extends Omit<PlanInput, 'settings'>, Omit<ApplyWork, 'guards' | 'onProgress' | 'settings'> {
  readonly settings: ApplyWork['settings'] & {};
  /** Asked with the sealed plan before anything is written; false: end without writing. */
  confirm?(planned: Planned): Promise<boolean>;
}

/** The JSON of `lockstep sync`. planned insert + update + delete = applied + already + moved + rejected + rolled back. */
export interface SyncReport {
  readonly schema_version: 1;
  readonly run: string;
  readonly plan: string;
  readonly planned: {
    readonly insert: number;
    readonly update: number;
    readonly delete: number;
    readonly withheld: number;
  };
  readonly applied: { readonly insert: number; readonly update: number; readonly delete: number };
  readonly already: number;
  readonly skipped: { readonly moved: number; readonly already_synced: number };
  readonly rejected: number;
  /** Of the rejected: never in the plan, since the target cannot hold them or their table has no key. */
  readonly does_not_fit: number;
  readonly rolled_back: number;
  /** Not tried: the run was stopped before. */
  readonly pending: number;
  readonly conflicts: number;
  readonly verified: number;
  readonly unverified: number;
  /** Rows that the target changed while they were written (a trigger). */
  readonly changed_by_target: number;
  /** Source rows that are invalid by their pair's rules: not written, and their rows in the target left as they are. */
  readonly quarantined: number;
  /** Differences that moved before they could be planned. */
  readonly in_flight: number;
  readonly verdict: Verdict;
  readonly guarded_by: 'marker' | 'state';
  /** Of a sync that is compared incrementally: what was looked at of each pair. */
  readonly incremental?: readonly ({ readonly pair: string } & IncrementalFacts)[];
  readonly not_compared: readonly { readonly what: string; readonly reason: string }[];
  readonly warnings: readonly string[];
  /** Nothing was written: so many people have to agree to the plan, until then. */
  readonly awaits_approval?: { readonly plan: string; readonly required: number; readonly expires: string };
}

export interface Synced extends Ended {
  readonly run: string;
  readonly planned: Planned;
  /** Nothing was written: the plan waits for people. */
  readonly waits?: PlanWait;
  /** Absent: there was nothing to write, or it was declined. */
  readonly result?: ApplyResult;
  readonly verification?: Verification;
  readonly sync: SyncReport;
}

const nothing = { insert: 0, update: 0, delete: 0 };

const syncReport = (
  run: string,
  { plan, summary, report, pairs }: Planned,
  result: ApplyResult | undefined,
  verification: Verification | undefined,
): SyncReport => {
  const n = result?.numbers;
  const unfit = totalOf(summary.unfit);
  const counts = plan.header.counts;
  const inFlight = report.pairs.reduce((sum, p) => sum + p.in_flight, 0) + summary.moved;
  const pending = n?.pending ?? totalOf(counts);
  const withheld = totalOf(summary.withheld);
  const left =
    withheld +
    unfit +
    pending +
    (n?.moved ?? 0) +
    (n?.rejected ?? 0) +
    (n?.rolled_back ?? 0) +
    (verification?.unverified ?? 0);
  const unseen = (n?.applied.update ?? 0) > 0 ? changedByTarget(pairs) : [];
  const incremental = report.pairs.flatMap((p) => (p.incremental ? [{ pair: p.source, ...p.incremental }] : []));
  const complete = report.coverage.complete && inFlight === 0 && unseen.length === 0;
  return {
    schema_version: 1,
    run,
    plan: plan.header.id,
    planned: {
      insert: counts.insert + summary.unfit.insert,
      update: counts.update + summary.unfit.update,
      delete: counts.delete + summary.unfit.delete,
      withheld,
    },
    applied: n?.applied ?? nothing,
    already: n?.already ?? 0,
    skipped: { moved: n?.moved ?? 0, already_synced: report.pairs.reduce((sum, p) => sum + p.identical, 0) },
    rejected: (n?.rejected ?? 0) + unfit,
    does_not_fit: unfit,
    rolled_back: n?.rolled_back ?? 0,
    pending,
    conflicts: 0,
    verified: verification?.verified ?? 0,
    unverified: verification?.unverified ?? 0,
    changed_by_target: n?.changed_by_target ?? 0,
    quarantined: report.pairs.reduce((sum, p) => sum + (p.quarantined ?? 0), 0),
    in_flight: inFlight,
    verdict: left > 0 ? 'differs' : complete ? 'agrees' : 'incomplete',
    guarded_by: result?.guardedBy ?? 'marker',
    ...(incremental.length > 0 ? { incremental } : {}),
    not_compared: [...report.coverage.not_compared, ...unseen].map(({ what, reason }) => ({ what, reason })),
    warnings: [...summary.warnings, ...report.pairs.flatMap((p) => p.warnings)],
  };
};

/** A report as it is kept: without the statements, which may hold conditions and grow long. */
const withoutQueries = (report: CompareReport): CompareReport => ({
  ...report,
  pairs: report.pairs.map((p) => ({ ...p, explain: { ...p.explain, queries: [] } })),
});

/** As what each pair is compared (see `settingsOf`), by its name. */
type ComparedAs = Readonly<Record<string, string>>;

const comparedAs = (o: SyncInput, pairs: readonly Pair[]): ComparedAs =>
  Object.fromEntries(pairs.map((pair) => [pair.name, settingsOf(pair, undefined, o)]));

/**
 * What an earlier process of the run had compared and planned, and begun to write. Pairs that are something else by now,
 * by the configuration or their tables, are neither known to agree nor read again: that would be of other rows.
 */
const plannedBefore = async (o: SyncInput, run: Run): Promise<Planned> => {
  const plan = await findPlan(o.store, run.plan!, o);
  await o.store.plans.verify(plan.header.id, o);
  checkTarget(plan, o.target);
  const { pairs } = await alignAll(o);
  const { compared_as: then = {}, ...report } = run.report as unknown as CompareReport & { compared_as?: ComparedAs };
  const now = comparedAs(o, pairs);
  const isSame = (name: string): boolean => now[name] !== undefined && now[name] === then[name];
  const changed = report.pairs
    .filter(({ source }) => !isSame(source))
    .map(({ target }) => ({
      what: target,
      reason: 'the configuration of its pair, or a table of it, has changed since this run was planned',
      fix: 'Compare again.',
    }));
  const not_compared = [...report.coverage.not_compared, ...changed];
  return {
    plan,
    summary: summaryOf(plan),
    report: { ...report, coverage: { complete: report.coverage.complete && changed.length === 0, not_compared } },
    pairs: pairs.filter(({ name }) => isSame(name)),
  };
};

const awaits = (w: PlanWait): NonNullable<SyncReport['awaits_approval']> => ({
  plan: w.plan,
  required: w.required,
  expires: new Date(w.expires).toISOString(),
});

/** Lets the plan wait for those who have to agree to it; undefined: nobody has to. */
const waitFor = async (o: SyncInput, plan: Plan, sync: string, run: Run): Promise<PlanWait | undefined> => {
  if (o.approvals === undefined || !needsApproval(o.approvals, plan.header)) return undefined;
  const { id, expires } = plan.header;
  const wait = { plan: id, sync, run: run.id, required: o.approvals.required, since: o.clock.now(), expires };
  await o.store.waits.begin(wait, o);
  return wait;
};

/** `lockstep sync`: compare, plan, apply under guards, and read every touched key again from both sides. */
export const sync = async (o: SyncInput): Promise<Synced> => {
  const { store, clock } = o;
  await finishInterrupted({ ...o, onProgress: () => {}, ...(o.asRun === undefined ? {} : { except: o.asRun }) });
  return recorded(store, clock, beginOf('sync', o), o, async (run: Run): Promise<Synced> => {
    const resumed = hasBegun(run);
    const planned = resumed
      ? await plannedBefore(o, run)
      : await comparedPlan({ ...o, settings: o.settings as JsonValue }, run);
    const { plan } = planned;
    if (!resumed) {
      const report = { ...withoutQueries(planned.report), compared_as: comparedAs(o, planned.pairs) };
      const kept = o.asRun === undefined ? {} : { report: report as unknown as JsonValue };
      await store.runs.update(run.id, { plan: plan.header.id, ...kept }, o);
      checkPlanGuards(plan, undefined, o.asRun === undefined ? 'command' : 'sync');
    }
    const some = totalOf(plan.header.counts) > 0;
    const waits = resumed || o.sync === null ? undefined : await waitFor(o, plan, o.sync, run);
    const go = some && waits === undefined && ((await o.confirm?.(planned)) ?? true);
    const { guards: _, settings: __, onProgress, ...rest } = o;
    const work: ApplyWork = onProgress === undefined ? rest : { ...rest, onProgress };
    const result = go ? await underLock(work, plan, run, resumed) : undefined;
    const verification =
      result === undefined ? undefined : await verifyWritten({ ...o, run: run.id, plan, pairs: planned.pairs });
    const report = syncReport(run.id, planned, result, verification);
    const business = await measuredReport(store, run.id, plan, o.measures, o);
    const exit =
      result?.stopped?.exit ??
      (waits !== undefined ? errorCodes.GUARD.exit : undefined) ??
      (report.verdict === 'differs' || (result !== undefined && applyExit(plan, result) !== 0)
        ? 2
        : report.verdict === 'agrees'
          ? 0
          : 25);
    return {
      run: run.id,
      planned,
      ...(waits === undefined ? {} : { waits }),
      ...(result === undefined ? {} : { result }),
      ...(verification === undefined ? {} : { verification }),
      sync: waits === undefined ? report : { ...report, awaits_approval: awaits(waits) },
      exit,
      report: {
        ...report,
        ...(waits === undefined ? {} : { awaits_approval: awaits(waits) }),
        ...business,
        ...pairsOfReport(planned.report, report),
        ...asConfigured(o),
      } as unknown as JsonValue,
      ...(result?.stopped === undefined ? {} : { interrupted: result.stopped }),
    };
  });
};
