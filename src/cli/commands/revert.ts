import { count, grouped } from '../../lib/grouped.ts';
import { visibleCell, visibleText } from '../../model/canon/show.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Key } from '../../model/row.ts';
import type { Run } from '../../model/runs.ts';
import { tableLabel } from '../../model/schema.ts';
import type { Store } from '../../model/store.ts';
import { connectSide, describeSide } from '../../service/connect.ts';
import { factsOf } from '../../work/recorded.ts';
import { type Reverted, type RevertPlan, revert as revertWork } from '../../work/revert.ts';
import { guardRevert } from '../../work/revert-guard.ts';
import { findRun } from '../../work/runs.ts';
import { childRuns, refusePart } from '../../work/two-way/revert.ts';
import { configOf } from '../config-of.ts';
import { confirm } from '../confirm.ts';
import { type Command, type Context, tell } from '../context.ts';
import { askedBy, openControl } from '../control.ts';
import { exitCodes } from '../exit.ts';
import { appliedJson, appliedTable, leftOver } from '../output/applied-view.ts';
import { countsLine } from '../output/changes.ts';
import { jsonText } from '../output/json-text.ts';
import { progressView } from '../progress.ts';
import { formatOf } from '../read-flags.ts';
import { inert } from '../report-error.ts';
import { byFlag, revertLimits } from '../revert-limits.ts';
import { announceStop } from '../stopping.ts';
import { styleOf } from '../style.ts';
import { targetSide, withTargetHint } from '../target-of-plan.ts';

export const revert: Command = async (context, [id, address], flags) => {
  const format = formatOf(flags, ['table', 'json'] as const, 'revert');
  const signal = context.now;
  const config = await configOf(context, flags);
  await using store = await openControl(context, flags, config, signal);
  const at = id!.indexOf('/');
  const run = await findRun(store, at < 0 ? id! : id!.slice(0, at), { signal });
  const [part] = await childRuns(store, run, { signal });
  const only = at < 0 ? {} : { only: await keyOf(store, part ?? run, id!.slice(at + 1), signal) };
  if (part !== undefined) {
    const { revertBoth } = await import('../two-way.ts');
    using progress = progressView(context);
    using _stopping = announceStop(context, progress);
    return await revertBoth(context, flags, run, { store, progress, format, ...only });
  }
  await refusePart(store, run, { signal });
  if (run.target === null) throw new LockstepError('NOT_FOUND', `Run ${run.id} (${run.kind}) has written nothing.`);
  const side = targetSide(context, config, run.target, address, flags, run.sync);
  await using target = await connectSide(context, side, signal).catch((error: unknown) => {
    throw withTargetHint(error, address, `revert ${id}`);
  });
  using progress = progressView(context);
  using _stopping = announceStop(context, progress);
  let declined = false;
  const done = await revertWork({
    ...askedBy(context),
    store,
    run: run.id,
    ...only,
    target,
    facts: factsOf(target, await describeSide(context, side)),
    clock: context.clock,
    ...(config === undefined ? {} : { measures: config.measures }),
    random: Math.random,
    signal,
    stop: context.stop,
    onProgress: progress.tick,
    confirm: async (planned) => {
      progress.clear();
      guardRevert(planned, revertLimits(flags), byFlag);
      const { counts } = planned.plan.header;
      const n = counts.insert + counts.update + counts.delete;
      if (!flags.yes) await keptLines(context, planned);
      const go = await confirm(context, flags, `Take back ${count(n, 'change')} of ${run.id} in ${side.name}?`);
      declined = !go;
      return go;
    },
  });
  progress[Symbol.dispose]();
  if (format === 'json') await revertedJson(context, done);
  else await revertedTable(context, done);
  if (done.result) {
    const shape = { ...done, result: done.result, resumed: false };
    const left = await leftOver(store, done.run, 20, signal);
    if (format === 'table') await appliedTable(context.out, shape, { left, most: 20 });
    else
      await appliedJson(context.out, shape, left, 0, { reverts: done.reverts, kept: done.keptCount, gone: done.gone });
  }
  const stopped = done.result?.stopped;
  if (stopped) await tell(context, `${stopped.message}\n  to go on: lockstep apply ${done.plan.header.id}`);
  return declined ? exitCodes.usage : done.exit;
};

/** `KEY` or `TABLE/KEY`; the cells of a key of several columns are parted by commas. */
const keyOf = async (
  store: Store,
  run: Run,
  text: string,
  signal: AbortSignal,
): Promise<{ readonly pair?: string; readonly key: Key }> => {
  const at = text.indexOf('/');
  const table = at < 0 ? undefined : text.slice(0, at);
  const plan = run.plan === null ? undefined : await store.plans.get(run.plan, { signal });
  const tables = plan?.header.tables ?? [];
  const written = tables.filter((t) => tableLabel(t.table) === table || t.table.name === table);
  const known =
    tables.find((t) => t.pair === table) ??
    tables.find((t) => t.pair.endsWith(`.${table}`)) ??
    // as the plan shows it
    (written.length === 1 ? written[0] : undefined);
  const cells = (keys: string, width: number): Key => (width > 1 ? keys.split(',') : [keys]) as unknown as Key;
  if (table !== undefined && known !== undefined)
    return { pair: known.pair, key: cells(text.slice(at + 1), known.key.length) };
  const widths = new Set(tables.map((t) => t.key.length));
  const [width] = widths;
  if (widths.size > 1) {
    throw new LockstepError('USAGE', `which table is ${text} a key of?`, {
      hint: `Name it: ${run.id}/TABLE/KEY. Tables: ${tables.map((t) => t.pair).join(', ')}.`,
    });
  }
  return { key: cells(text, width ?? 1) };
};

const keptLines = async (context: Context, planned: RevertPlan): Promise<void> => {
  for (const k of planned.kept.slice(0, 20)) {
    await tell(
      context,
      `  kept  ${visibleText(k.pair)} ${k.key.map((c) => visibleCell(c)).join(', ')} ${k.columns.map(visibleText).join(', ')}: ${inert(k.reason)}`,
    );
  }
};

const revertedJson = async (context: Context, done: Reverted): Promise<void> => {
  if (done.result) return;
  const { counts } = done.plan.header;
  await context.out.write(
    `${jsonText({ schema_version: 1, run: done.run, plan: done.plan.header.id, reverts: done.reverts, planned: { ...counts, withheld: 0 }, applied: { insert: 0, update: 0, delete: 0 }, kept: done.keptCount, gone: done.gone })}\n`,
  );
};

const revertedTable = async (context: Context, done: Reverted): Promise<void> => {
  const { out } = context;
  const style = styleOf(out.color);
  await out.write(`  reverting ${style.bold(done.reverts)}   ${countsLine(done.plan.header.counts, style)}\n`);
  if (done.gone) await out.write(`  ${count(done.gone, 'change needs', 'changes need')} no taking back any more\n`);
  if (done.keptCount) {
    await out.write(`  ${style.yellow(`? kept ${grouped(done.keptCount)}`)}: changed again since, and not by us\n`);
    for (const k of done.kept.slice(0, 20)) {
      await out.write(
        `      ${visibleText(k.pair)} ${k.key.map((c) => visibleCell(c)).join(', ')}   ${k.columns.map(visibleText).join(', ')} ${inert(k.reason)}\n`,
      );
    }
  }
};
