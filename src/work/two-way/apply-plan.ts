import { LockstepError } from '../../model/errors.ts';
import type { JsonValue } from '../../model/json.ts';
import type { Plan } from '../../model/plans.ts';
import type { OpenTwoWayRun } from '../../model/two-way-runs.ts';
import { checkPlanGuards, checkTarget } from '../check-plan.ts';
import { type Ended, newRun, recorded } from '../recorded.ts';
import { applySides, type SidePlans, type SidesApplied } from './apply-sides.ts';
import { bothSides, type TwoWayInput } from './context.ts';
import { finishTwoWay, holdingSync } from './finish.ts';
import { followArchive } from './follow-archive.ts';
import type { OpenTwoWay } from './open.ts';

export interface TwoWayApplyInput extends TwoWayInput {
  /** One of the two plans. */
  readonly plan: Plan;
  readonly two: OpenTwoWay;
}

export interface TwoWayAppliedPlan extends Ended {
  readonly run: string;
  readonly applied: SidesApplied;
  /** Conflicts of the sync that wait for a person. */
  readonly waiting: number;
}

/** The plans of both sides that were made together with this one. */
export const plansTogether = async (
  o: Pick<TwoWayInput, 'store' | 'signal'>,
  plan: Plan,
): Promise<{ readonly open: OpenTwoWayRun; readonly plans: SidePlans }> => {
  const { store } = o;
  const open = await store.twoWayRuns.ofPlan(plan.header.id, o);
  if (open === undefined) {
    throw new LockstepError(
      plan.usedBy === null ? 'PLAN_STALE' : 'PLAN_USED',
      plan.usedBy === null
        ? `Plan ${plan.header.id} is of a two-way sync that has been compared again since, or of which a conflict was decided anew. Nothing was written.`
        : `Plan ${plan.header.id} was applied by run ${plan.usedBy}.`,
      { hint: `Make a new one: lockstep plan ${plan.header.sync}` },
    );
  }
  const plans: { source?: Plan; target?: Plan } = {};
  for (const side of bothSides) {
    const id = open.plans[side];
    const found = id === null ? undefined : await store.plans.get(id, o);
    if (found !== undefined) plans[side] = found;
  }
  return { open, plans };
};

/** `lockstep apply PLAN` of a two-way sync: the plans of both sides, which were made and are used together. */
export const applyTwoWay = (o: TwoWayApplyInput): Promise<TwoWayAppliedPlan> =>
  holdingSync(o, async () => {
    const { store, clock, two } = o;
    const { open, plans } = await plansTogether(o, o.plan);
    for (const side of bothSides) {
      const plan = plans[side];
      if (plan === undefined) continue;
      await store.plans.verify(plan.header.id, o);
      checkTarget(plan, o[side]);
      if (plan.usedBy !== null) {
        throw new LockstepError('PLAN_USED', `Plan ${plan.header.id} was applied by run ${plan.usedBy}.`, {
          hint: `See what it did: lockstep show ${plan.usedBy}. To apply again, make a new plan.`,
        });
      }
      if (clock.now() > plan.header.expires) {
        throw new LockstepError(
          'PLAN_EXPIRED',
          `Plan ${plan.header.id} expired at ${new Date(plan.header.expires).toISOString()}.`,
          { hint: 'The sides may have changed since. Make a new plan and review it.' },
        );
      }
      checkPlanGuards(plan, undefined, 'plan');
    }
    await finishTwoWay(o, two, open.run);
    const begin =
      o.asRun === undefined
        ? { ...newRun('apply', o), plan: o.plan.header.id, parent: open.run }
        : { resume: o.asRun, facts: o.facts };
    return await recorded(store, clock, begin, o, async (run): Promise<TwoWayAppliedPlan> => {
      const applied = await applySides({ ...o, correlation: run.correlation }, { id: open.run }, plans, run.id);
      const now = await store.twoWayRuns.get(open.run, o);
      if (now !== undefined) {
        await followArchive({ store, signal: o.signal, keep: two.keep, at: clock.now() }, now, two.pairs);
      }
      const waiting = await store.conflicts.count({ sync: o.sync, states: ['pending'] }, o);
      const all = Object.values(applied);
      const stopped = all.map((s) => s.result.stopped).find((s) => s !== undefined);
      const left = Math.max(0, ...all.map((s) => s.exit));
      return {
        run: run.id,
        applied,
        waiting,
        exit: stopped?.exit ?? (waiting > 0 ? 26 : left),
        report: {
          waiting,
          conflicts: waiting,
          sides: Object.fromEntries(
            Object.entries(applied).map(([side, s]) => [side, { run: s.run, ...s.result.numbers }]),
          ),
        } as unknown as JsonValue,
        ...(stopped === undefined ? {} : { interrupted: stopped }),
      };
    });
  });
