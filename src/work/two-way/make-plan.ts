import type { JsonValue } from '../../model/json.ts';
import { asConfigured } from '../as-configured.ts';
import { beginOf, type Ended, recorded } from '../recorded.ts';
import type { TwoWayInput } from './context.ts';
import { finishTwoWay, holdingSync } from './finish.ts';
import { openTwoWay } from './open.ts';
import { planTwoWay, type TwoWayPlanned } from './plan.ts';

export interface TwoWayMade extends Ended {
  readonly run: string;
  readonly planned: TwoWayPlanned;
}

/** `lockstep plan` of a sync that keeps an archive: a sealed plan for each side that may be written to. */
export const makeTwoWayPlan = (o: TwoWayInput): Promise<TwoWayMade> =>
  holdingSync(o, async () => {
    const { store, clock } = o;
    const two = await openTwoWay(o);
    await finishTwoWay(o, two);
    return await recorded(store, clock, beginOf('plan', o), o, async (run) => {
      const planned = await planTwoWay(o, run, two);
      const first = planned.plans.target ?? planned.plans.source;
      if (first !== undefined) await store.runs.update(run.id, { plan: first.header.id }, o);
      const waiting = await store.conflicts.count({ sync: o.sync, states: ['pending'] }, o);
      const { verdict } = planned.report;
      return {
        planned,
        run: run.id,
        exit: waiting > 0 ? 26 : verdict === 'differs' ? 2 : verdict === 'agrees' ? 0 : 25,
        report: {
          ...planned.report,
          pairs: planned.report.pairs.map((p) => ({ ...p, explain: { ...p.explain, queries: [] } })),
          decided: planned.counts,
          waiting,
          plans: Object.fromEntries(Object.entries(planned.plans).map(([side, p]) => [side, p.header.id])),
          ...asConfigured(o),
        } as unknown as JsonValue,
      };
    });
  });
