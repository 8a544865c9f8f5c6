import { count, grouped } from '../../lib/grouped.ts';
import { visibleCell, visibleText } from '../../model/canon/show.ts';
import type { Plan } from '../../model/plans.ts';
import type { Store } from '../../model/store.ts';
import { summaryOf } from '../../work/make-plan.ts';
import { shownChange } from '../../work/shown-change.ts';
import type { TwoWayAppliedPlan } from '../../work/two-way/apply-plan.ts';
import type { TwoWayMade } from '../../work/two-way/make-plan.ts';
import type { TwoWayPlanned } from '../../work/two-way/plan.ts';
import type { TwoWayReverted } from '../../work/two-way/revert.ts';
import type { TwoWaySynced } from '../../work/two-way/sync.ts';
import type { Out } from '../io.ts';
import { inert } from '../report-error.ts';
import { styleOf } from '../style.ts';
import { jsonText } from './json-text.ts';
import { pairLines } from './pair-lines.ts';
import { firstItems, planTable, shownUnfit } from './plan-view.ts';
import { workDone } from './summary.ts';
import { besideOrBelow, labelled, padEnd } from './text.ts';

const unfitOf = (plans: TwoWayPlanned['plans']) =>
  Object.entries(plans).flatMap(([side, plan]) => summaryOf(plan).unfit_examples.map((e) => ({ side, ...e })));

export const twoWayJson = (out: Out, { sync, planned }: TwoWaySynced): Promise<void> =>
  out.write(`${jsonText({ ...sync, does_not_fit_examples: unfitOf(planned.plans) })}\n`);

const total = (n: { readonly insert: number; readonly update: number; readonly delete: number }): number =>
  n.insert + n.update + n.delete;

/** What would be written to each side, to be looked at before anything is. */
export const twoWayReview = async (
  out: Out,
  store: Pick<Store, 'plans'>,
  planned: TwoWayPlanned,
  signal: AbortSignal,
): Promise<void> => {
  for (const plan of Object.values(planned.plans)) {
    if (total(plan.header.counts) === 0) continue;
    await planTable(out, { plan, limit: 20, run: null, next: [] }, firstItems(store, plan, 20, signal));
  }
};

