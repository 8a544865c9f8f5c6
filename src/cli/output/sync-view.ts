import { count, grouped } from '../../lib/grouped.ts';
import { visibleCell, visibleText } from '../../model/canon/show.ts';
import type { Settled } from '../../model/journal.ts';
import { shownChange } from '../../work/shown-change.ts';
import type { Synced } from '../../work/sync.ts';
import type { Out } from '../io.ts';
import { inert } from '../report-error.ts';
import { styleOf } from '../style.ts';
import { incrementalLines } from './incremental.ts';
import { jsonText } from './json-text.ts';
import { missingParents } from './missing-parents.ts';
import { pairLines } from './pair-lines.ts';
import { shownUnfit, withoutKey } from './plan-view.ts';
import { workDone } from './summary.ts';
import { besideOrBelow, labelled, padEnd } from './text.ts';

export const syncJson = (out: Out, { sync, planned }: Synced): Promise<void> =>
  out.write(`${jsonText({ ...sync, does_not_fit_examples: planned.summary.unfit_examples })}\n`);

const total = (n: { readonly insert: number; readonly update: number; readonly delete: number }): number =>
  n.insert + n.update + n.delete;

export const syncTable = async (
  out: Out,
  synced: Synced,
  /** The first `most` rows that were not written. */
  { left, most }: { readonly left: readonly Settled[]; readonly most: number },
  elapsedMs: number,
): Promise<void> => {
  const style = styleOf(out.color);
  const { sync: s, planned, result, verification } = synced;
  const { header } = planned.plan;
  await out.write(
    `  ${visibleText(header.source.name)} → ${style.bold(visibleText(header.target.name))}   mode ${header.mode}\n`,
  );
  await out.write(`  compared   ${workDone(planned.report, elapsedMs)}\n\n`);
  await out.write(`${pairLines(planned.report, out.isTTY ? out.columns : 120, style).join('\n')}\n\n`);
  for (const text of incrementalLines(planned.report))
    await out.write(`  ${style.cyan('incremental')}  ${inert(text)}\n`);
  const line = (mark: string, label: string, n: number, rest = ''): Promise<void> =>
    out.write(`  ${mark} ${label.padEnd(12)}${grouped(n).padStart(9)}${rest === '' ? '' : `     ${rest}`}\n`);
  const { insert, update, delete: gone } = s.applied;
  const { counts } = header;
  await line(
    '·',
    'planned',
    total(counts),
    `+ ${grouped(counts.insert)}   ~ ${grouped(counts.update)}   - ${grouped(counts.delete)}`,
  );
  await line(
    style.green('✓'),
    'applied',
    total(s.applied),
    `+ ${grouped(insert)}   ~ ${grouped(update)}   - ${grouped(gone)}`,
  );
  if (s.planned.withheld) await line('·', 'withheld', s.planned.withheld, `mode ${header.mode} leaves them out`);
  if (s.already) await line('·', 'already', s.already);
  if (s.skipped.moved)
    await line(style.yellow('↷'), 'skipped', s.skipped.moved, 'changed after the plan; not overwritten');
  const refused = s.rejected - s.does_not_fit;
  if (refused) await line(style.red('✗'), 'rejected', refused, 'refused by the database');
  if (s.does_not_fit)
    await line(style.red('✗'), 'not planned', s.does_not_fit, 'the target cannot hold them, or the table has no key');
  if (s.quarantined)
    await line(style.yellow('!'), 'quarantined', s.quarantined, 'invalid in the source; see lockstep quarantine list');
  if (s.rolled_back) await line(style.red('↶'), 'rolled back', s.rolled_back, inert(result?.rolledBack ?? ''));
  if (s.pending) await line(style.yellow('…'), 'pending', s.pending, 'not written');
  for (const settled of left) {
    const change = shownChange(header, settled.item);
    const key = Object.values(change.key)
      .map((cell) => visibleCell(cell))
      .join(', ');
    await out.write(
      `      ${visibleText(change.table)} ${key}   ${settled.outcome.status}: ${inert(settled.outcome.reason ?? 'the row changed after the plan')}\n`,
    );
  }
  for (const text of missingParents(header, left)) await out.write(`  ${style.cyan('hint')}  ${inert(text)}\n`);
  const hidden = s.skipped.moved + refused - left.length;
  if (hidden > 0) await out.write(style.dim(`      ${grouped(hidden)} more: lockstep show ${s.run} --limit all\n`));
  for (const text of shownUnfit(planned.summary, most, header.id)) await out.write(text);
  for (const pair of withoutKey(planned.summary))
    await out.write(`      ${visibleText(pair)}: no key; its rows can be compared, not written\n`);
  if (verification) {
    await line(style.green('✓'), 'verified', s.verified, 'read again from both sides and equal');
    if (s.unverified) await line(style.yellow('!'), 'unverified', s.unverified, 'not equal when read again');
    for (const e of verification.examples.slice(0, 10)) {
      await out.write(
        `      ${visibleText(e.pair)} ${e.key.map((c) => visibleCell(c)).join(', ')}   ${e.columns.map(visibleText).join(', ')}\n`,
      );
    }
  }
  for (const x of result?.altered.slice(0, 10) ?? []) {
    const cells = `written ${visibleCell(x.written)}, read back ${visibleCell(x.stored)} (a trigger?)`;
    await out.write(
      `  ${style.yellow('!')} ${visibleText(x.pair)} ${x.key.map((c) => visibleCell(c)).join(', ')}: ${visibleText(x.column)} ${cells}\n`,
    );
  }
  const width = out.isTTY ? out.columns : Number.POSITIVE_INFINITY;
  const remark = (label: string, text: string): Promise<void> =>
    out.write(`${labelled(`  ${style.cyan(padEnd(label, 13))}`, inert(text), 17, width)}\n`);
  for (const n of s.not_compared) await remark('not compared', `${n.what}: ${n.reason}`);
  for (const w of s.warnings) await remark('warning', w);
  if (s.awaits_approval) {
    const { plan, required, expires } = s.awaits_approval;
    await line(style.yellow('!'), 'waits', total(counts), `for ${count(required, 'approval')}, until ${expires}`);
    await out.write(`      to look at it: lockstep show ${s.run}   to agree: lockstep approve ${plan}\n`);
  }
  const verdict =
    s.verdict === 'agrees'
      ? style.green('✓ AGREES')
      : s.verdict === 'differs'
        ? style.red('✗ DIFFERS')
        : style.yellow(`! INCOMPLETE${s.in_flight ? `: ${count(s.in_flight, 'row')} in flight` : ''}`);
  const undo = total(s.applied) > 0 ? [`undo: lockstep revert ${s.run}`] : [];
  await out.write(`\n${besideOrBelow([verdict, `run ${style.bold(s.run)}`, ...undo], width)}\n`);
};
