import { visibleCell, visibleText } from '../../model/canon/show.ts';
import type { DifferenceFilter, DifferencePair } from '../../model/differences.ts';
import { LockstepError } from '../../model/errors.ts';
import type { JsonValue } from '../../model/json.ts';
import type { Plan } from '../../model/plans.ts';
import type { CompareReport } from '../../model/report.ts';
import type { Run } from '../../model/runs.ts';
import type { Store } from '../../model/store.ts';
import type { Certificate } from '../../work/certificate.ts';
import { summaryOf } from '../../work/make-plan.ts';
import { type ShownRun, showRun } from '../../work/runs.ts';
import { shownChange } from '../../work/shown-change.ts';
import type { ShownPair } from '../../work/shown-difference.ts';
import type { Command, Context, Flags } from '../context.ts';
import { openControl } from '../control.ts';
import { certificateText } from '../output/certificate-view.ts';
import { sharesLimit } from '../output/diff-output.ts';
import { jsonText } from '../output/json-text.ts';
import { openDiffOutput } from '../output/open.ts';
import { firstItems, shownUnfit, writePlan } from '../output/plan-view.ts';
import { runSides } from '../output/run-sides.ts';
import { runHead, runJson } from '../output/run-view.ts';
import { fairShares } from '../output/shares.ts';
import { formatFlag, formatOf, limitFlag } from '../read-flags.ts';
import { inert } from '../report-error.ts';
import { differencesFound, differencesOf, shownCount } from '../shown-limit.ts';

export const show: Command = async (context, [id], flags) => {
  const signal = AbortSignal.any([context.stop, context.now]);
  await using store = await openControl(context, flags, undefined, signal);
  const plan = await store.plans.get(id!, { signal });
  if (plan) return await showPlan(context, flags, store, plan, signal);
  const limit = limitFlag(flags, formatFlag(flags));
  const shown = await showRun(store, id!, { signal, limit: Math.min(limit, 1_000_000) });
  const { run } = shown;
  if (run.kind === 'diff' && run.state === 'done') return await showDiff(context, flags, store, run, signal);
  const certificate = run.state === 'done' ? certificateOf(run) : undefined;
  if (certificate !== undefined) return await showCopy(context, flags, run, certificate);
  const format = formatOf(flags, ['table', 'json'] as const, 'show');
  if (format === 'json') await shownJson(context, shown);
  else await shownTable(context, shown, limit);
  return 0;
};

const showPlan = async (
  context: Context,
  flags: Flags,
  store: Store,
  plan: Plan,
  signal: AbortSignal,
): Promise<number> => {
  const format = formatOf(flags, ['table', 'json', 'jsonl'] as const, 'show PLAN');
  const limit = limitFlag(flags, format);
  await writePlan(context.out, format, { plan, limit, run: null, next: [] }, firstItems(store, plan, limit, signal));
  return 0;
};

/** A copy has one; so has the sync of a migration that copied. */
const certificateOf = ({ kind, report }: Run): Certificate | undefined => {
  if (report === null) return undefined;
  const found = kind === 'copy' ? report : (report as { certificate?: JsonValue }).certificate;
  return found as unknown as Certificate | undefined;
};

/** The certificate that the copy ended with, as it was given then. */
const showCopy = async (context: Context, flags: Flags, run: Run, certificate: Certificate): Promise<number> => {
  const format = formatOf(flags, ['table', 'json'] as const, 'show of a copy');
  if (format === 'json') await context.out.write(`${JSON.stringify(certificate, null, 2)}\n`);
  else {
    await runHead(context.out, run);
    await certificateText(context.out, certificate);
  }
  return 0;
};

/** A stored label as a table's name: good enough to show, never used to write. */
const tableOf = (label: string): { readonly schema?: string; readonly name: string } => {
  const at = label.indexOf('.');
  return at < 0 ? { name: label } : { schema: label.slice(0, at), name: label.slice(at + 1) };
};

