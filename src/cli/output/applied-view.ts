import { grouped } from '../../lib/grouped.ts';
import { visibleCell, visibleText } from '../../model/canon/show.ts';
import type { Settled } from '../../model/journal.ts';
import type { Store } from '../../model/store.ts';
import type { AppliedPlan } from '../../work/apply.ts';
import { summaryOf } from '../../work/make-plan.ts';
import { shownChange } from '../../work/shown-change.ts';
import type { Out } from '../io.ts';
import { inert } from '../report-error.ts';
import { styleOf } from '../style.ts';
import { jsonText } from './json-text.ts';
import { missingParents } from './missing-parents.ts';
import { shownUnfit } from './plan-view.ts';
import { besideOrBelow } from './text.ts';

/** A finished apply, or the apply of a revert. */
type Applied = Pick<AppliedPlan, 'run' | 'plan' | 'result' | 'resumed'>;
type Numbers = AppliedPlan['result']['numbers'];

const total = (n: { readonly insert: number; readonly update: number; readonly delete: number }): number =>
  n.insert + n.update + n.delete;

/** The first rows that were not written, with the reason. */
export const leftOver = async (
  store: Pick<Store, 'journal'>,
  run: string,
  most: number,
  signal: AbortSignal,
): Promise<readonly Settled[]> => {
  const found: Settled[] = [];
  for await (const batch of store.journal.outcomes(run, {
    signal,
    statuses: ['moved', 'rejected', 'conflict', 'skipped'],
  })) {
    for (const settled of batch) {
      if (found.length >= most) return found;
      found.push(settled);
    }
  }
  return found;
};

export const numbersJson = (n: Numbers, withheld: number): Record<string, unknown> => ({
  planned: { ...n.planned, withheld },
  applied: n.applied,
  already: n.already,
  skipped: { moved: n.moved, already_synced: 0 },
  rejected: n.rejected,
  conflicts: 0,
  rolled_back: n.rolled_back,
  pending: n.pending,
  changed_by_target: n.changed_by_target,
});

export const appliedJson = async (
  out: Out,
  a: Applied,
  left: readonly Settled[],
  withheld: number,
  more: Readonly<Record<string, unknown>> = {},
): Promise<void> => {
  const { numbers } = a.result;
  await out.write(
    `${jsonText({
      schema_version: 1,
      run: a.run,
      plan: a.plan.header.id,
      resumed: a.resumed,
      ...more,
      ...numbersJson(numbers, withheld),
      verified: total(numbers.applied) - numbers.changed_by_target,
      not_written: left.map((s) => ({
        ...shownChange(a.plan.header, s.item),
        status: s.outcome.status,
        reason: s.outcome.reason ?? null,
      })),
      changed: a.result.altered,
      guarded_by: a.result.guardedBy,
      ...(a.result.rolledBack === undefined ? {} : { rolled_back_because: a.result.rolledBack }),
    })}\n`,
  );
};

export const appliedTable = async (
  out: Out,
  a: Applied,
  /** The first `most` rows that were not written. */
  { left, most }: { readonly left: readonly Settled[]; readonly most: number },
): Promise<void> => {
  const style = styleOf(out.color);
  const { numbers, altered, rolledBack, guardedBy } = a.result;
  const { header } = a.plan;
  const line = (mark: string, label: string, n: number, rest = ''): Promise<void> =>
    out.write(`  ${mark} ${label.padEnd(12)}${grouped(n).padStart(9)}${rest === '' ? '' : `     ${rest}`}\n`);
  await out.write(
    `  plan ${header.id} on ${style.bold(visibleText(header.target.name))}${a.resumed ? ', resumed' : ''}\n`,
  );
  const { insert, update, delete: gone } = numbers.applied;
  await line(
    style.green('✓'),
    'applied',
    total(numbers.applied),
    `+ ${grouped(insert)}   ~ ${grouped(update)}   - ${grouped(gone)}`,
  );
  if (numbers.already) await line('·', 'already', numbers.already, 'the row showed the new values before us');
  if (numbers.moved) await line(style.yellow('↷'), 'skipped', numbers.moved, 'changed after the plan; not overwritten');
  if (numbers.rejected) await line(style.red('✗'), 'rejected', numbers.rejected, 'refused by the database');
  if (numbers.rolled_back) await line(style.red('↶'), 'rolled back', numbers.rolled_back, inert(rolledBack ?? ''));
  const { withheld, unfit } = summaryOf(a.plan);
  if (total(withheld)) await line('·', 'withheld', total(withheld), `mode ${header.mode} leaves them out`);
  if (total(unfit))
    await line(style.red('✗'), 'not planned', total(unfit), 'the target cannot hold them, or the table has no key');
  for (const text of shownUnfit(summaryOf(a.plan), most, header.id)) await out.write(text);
  if (numbers.pending) await line(style.yellow('…'), 'pending', numbers.pending, 'not tried: the run was stopped');
  for (const s of left) {
    const change = shownChange(header, s.item);
    const key = Object.values(change.key)
      .map((cell) => visibleCell(cell))
      .join(', ');
    const reason = s.outcome.reason ?? (s.outcome.status === 'moved' ? 'the row changed after the plan' : '');
    await out.write(
      `      ${visibleText(change.table)} ${key}   ${s.outcome.status}${reason === '' ? '' : `: ${inert(reason)}`}\n`,
    );
  }
  for (const text of missingParents(header, left)) await out.write(`  ${style.cyan('hint')}  ${inert(text)}\n`);
  const hidden = numbers.moved + numbers.rejected - left.length;
  if (hidden > 0) await out.write(style.dim(`      ${grouped(hidden)} more: lockstep show ${a.run} --limit all\n`));
  const verified = total(numbers.applied) - numbers.changed_by_target;
  await out.write(`    ${'verified'.padEnd(12)}${grouped(verified).padStart(9)}     read back and equal to the plan\n`);
  for (const x of altered.slice(0, 10)) {
    await out.write(
      `  ${style.yellow('!')} ${visibleText(x.pair)} ${x.key.map((c) => visibleCell(c)).join(', ')}: ${visibleText(x.column)} written ${visibleCell(x.written)}, read back ${visibleCell(x.stored)} (a trigger?)\n`,
    );
  }
  if (guardedBy === 'state') {
    await out.write(
      `  ${style.yellow('!')} no right to create our marker table in the target: repeats are recognised by the rows only\n`,
    );
  }
  const undo = total(numbers.applied) > 0 ? [`undo: lockstep revert ${a.run}`] : [];
  const width = out.isTTY ? out.columns : Number.POSITIVE_INFINITY;
  await out.write(`\n${besideOrBelow([`run ${style.bold(a.run)}`, ...undo], width)}\n`);
};
