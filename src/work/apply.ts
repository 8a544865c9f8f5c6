import type { ApplyResult } from '../apply/apply-plan.ts';
import { newId } from '../lib/ids.ts';
import { LockstepError } from '../model/errors.ts';
import type { JsonValue } from '../model/json.ts';
import type { Plan } from '../model/plans.ts';
import type { EndpointFacts, Run } from '../model/runs.ts';
import type { Schema } from '../model/schema.ts';
import { applyExit } from './apply-exit.ts';
import { mustBeApproved } from './approvals.ts';
import { checkPlanGuards, checkTarget, inspected } from './check-plan.ts';
import { findPlan } from './find-plan.ts';
import { measuredReport } from './measures.ts';
import { type Asked, type Ended, hasBegun, recorded } from './recorded.ts';
import { type ApplyWork, underLock } from './under-lock.ts';

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
