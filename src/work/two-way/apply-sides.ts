import type { ApplyResult } from '../../apply/apply-plan.ts';
import { totalOf } from '../../apply/numbers.ts';
import { newId } from '../../lib/ids.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import type { JsonValue } from '../../model/json.ts';
import type { Plan } from '../../model/plans.ts';
import type { Run } from '../../model/runs.ts';
import type { TwoWaySide } from '../../model/two-way-runs.ts';
import { applyExit } from '../apply-exit.ts';
import { measuredReport } from '../measures.ts';
import { type Ended, recorded } from '../recorded.ts';
import { type ApplyWork, underLock } from '../under-lock.ts';
import { bothSides, type TwoWayInput } from './context.ts';

/** The plan of each side that is written to. */
export type SidePlans = Readonly<Partial<Record<TwoWaySide, Plan>>>;

export interface SideApplied extends Ended {
  readonly run: string;
  readonly plan: Plan;
  readonly result: ApplyResult;
}

export type SidesApplied = Readonly<Partial<Record<TwoWaySide, SideApplied>>>;

const changesOf = (plan: Plan | undefined): number => (plan === undefined ? 0 : totalOf(plan.header.counts));

export const anyChange = (plans: SidePlans): boolean => bothSides.some((side) => changesOf(plans[side]) > 0);

type Applying = Pick<
  TwoWayInput,
  'store' | 'clock' | 'random' | 'stop' | 'signal' | 'onProgress' | 'measures' | 'actor' | 'correlation' | 'settings'
> & { readonly source: Endpoint; readonly target: Endpoint };

/** Applies the plan of each side, one after the other, each under a run of its own that can be shown and reverted. */
export const applySides = async (
  o: Applying,
  /** The run that decided; and the one that these are part of, where that is another. */
  run: Pick<Run, 'id'>,
  plans: SidePlans,
  parent: string = run.id,
): Promise<SidesApplied> => {
  const done: Partial<Record<TwoWaySide, SideApplied>> = {};
  for (const side of bothSides) {
    const plan = plans[side];
    if (plan === undefined || changesOf(plan) === 0 || o.stop?.aborted === true) continue;
    const { header } = plan;
    const started = o.clock.now();
    const child = {
      id: newId('r', started),
      kind: 'apply' as const,
      sync: header.sync,
      source: header.source,
      target: header.target,
      plan: header.id,
      parent,
      correlation: o.correlation,
      actor: o.actor,
      started,
    };
    const { onProgress, ...rest } = o;
    const work: ApplyWork = { ...rest, target: o[side], ...(onProgress === undefined ? {} : { onProgress }) };
    done[side] = await recorded(o.store, o.clock, child, o, async (held): Promise<SideApplied> => {
      // Known before the first write: whoever finishes an interrupted run looks for it there.
      await o.store.twoWayRuns.began(run.id, side, held.id, o);
      const result = await underLock(work, plan, held, false);
      const business = await measuredReport(o.store, held.id, plan, o.measures, o);
      return {
        run: held.id,
        plan,
        result,
        exit: applyExit(plan, result),
        report: { plan: header.id, ...result.numbers, ...business } as unknown as JsonValue,
        ...(result.stopped === undefined ? {} : { interrupted: result.stopped }),
      };
    });
  }
  return done;
};
