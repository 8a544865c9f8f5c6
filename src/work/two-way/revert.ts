import { newId } from '../../lib/ids.ts';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { JsonValue } from '../../model/json.ts';
import type { Plan } from '../../model/plans.ts';
import type { Run } from '../../model/runs.ts';
import type { Store } from '../../model/store.ts';
import type { TwoWaySide } from '../../model/two-way-runs.ts';
import { recorded } from '../recorded.ts';
import { type Reverted, type RevertPlan, refuseUnwritten, revert } from '../revert.ts';
import { bothSides } from './context.ts';
import { finishTwoWay, holdingSync } from './finish.ts';
import type { TwoWayRevertInput } from './revert-input.ts';
import { forgetReverted, openAgain, takeDownWritten } from './reverted-rows.ts';
import { writtenRows } from './written-rows.ts';

export interface TwoWayReverted {
  readonly run: string;
  readonly reverts: string;
  readonly sides: Readonly<Partial<Record<TwoWaySide, Reverted>>>;
  readonly exit: number;
}

/** The runs by which a run wrote to its sides, newest first; none: it wrote nothing, or to its target itself. */
export const childRuns = async (store: Pick<Store, 'runs'>, run: Run, o: Cancel): Promise<readonly Run[]> => {
  if (run.kind !== 'sync' && run.kind !== 'apply') return [];
  const found = await store.runs.list({ correlation: run.correlation, kinds: ['apply'], limit: 1000 }, o);
  return found.filter((r) => r.parent === run.id);
};

/**
 * Throws CONFLICT for a run that wrote to one side on behalf of another one: taken back alone it would read as an edit of
 * that side, which the next run gives to the other.
 */
export const refusePart = async (store: Pick<Store, 'runs'>, run: Run, o: Cancel): Promise<void> => {
  const above = async ({ parent }: Run): Promise<Run | undefined> =>
    parent === null ? undefined : store.runs.get(parent, o);
  const taken = run.kind === 'revert' ? await above(run) : run;
  const whole = taken?.kind === 'apply' ? await above(taken) : undefined;
  // A one-way sync has a plan of its own, which can be applied afterwards.
  if (whole === undefined || !(whole.kind === 'apply' || (whole.kind === 'sync' && whole.plan === null))) return;
  throw new LockstepError(
    'CONFLICT',
    run === taken
      ? `Run ${run.id} wrote to one side for ${whole.id}: both sides are taken back together. Nothing was written.`
      : `Run ${run.id} took back one side of ${whole.id}: that is not undone by itself. Nothing was written.`,
    {
      hint:
        run === taken
          ? `lockstep revert ${whole.id}, or one row of it: lockstep revert ${whole.id}/KEY`
          : `The next run of ${whole.sync} settles these keys again as configured.`,
    },
  );
};

/** The run that wrote to each side for the one that is reverted. */
const bySide = async (o: TwoWayRevertInput): Promise<Readonly<Partial<Record<TwoWaySide, Run>>>> => {
  const planned = (await childRuns(o.store, o.run, o)).filter((r) => r.plan !== null);
  const of = (side: TwoWaySide): Run | undefined => planned.find((r) => r.target?.name === o.facts[side].name);
  const [source, target] = [of('source'), of('target')];
  return { ...(source === undefined ? {} : { source }), ...(target === undefined ? {} : { target }) };
};

/** The plan that was made together with this one for the other side; undefined: there was nothing to write, or it is not kept. */
const plannedWith = async (
  { header: { id, run, created } }: Plan,
  target: string,
  o: TwoWayRevertInput,
): Promise<Plan | undefined> => {
  // made in one moment, by which their ids begin
  const before = newId('p', created + 1);
  const found = await o.store.plans.list({ sync: o.sync, before }, o);
  return found.find(({ header }) => header.run === run && header.id !== id && header.target.name === target);
};

/**
 * Takes back what a two-way run wrote, on both sides, cell by cell where it still stands. The archive goes back to what
 * was agreed before that run where its writes were taken back: what it had settled is open again, and no value that was
 * restored is taken for an edit that the other side should get. Before the first write nothing is agreed on these keys:
 * whoever finds them after a crash asks, or goes by the policy, and takes nothing for an edit.
 */
export const revertTwoWay = (o: TwoWayRevertInput): Promise<TwoWayReverted> =>
  holdingSync(o, async () => {
    const { store, clock, two } = o;
    await finishTwoWay(o, two);
    const children = await bySide(o);
    const plans: Partial<Record<TwoWaySide, Plan>> = {};
    for (const side of bothSides) {
      const plan = children[side]?.plan;
      const found = plan == null ? undefined : await store.plans.get(plan, o);
      if (found !== undefined) plans[side] = found;
    }
    if (Object.keys(plans).length === 0) {
      throw new LockstepError('NOT_FOUND', `Run ${o.run.id} has written nothing: there is nothing to revert.`);
    }
    // of a side that the run did not come to, too: it says what that showed
    const [known] = Object.values(plans);
    for (const side of bothSides) {
      const planned = plans[side] ?? (await plannedWith(known!, o.facts[side].name, o));
      if (planned !== undefined) plans[side] = planned;
    }
    const started = clock.now();
    const begin = {
      id: newId('r', started),
      kind: 'revert' as const,
      sync: o.sync,
      source: o.facts.source,
      target: o.facts.target,
      parent: o.run.id,
      correlation: o.correlation,
      actor: o.actor,
      started,
    };
    const under = o.asRun === undefined ? begin : { resume: o.asRun, facts: o.facts };
    return await recorded(store, clock, under, o, async (run) => {
      const rows = writtenRows(o, children, plans);
      let begun = false;
      const begins = async (side: TwoWaySide, plan: Plan): Promise<void> => {
        if (!begun) await takeDownWritten(o, run.id, rows);
        begun = true;
        await forgetReverted(o, side, plan, run.id);
      };
      const sides: Partial<Record<TwoWaySide, Reverted>> = {};
      const { asRun: _, run: __, two: ___, confirm, source, target, facts, only, ...rest } = o;
      for (const side of bothSides) {
        const child = children[side];
        if (child === undefined) continue;
        sides[side] = await revert({
          ...rest,
          run: child.id,
          target: side === 'target' ? target : source,
          facts: facts[side],
          ...(only === undefined ? {} : { only, elsewhere: true }),
          confirm: async (planned: RevertPlan) => {
            if ((await confirm?.(side, planned)) === false) return false;
            await begins(side, planned.plan);
            return true;
          },
        });
      }
      if (begun) await openAgain(o, run.id, sides);
      const all = Object.values(sides);
      if (all.every((s) => s.looked === 0 && s.result === undefined)) {
        refuseUnwritten(
          only,
          o.run,
          o.two.pairs.map((p) => ({ pair: p.name })),
        );
      }
      return {
        run: run.id,
        reverts: o.run.id,
        sides,
        exit: Math.max(0, ...all.map((s) => s.exit)),
        report: {
          reverts: o.run.id,
          sides: Object.fromEntries(Object.entries(sides).map(([side, s]) => [side, { run: s.run, ...reportOf(s) }])),
        } as unknown as JsonValue,
      };
    });
  });

const reportOf = (side: Reverted): Readonly<Record<string, JsonValue>> =>
  side.report as unknown as Readonly<Record<string, JsonValue>>;
