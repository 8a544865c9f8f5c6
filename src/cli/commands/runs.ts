import { listRuns } from '../../work/runs.ts';
import type { Command } from '../context.ts';
import { openControl } from '../control.ts';
import { runsJson, runsTable } from '../output/run-view.ts';
import { formatOf, numberFlag } from '../read-flags.ts';

export const runs: Command = async (context, [sync], flags) => {
  const format = formatOf(flags, ['table', 'json'] as const, 'runs');
  const limit = flags.limit === undefined || flags.limit === 'all' ? undefined : numberFlag('--limit', flags.limit);
  const signal = AbortSignal.any([context.stop, context.now]);
  await using store = await openControl(context, flags, undefined, signal);
  const filter = {
    ...(sync === undefined ? {} : { sync }),
    limit: flags.limit === 'all' ? 100_000 : (limit ?? 50),
  };
  const found = await listRuns(store, filter, { signal });
  if (format === 'json') await runsJson(context.out, found);
  else await runsTable(context.out, found);
  return 0;
};
