import { count, grouped } from '../../lib/grouped.ts';
import { visibleCell, visibleText } from '../../model/canon/show.ts';
import type { Plan, PlanItem } from '../../model/plans.ts';
import type { Cell } from '../../model/row.ts';
import type { Store } from '../../model/store.ts';
import { type Planned, summaryOf } from '../../work/make-plan.ts';
import { shownChange } from '../../work/shown-change.ts';
import type { Out } from '../io.ts';
import { inert } from '../report-error.ts';
import { type Style, styleOf } from '../style.ts';
import { changeLine, countsLine } from './changes.ts';
import { jsonText } from './json-text.ts';
import { columnsOf, utc } from './text.ts';

type Summary = Planned['summary'];

export interface PlanView {
  readonly plan: Plan;
  readonly limit: number;
  /** The run that made it; null when it is only shown. */
  readonly run: string | null;
  /** What to type next. */
  readonly next: readonly string[];
}

const total = (n: { readonly insert: number; readonly update: number; readonly delete: number }): number =>
  n.insert + n.update + n.delete;

/** The first `limit` changes of a plan, in the order of application. */
export async function* firstItems(
  store: Pick<Store, 'plans'>,
  plan: Plan,
  limit: number,
  signal: AbortSignal,
): AsyncIterable<PlanItem> {
  let left = limit;
  if (left <= 0) return;
  for await (const batch of store.plans.items(plan.header.id, { signal })) {
    for (const item of batch) {
      if (left-- <= 0) return;
      yield item;
    }
  }
}

const planned = (plan: Plan, summary: Summary): Record<string, unknown> => ({
  ...plan.header.counts,
  withheld: total(summary.withheld),
});

/** One document: `changes` holds the first `limit` changes. */
export const planJson = async (out: Out, view: PlanView, items: AsyncIterable<PlanItem>): Promise<void> => {
  const { plan } = view;
  const { header } = plan;
  const summary = summaryOf(plan);
  const head = jsonText({
    schema_version: 1,
    plan: header.id,
    run: view.run ?? header.run,
    sync: header.sync,
    mode: header.mode,
    hash: plan.hash,
    created: utc(header.created),
    expires: utc(header.expires),
    used_by: plan.usedBy,
    source: { name: header.source.name, engine: header.source.engine },
    target: { name: header.target.name, engine: header.target.engine },
    planned: planned(plan, summary),
    does_not_fit: total(summary.unfit),
    does_not_fit_examples: summary.unfit_examples,
    moved: summary.moved,
    warnings: summary.warnings,
    stopped_by: summary.stopped_by,
  });
  await out.write(`${head.slice(0, -1)},"changes":[`);
  let shown = 0;
  for await (const item of items) {
    await out.write(`${shown === 0 ? '' : ','}\n${jsonText(shownChange(header, item))}`);
    shown++;
  }
  await out.write(`],"truncated":${total(header.counts) > shown}}\n`);
};

/** One change per line, then one line `{"summary":{…}}`. */
export const planJsonl = async (out: Out, view: PlanView, items: AsyncIterable<PlanItem>): Promise<void> => {
  const { plan } = view;
  for await (const item of items) await out.write(`${jsonText(shownChange(plan.header, item))}\n`);
  const summary = summaryOf(plan);
  await out.write(
    `${jsonText({ summary: { schema_version: 1, plan: plan.header.id, hash: plan.hash, planned: planned(plan, summary), does_not_fit: total(summary.unfit), stopped_by: summary.stopped_by } })}\n`,
  );
};

/** Changes that the target cannot hold, or that cannot be made, one line each. */
export const unfitLines = (summary: Summary): readonly string[] =>
  summary.unfit_examples
    .filter((e) => e.key.length > 0)
    .map((e) => `${e.pair} ${e.key.map((k) => visibleCell(k as Cell)).join(', ')}: ${e.reason}`);

/** The first `most` of them, to stand below the line that counts them; a plan keeps some for the rest. */
export const shownUnfit = (summary: Summary, most: number, plan: string): readonly string[] => {
  const lines = unfitLines(summary);
  const kept = Math.max(0, lines.length - most);
  const hidden = total(summary.unfit) - summary.unfit_examples.length + kept;
  return [
    ...lines.slice(0, most).map((text) => `      ${inert(text)}\n`),
    ...(hidden > 0 ? [`      ${grouped(hidden)} more${kept > 0 ? `: lockstep show ${plan}` : ''}\n`] : []),
  ];
};

