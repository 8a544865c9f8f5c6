import { totalOf } from '../../apply/numbers.ts';
import type { Verdict } from '../../model/report.ts';
import type { TwoWaySide } from '../../model/two-way-runs.ts';
import { summaryOf } from '../make-plan.ts';
import type { SyncReport } from '../sync.ts';
import type { Verification } from '../verify-written.ts';
import type { SidesApplied } from './apply-sides.ts';
import { bothSides, type TwoWayInput } from './context.ts';
import type { Followed } from './follow-archive.ts';
import type { TwoWayPlanned } from './plan.ts';
import type { DecidedCounts } from './take-steps.ts';

/** What was planned for one side and what became of it. */
export interface SideReport {
  readonly run: string | null;
  readonly plan: string;
  readonly planned: SyncReport['planned'];
  readonly applied: SyncReport['applied'];
  readonly already: number;
  readonly rejected: number;
}

/** The JSON of `lockstep sync` of a sync that keeps an archive: the numbers of both sides together, and of each. */
export interface TwoWayReport extends Omit<SyncReport, 'plan'> {
  /** The plan of the target's side. */
  readonly plan: string;
  readonly sides: Readonly<Partial<Record<TwoWaySide, SideReport>>>;
  /** Keys that were not as agreed, by what became of them. */
  readonly decided: DecidedCounts;
  /** Conflicts of this sync that wait for a person, those of earlier runs included. */
  readonly waiting: number;
}

const none = { insert: 0, update: 0, delete: 0 };

export const twoWayReport = (x: {
  readonly o: TwoWayInput;
  readonly run: string;
  readonly planned: TwoWayPlanned;
  readonly applied: SidesApplied;
  readonly followed: Followed;
  readonly verification: Verification;
  readonly waiting: number;
  /** About those that wait. */
  readonly warnings: readonly string[];
}): TwoWayReport => {
  const { planned, applied } = x;
  const { report, counts, plans } = planned;
  const sides: Partial<Record<TwoWaySide, SideReport>> = {};
  const sum = {
    // Nobody may read that both sides agree while some of it was not even looked at.
    planned: { ...none, withheld: planned.later },
    applied: { ...none },
    already: 0,
    moved: 0,
    rejected: 0,
    unfit: 0,
    rolledBack: 0,
    pending: 0,
    changed: 0,
    late: 0,
  };
  const warnings: string[] = [];
  for (const side of bothSides) {
    const plan = plans[side];
    if (plan === undefined) continue;
    const summary = summaryOf(plan);
    const n = applied[side]?.result.numbers;
    const c = plan.header.counts;
    const unfit = totalOf(summary.unfit);
    const of = {
      insert: c.insert + summary.unfit.insert,
      update: c.update + summary.unfit.update,
      delete: c.delete + summary.unfit.delete,
      withheld: totalOf(summary.withheld),
    };
    for (const op of ['insert', 'update', 'delete', 'withheld'] as const) sum.planned[op] += of[op];
    for (const op of ['insert', 'update', 'delete'] as const) sum.applied[op] += n?.applied[op] ?? 0;
    sum.already += n?.already ?? 0;
    sum.moved += n?.moved ?? 0;
    sum.rejected += (n?.rejected ?? 0) + unfit;
    sum.unfit += unfit;
    sum.rolledBack += n?.rolled_back ?? 0;
    sum.pending += n?.pending ?? totalOf(c);
    sum.changed += n?.changed_by_target ?? 0;
    sum.late += summary.moved;
    warnings.push(...summary.warnings);
    sides[side] = {
      run: applied[side]?.run ?? null,
      plan: plan.header.id,
      planned: of,
      applied: n?.applied ?? none,
      already: n?.already ?? 0,
      rejected: (n?.rejected ?? 0) + unfit,
    };
  }
  const inFlight = report.pairs.reduce((n, p) => n + p.in_flight, 0) + sum.late;
  // Rows that a database refused because of others wait in the inbox: counted there, not as refused.
  const raised = Math.min(x.followed.refused, sum.moved + sum.rejected);
  const moved = Math.max(0, sum.moved - raised);
  const rejected = Math.max(sum.unfit, sum.rejected - Math.max(0, raised - sum.moved));
  const left =
    sum.planned.withheld + rejected + moved + sum.rolledBack + sum.pending + x.verification.unverified + x.waiting;
  const complete = report.coverage.complete && inFlight === 0;
  const verdict: Verdict = left > 0 ? 'differs' : complete ? 'agrees' : 'incomplete';
  return {
    schema_version: 1,
    run: x.run,
    plan: plans.target?.header.id ?? '',
    planned: sum.planned,
    applied: sum.applied,
    already: sum.already,
    skipped: { moved, already_synced: report.pairs.reduce((n, p) => n + p.identical, 0) },
    rejected,
    does_not_fit: sum.unfit,
    rolled_back: sum.rolledBack,
    pending: sum.pending,
    conflicts: raised + counts.waiting,
    verified: x.verification.verified,
    unverified: x.verification.unverified,
    changed_by_target: sum.changed,
    quarantined: report.pairs.reduce((n, p) => n + (p.quarantined ?? 0), 0),
    in_flight: inFlight,
    verdict,
    guarded_by: bothSides.some((s) => applied[s]?.result.guardedBy === 'state') ? 'state' : 'marker',
    not_compared: report.coverage.not_compared.map(({ what, reason }) => ({ what, reason })),
    warnings: [...new Set([...warnings, ...x.warnings, ...report.pairs.flatMap((p) => p.warnings)])],
    sides,
    decided: counts,
    waiting: x.waiting,
  };
};

/** 26: conflicts wait; 2: something was left; 25: something was not compared or in motion; 0: both sides agree. */
export const twoWayExit = (report: TwoWayReport): number => {
  if (report.waiting > 0) return 26;
  return report.verdict === 'agrees' ? 0 : report.verdict === 'differs' ? 2 : 25;
};