export const twoWayTable = async (out: Out, synced: TwoWaySynced, most: number, elapsedMs: number): Promise<void> => {
  const style = styleOf(out.color);
  const { sync: s, planned, applied, verification } = synced;
  const { report } = planned;
  const mode = Object.values(planned.plans)[0]?.header.mode ?? '';
  const arrow = s.sides.source === undefined ? '→' : '⇄';
  await out.write(
    `  ${visibleText(report.source.name)} ${arrow} ${style.bold(visibleText(report.target.name))}   mode ${mode}\n`,
  );
  await out.write(`  compared   ${workDone(report, elapsedMs)}\n\n`);
  await out.write(`${pairLines(report, out.isTTY ? out.columns : 120, style).join('\n')}\n\n`);
  const line = (mark: string, label: string, n: number, rest = ''): Promise<void> =>
    out.write(`  ${mark} ${label.padEnd(12)}${grouped(n).padStart(9)}${rest === '' ? '' : `     ${rest}`}\n`);
  const { decided } = s;
  if (decided.agreed) await line('·', 'agreed', decided.agreed, 'both sides had come to the same by themselves');
  if (decided.propagated)
    await line('·', 'one-sided', decided.propagated, 'only one side changed, or each other columns');
  if (decided.ruled) await line('·', 'ruled', decided.ruled, 'both sides changed, and a policy chose');
  if (decided.resolved) await line('·', 'resolved', decided.resolved, 'as a person had chosen');
  for (const [side, name] of [
    ['target', report.target.name],
    ['source', report.source.name],
  ] as const) {
    const of = s.sides[side];
    if (of === undefined || total(of.planned) + of.planned.withheld === 0) continue;
    const { insert, update, delete: gone } = of.applied;
    const changes = `+ ${grouped(insert)}   ~ ${grouped(update)}   - ${grouped(gone)}   of ${count(total(of.planned), 'change')}`;
    await line(style.green('✓'), 'applied', total(of.applied), `${changes} to ${visibleText(name)}`);
  }
  if (s.planned.withheld) await line('·', 'withheld', s.planned.withheld, `mode ${mode} leaves them out`);
  if (s.already) await line('·', 'already', s.already);
  if (s.skipped.moved)
    await line(style.yellow('↷'), 'skipped', s.skipped.moved, 'changed after the plan; not overwritten');
  const refused = s.rejected - s.does_not_fit;
  if (refused) await line(style.red('✗'), 'rejected', refused, 'refused by the database');
  if (s.does_not_fit) await line(style.red('✗'), 'not planned', s.does_not_fit, 'the other side cannot hold them');
  for (const plan of Object.values(planned.plans))
    for (const text of shownUnfit(summaryOf(plan), most, plan.header.id)) await out.write(text);
  if (s.pending) await line(style.yellow('…'), 'pending', s.pending, 'not written');
  if (s.verified) await line(style.green('✓'), 'verified', s.verified, 'read again from both sides and equal');
  if (s.unverified) await line(style.yellow('!'), 'unverified', s.unverified, 'not equal when read again');
  for (const e of verification.examples.slice(0, 10)) {
    await out.write(
      `      ${visibleText(e.pair)} ${e.key.map((c) => visibleCell(c)).join(', ')}   ${e.columns.map(visibleText).join(', ')}\n`,
    );
  }
  for (const side of Object.values(applied)) {
    for (const x of side.result.altered.slice(0, 10)) {
      const cells = `written ${visibleCell(x.written)}, read back ${visibleCell(x.stored)} (a trigger?)`;
      await out.write(
        `  ${style.yellow('!')} ${visibleText(x.pair)} ${x.key.map((c) => visibleCell(c)).join(', ')}: ${visibleText(x.column)} ${cells}\n`,
      );
    }
  }
  if (s.waiting) await line(style.yellow('?'), 'conflicts', s.waiting, `wait for a person: lockstep conflicts list`);
  const width = out.isTTY ? out.columns : Number.POSITIVE_INFINITY;
  const remark = (label: string, text: string): Promise<void> =>
    out.write(`${labelled(`  ${style.cyan(padEnd(label, 13))}`, inert(text), 17, width)}\n`);
  for (const n of s.not_compared) await remark('not compared', `${n.what}: ${n.reason}`);
  for (const w of s.warnings) await remark('warning', w);
  const verdict =
    s.verdict === 'agrees'
      ? style.green('✓ AGREES')
      : s.verdict === 'differs'
        ? style.red('✗ DIFFERS')
        : style.yellow(`! INCOMPLETE${s.in_flight ? `: ${count(s.in_flight, 'row')} in flight` : ''}`);
  const undo = total(s.applied) > 0 ? [`undo: lockstep revert ${s.run}`] : [];
  await out.write(`\n${besideOrBelow([verdict, `run ${style.bold(s.run)}`, ...undo], width)}\n`);
};

const planOf = (plan: Plan) => {
  const { header } = plan;
  const summary = summaryOf(plan);
  return {
    plan: header.id,
    hash: plan.hash,
    target: { name: header.target.name, engine: header.target.engine },
    planned: { ...header.counts, withheld: total(summary.withheld) },
    does_not_fit: total(summary.unfit),
    does_not_fit_examples: summary.unfit_examples,
    stopped_by: summary.stopped_by,
  };
};

/** One document: what would be written to each side, with the first `limit` changes of each. */
export const twoWayPlanJson = async (
  out: Out,
  store: Pick<Store, 'plans'>,
  { planned: made, run }: TwoWayMade,
  limit: number,
  signal: AbortSignal,
): Promise<void> => {
  const plans = Object.entries(made.plans);
  const head = jsonText({
    schema_version: 1,
    run,
    verdict: made.report.verdict,
    decided: made.counts,
    sides: Object.fromEntries(plans.map(([side, plan]) => [side, planOf(plan)])),
  });
  await out.write(`${head.slice(0, -1)},"changes":[`);
  let shown = 0;
  for (const [side, plan] of plans) {
    for await (const item of firstItems(store, plan, limit, signal)) {
      await out.write(`${shown === 0 ? '' : ','}\n${jsonText({ side, ...shownChange(plan.header, item) })}`);
      shown++;
    }
  }
  const all = plans.reduce((n, [, plan]) => n + total(plan.header.counts), 0);
  await out.write(`],"truncated":${all > shown}}\n`);
};