const shownPairs = (pairs: readonly DifferencePair[]): ReadonlyMap<string, ShownPair> =>
  new Map(pairs.map((p) => [p.name, { ...p, targetTable: tableOf(p.target) }]));

const showDiff = async (
  context: Context,
  flags: Flags,
  store: Store,
  run: Run,
  signal: AbortSignal,
): Promise<number> => {
  const format = formatFlag(flags);
  const limit = limitFlag(flags, format);
  const report = run.report as unknown as (CompareReport & { kept?: number }) | null;
  if (report === null) throw new LockstepError('NOT_FOUND', `Run ${run.id} has no report.`);
  await using output = openDiffOutput(format, context.out, {
    source: report.source.name,
    target: report.target.name,
    sync: run.sync,
  });
  const pairs = shownPairs(await store.differences.pairs(run.id, { signal }));
  const shares = new Map<string, number>();
  const read = async (filter: DifferenceFilter, most: number): Promise<void> => {
    let left = most;
    if (left <= 0) return;
    for await (const batch of store.differences.list(run.id, filter, { signal })) {
      for (const { pair, difference } of batch) {
        if (left-- <= 0) return;
        await output.difference(pairs.get(pair)!, difference);
        shares.set(pair, (shares.get(pair) ?? 0) + 1);
      }
    }
  };
  if (sharesLimit(format)) {
    const most = fairShares(report.pairs.map(differencesOf), limit);
    for (const [i, pair] of report.pairs.entries()) await read({ pair: pair.source }, most[i]!);
  } else await read({}, limit);
  await output.end(report, {
    run: run.id,
    shares,
    truncated: differencesFound(report) > shownCount(shares),
    elapsedMs: (run.finished ?? run.started) - run.started,
    next: [],
    explain: false,
  });
  return 0;
};

const exceptionsOf = (shown: ShownRun): readonly Record<string, unknown>[] =>
  shown.exceptions.map((s) => ({
    ...shownChange(shown.plan!.header, s.item),
    status: s.outcome.status,
    reason: s.outcome.reason ?? null,
  }));

const shownJson = (context: Context, shown: ShownRun): Promise<void> =>
  context.out.write(
    `${jsonText({
      schema_version: 1,
      ...runJson(shown.run),
      report: shown.run.report,
      tally: shown.tally,
      open_steps: shown.open,
      exceptions: exceptionsOf(shown),
      does_not_fit_examples: shown.plans.flatMap((plan) =>
        summaryOf(plan).unfit_examples.map((e) => ({ target: plan.header.target.name, ...e })),
      ),
      truncated: shown.more,
    })}\n`,
  );

const shownTable = async (context: Context, shown: ShownRun, limit: number): Promise<void> => {
  const { out } = context;
  await runHead(out, shown.run);
  await runSides(out, shown.run);
  const tally = Object.entries(shown.tally).map(([what, n]) => `${what} ${n}`);
  if (tally.length) await out.write(`  counts   ${tally.join(' · ')}\n`);
  if (shown.open > 0)
    await out.write(`  ! ${shown.open} writes were begun and are not settled: lockstep apply ${shown.run.plan}\n`);
  for (const s of shown.exceptions) {
    const change = shownChange(shown.plan!.header, s.item);
    const key = Object.values(change.key)
      .map((cell) => visibleCell(cell))
      .join(', ');
    await out.write(
      `    ${visibleText(change.table)} ${key}   ${s.outcome.status}${s.outcome.reason === undefined ? '' : `: ${inert(s.outcome.reason)}`}\n`,
    );
  }
  if (shown.more) await out.write('    more: --limit all\n');
  for (const plan of shown.plans) {
    const lines = shownUnfit(summaryOf(plan), limit, plan.header.id);
    if (lines.length > 0)
      await out.write(`  not planned for ${visibleText(plan.header.target.name)}\n${lines.join('')}`);
  }
};
