import { listRuns } from '../../work/runs.ts';
import type { Command } from '../context.ts';
import { openControl } from '../control.ts';
import { runsJson, runsTable } from '../output/run-view.ts';
import { formatOf, limitOf } from '../read-flags.ts';

export const runs: Command = async (context, [sync], flags) => {
  const format = formatOf(flags, ['table', 'json'] as const, 'runs');
  const signal = AbortSignal.any([context.stop, context.now]);
  await using store = await openControl(context, flags, undefined, signal);
  const filter = {
    ...(sync === undefined ? {} : { sync }),
    limit: flags.limit === undefined ? 50 : Math.min(100_000, limitOf(flags.limit)),
  };
  const found = await listRuns(store, filter, { signal });
  if (format === 'json') await runsJson(context.out, found);
  else await runsTable(context.out, found);
  return 0;
};