export const twoWayPlanTable = async (
  out: Out,
  store: Pick<Store, 'plans'>,
  { planned: made }: TwoWayMade,
  o: { readonly limit: number; readonly next: boolean },
  signal: AbortSignal,
): Promise<void> => {
  const style = styleOf(out.color);
  const all = Object.values(made.plans);
  const plans = all.filter((p) => total(p.header.counts) > 0);
  for (const plan of all) {
    if (total(plan.header.counts) + total(summaryOf(plan).unfit) === 0) continue;
    await planTable(out, { plan, limit: o.limit, run: null, next: [] }, firstItems(store, plan, o.limit, signal));
    await out.write('\n');
  }
  const { agreed, propagated, ruled, resolved, waiting } = made.counts;
  const parts = [
    `${grouped(propagated)} one-sided`,
    `${grouped(ruled)} ruled`,
    `${grouped(resolved)} resolved`,
    `${grouped(waiting)} waiting`,
    `${grouped(agreed)} agreed by themselves`,
  ];
  await out.write(`  keys        ${parts.join(' · ')}\n`);
  const unfit = all.some((plan) => total(summaryOf(plan).unfit) > 0);
  if (plans.length === 0) await out.write(unfit ? '' : '  Nothing is to be written.\n');
  else if (o.next)
    await out.write(`  next        ${style.bold(`lockstep apply ${plans[0]!.header.id}`)}   both sides\n`);
};

export const twoWayAppliedJson = (out: Out, done: TwoWayAppliedPlan): Promise<void> =>
  out.write(
    `${jsonText({
      schema_version: 1,
      run: done.run,
      waiting: done.waiting,
      sides: Object.fromEntries(
        Object.entries(done.applied).map(([side, s]) => [
          side,
          { run: s.run, plan: s.plan.header.id, ...s.result.numbers },
        ]),
      ),
    })}\n`,
  );

export const twoWayAppliedTable = async (out: Out, done: TwoWayAppliedPlan): Promise<void> => {
  const style = styleOf(out.color);
  for (const side of Object.values(done.applied)) {
    const n = side.result.numbers;
    const { insert, update, delete: gone } = n.applied;
    const rest = [
      n.moved > 0 ? `${grouped(n.moved)} moved` : '',
      n.rejected > 0 ? `${grouped(n.rejected)} rejected` : '',
      total(summaryOf(side.plan).unfit) > 0 ? `${grouped(total(summaryOf(side.plan).unfit))} not planned` : '',
    ].filter((x) => x !== '');
    await out.write(
      `  ${style.green('✓')} ${visibleText(side.plan.header.target.name)}   + ${grouped(insert)}   ~ ${grouped(update)}   - ${grouped(gone)}   ${rest.join(' · ')}\n`,
    );
    for (const text of shownUnfit(summaryOf(side.plan), 20, side.plan.header.id)) await out.write(text);
  }
  if (done.waiting > 0)
    await out.write(
      `  ${style.yellow('?')} ${count(done.waiting, 'conflict')} wait for a person: lockstep conflicts list\n`,
    );
  await out.write(`\n  run ${style.bold(done.run)}   undo: lockstep revert ${done.run}\n`);
};

export const twoWayRevertedJson = (out: Out, done: TwoWayReverted): Promise<void> =>
  out.write(
    `${jsonText({
      schema_version: 1,
      run: done.run,
      reverts: done.reverts,
      sides: Object.fromEntries(
        Object.entries(done.sides).map(([side, s]) => [
          side,
          {
            run: s.run,
            plan: s.plan.header.id,
            planned: { ...s.plan.header.counts, withheld: 0 },
            applied: s.result?.numbers.applied ?? { insert: 0, update: 0, delete: 0 },
            kept: s.keptCount,
            gone: s.gone,
          },
        ]),
      ),
    })}\n`,
  );

export const twoWayRevertedTable = async (out: Out, done: TwoWayReverted): Promise<void> => {
  const style = styleOf(out.color);
  await out.write(`  reverting ${style.bold(done.reverts)}\n`);
  for (const side of Object.values(done.sides)) {
    const { insert, update, delete: gone } = side.result?.numbers.applied ?? { insert: 0, update: 0, delete: 0 };
    await out.write(
      `  ${style.green('✓')} ${visibleText(side.plan.header.target.name)}   + ${grouped(insert)}   ~ ${grouped(update)}   - ${grouped(gone)}\n`,
    );
    if (side.keptCount === 0) continue;
    await out.write(`  ${style.yellow(`? kept ${grouped(side.keptCount)}`)}: changed again since, and not by us\n`);
    for (const k of side.kept.slice(0, 20)) {
      await out.write(
        `      ${visibleText(k.pair)} ${k.key.map((c) => visibleCell(c)).join(', ')}   ${k.columns.map(visibleText).join(', ')} ${inert(k.reason)}\n`,
      );
    }
  }
  await out.write(`\n  run ${style.bold(done.run)}\n`);
};