/** Tables whose rows differ and cannot be planned. */
export const withoutKey = (summary: Summary): readonly string[] => [
  ...new Set(summary.unfit_examples.filter((e) => e.key.length === 0).map((e) => e.pair)),
];

const remarksOf = (summary: Summary, style: Style): readonly string[] => {
  const lines: (readonly [string, string])[] = [];
  for (const [op, n] of Object.entries(summary.withheld)) {
    if (n > 0) lines.push(['withheld', `${count(n, op)} that the mode leaves out`]);
  }
  if (total(summary.unfit) > 0)
    lines.push([
      'not planned',
      `${count(total(summary.unfit), 'row')} that the target cannot hold, or whose table has no key`,
    ]);
  for (const text of unfitLines(summary)) lines.push(['does not fit', text]);
  for (const pair of withoutKey(summary))
    lines.push(['no key', `${pair}: its rows can be compared, not written; name a key with --key, or add one`]);
  const hidden = total(summary.unfit) - summary.unfit_examples.length;
  if (hidden > 0) lines.push(['does not fit', `${grouped(hidden)} more`]);
  if (summary.moved > 0)
    lines.push(['moved', `${count(summary.moved, 'row')} changed while the plan was made; left for the next one`]);
  for (const w of summary.warnings) lines.push(['warning', w]);
  for (const s of summary.stopped_by) lines.push(['guard', s]);
  return columnsOf(
    lines.map(([label, text]) => [`  ${style.cyan(label)}`, inert(text)]),
    () => false,
  );
};

export const planTable = async (out: Out, view: PlanView, items: AsyncIterable<PlanItem>): Promise<void> => {
  const { plan } = view;
  const { header } = plan;
  const style = styleOf(out.color);
  const summary = summaryOf(plan);
  const width = out.isTTY ? out.columns : 120;
  await out.write(
    `  plan        ${style.bold(header.id)}   expires ${utc(header.expires)}   used once\n  sha256      ${plan.hash.slice(0, 12)}…\n`,
  );
  await out.write(`  from        ${visibleText(header.source.name)}   ${inert(header.source.description)}\n`);
  await out.write(
    `  writes to   ${style.bold(visibleText(header.target.name))}   ${inert(header.target.description)}   mode ${header.mode}\n\n`,
  );
  await out.write(`  ${countsLine(header.counts, style)}\n${total(header.counts) > 0 ? '\n' : ''}`);
  let shown = 0;
  for await (const item of items) {
    await out.write(`${changeLine(shownChange(header, item), style, width)}\n`);
    shown++;
  }
  const more = total(header.counts) - shown;
  if (more > 0) await out.write(style.dim(`    ${grouped(more)} more: --limit all\n`));
  const remarks = remarksOf(summary, style);
  if (remarks.length) await out.write(`\n${remarks.join('\n')}\n`);
  if (plan.usedBy !== null) await out.write(`\n  ${style.yellow(`! already used by run ${plan.usedBy}`)}\n`);
  else if (total(header.counts) === 0)
    await out.write(`\n  ${total(summary.unfit) > 0 ? 'Nothing can be written.' : 'Nothing to change.'}\n`);
  else if (summary.stopped_by.length)
    await out.write(`\n  ${style.red('✗ A guard would stop this plan.')} Nothing was written.\n`);
  else await out.write(`\n  ${count(total(header.counts), 'change')} ready. Nothing was written.\n`);
  for (const next of view.next) await out.write(`  ${style.dim('next:')} ${next}\n`);
};

/** The changes as text to review; written from before- and after-images by `apply`, never from this. */
export const writePlan = async (
  out: Out,
  format: 'table' | 'json' | 'jsonl',
  view: PlanView,
  items: AsyncIterable<PlanItem>,
): Promise<void> => {
  if (format === 'json') await planJson(out, view, items);
  else if (format === 'jsonl') await planJsonl(out, view, items);
  else await planTable(out, view, items);
};
