import { visibleCell } from '../../model/canon/show.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Pair } from '../../model/pair.ts';
import { tableLabel } from '../../model/schema.ts';
import { connectBoth } from '../../service/connect.ts';
import { type Job, scopeOf } from '../../service/job.ts';
import { alignAll } from '../../work/compare.ts';
import { explain as explainWork } from '../../work/explain.ts';
import { configOf } from '../config-of.ts';
import type { Command } from '../context.ts';
import { openControl } from '../control.ts';
import { jobOf } from '../job.ts';
import { explainedJson, explainedTable } from '../output/explain-view.ts';
import { formatOf } from '../read-flags.ts';

/** The pair whose target has this name, as plans show it; throws `error`, why it is no table of the source, where none is meant. */
const pairOfTarget = async (name: string, error: unknown, all: () => Promise<readonly Pair[]>): Promise<Pair> => {
  if (!(error instanceof LockstepError) || !['NOT_FOUND', 'TABLE_NOT_FOUND'].includes(error.code)) throw error;
  const meant = (await all()).filter(({ target }) => tableLabel(target) === name || target.name === name);
  if (meant.length !== 1) throw error;
  return meant[0]!;
};

export const explain: Command = async (context, [what, ...key], flags) => {
  const format = formatOf(flags, ['table', 'json'] as const, 'explain');
  const at = what!.indexOf('/');
  const config = await configOf(context, flags);
  const [sync, table] = at < 0 ? [what!, undefined] : [what!.slice(0, at), what!.slice(at + 1)];
  if (config === undefined || config.syncs[sync] === undefined || table === '') {
    const names = Object.keys(config?.syncs ?? {});
    throw new LockstepError('USAGE', `${what}: expected SYNC/PAIR`, {
      hint: names.length ? `Syncs: ${names.join(', ')}.` : 'There is no config file here with syncs.',
    });
  }
  const signal = AbortSignal.any([context.stop, context.now]);
  const job = await jobOf(context, [sync], flags, false);
  await using sides = await connectBoth(context, job, signal);
  await using store = await openControl(context, flags, config, signal);
  const aligned = async (of: Job): Promise<readonly Pair[]> =>
    (await alignAll({ source: sides.source, target: sides.target, ...scopeOf(of), signal })).pairs;
  const pairs =
    table === undefined
      ? await aligned(job)
      : await jobOf(context, [sync, table], flags, false)
          .then(aligned)
          .catch(async (error: unknown) => [await pairOfTarget(table, error, () => aligned(job))]);
  if (pairs.length !== 1) {
    throw new LockstepError('USAGE', `${what}: name one pair`, {
      hint: `Pairs: ${pairs.map((p) => `${sync}/${p.name}`).join(', ')}.`,
    });
  }
  const explained = await explainWork({
    pair: pairs[0]!,
    key,
    source: sides.source,
    target: sides.target,
    store,
    sync,
    rules: job.twoWay,
    mode: job.mode,
    signal,
  });
  const { differences, planned, written } = explained.trace;
  const { conflicts = [] } = explained.twoWay ?? {};
  const recorded = differences.length + planned.length + written.length + conflicts.length;
  const { source, target, quarantined } = explained;
  if (source === null && target === null && quarantined === undefined && recorded === 0) {
    const { columns, keyWidth, name } = explained.pair;
    const parts = columns.slice(0, keyWidth).map((c, i) => `${c.source.name} ${visibleCell(explained.key[i] ?? null)}`);
    throw new LockstepError('NOT_FOUND', `${name} has no row with the key ${parts.join(', ')}`, {
      hint: `It is on neither side (${sides.source.name}, ${sides.target.name}), and no run has seen it. Check the key: one value per column, in this order.`,
    });
  }
  const names = { source: sides.source.name, target: sides.target.name };
  if (format === 'json') await explainedJson(context.out, explained, names);
  else await explainedTable(context.out, explained, names);
  return 0;
};
