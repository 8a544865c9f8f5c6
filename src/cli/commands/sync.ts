import { count } from '../../lib/grouped.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Store } from '../../model/store.ts';
import { connectBoth } from '../../service/connect.ts';
import { applySettingsOf } from '../../service/job.ts';
import type { Planned } from '../../work/make-plan.ts';
import { type SyncInput, sync as syncWork } from '../../work/sync.ts';
import { confirm } from '../confirm.ts';
import { type Command, type Context, type Flags, tell } from '../context.ts';
import { openControl, tellOfPause } from '../control.ts';
import { exitCodes } from '../exit.ts';
import { jobOf } from '../job.ts';
import { leftOver } from '../output/applied-view.ts';
import { firstItems, planTable } from '../output/plan-view.ts';
import { syncJson, syncTable } from '../output/sync-view.ts';
import { planInput } from '../planning.ts';
import { progressView } from '../progress.ts';
import { formatOf, limitFlag, shownRows } from '../read-flags.ts';
import { announceStop } from '../stopping.ts';

export const sync: Command = async (context, args, flags) => {
  const format = formatOf(flags, ['table', 'json'] as const, 'sync');
  const limit = limitFlag(flags, format);
  const job = await jobOf(context, args, flags, true);
  if (!flags.yes && !context.interactive) {
    throw new LockstepError('USAGE', 'lockstep sync writes to the target, and nobody can be asked here', {
      hint: 'Add --yes to go on without being asked; guards still apply.',
    });
  }
  const began = context.clock.elapsed();
  await using sides = await connectBoth(context, job, context.now);
  await using store = await openControl(context, flags, job.config, context.now);
  await tellOfPause(context, store, job.sync, context.now);
  using progress = progressView(context);
  using _stopping = announceStop(context, progress);
  if (job.twoWay !== undefined) {
    const { syncBoth } = await import('../two-way.ts');
    return await syncBoth(context, flags, job, { store, sides, progress, format, most: shownRows(flags, limit) });
  }
  const input = await planInput(context, job, { store, sides, progress, signal: context.now });
  let declined = false;
  const request: SyncInput = {
    ...input,
    settings: applySettingsOf(job),
    ...(job.config === undefined ? {} : { measures: job.config.measures }),
    random: Math.random,
    stop: context.stop,
    confirm: async (planned) => {
      if (flags.yes) return true;
      progress.clear();
      const go = await review(context, flags, store, planned);
      declined = !go;
      return go;
    },
  };
  const synced =
    job.mode === 'migrate'
      ? await (await import('../migrating.ts')).migrating(context, flags, { job, input: request, format, progress })
      : await syncWork(request);
  progress[Symbol.dispose]();
  if (typeof synced === 'number') return synced;
  if (format === 'json') await syncJson(context.out, synced);
  else {
    const most = shownRows(flags, limit);
    const left = await leftOver(store, synced.run, most, context.now);
    await syncTable(context.out, synced, { left, most }, context.clock.elapsed() - began);
  }
  const stopped = synced.result?.stopped;
  if (stopped) await tell(context, `${stopped.message}\n  to go on: lockstep apply ${synced.planned.plan.header.id}`);
  if (declined) await tell(context, 'Declined: nothing was written.');
  return declined ? exitCodes.usage : synced.exit;
};

/** Shows what would be written, on stderr, and asks. */
const review = async (context: Context, flags: Flags, store: Store, planned: Planned): Promise<boolean> => {
  const { plan } = planned;
  const { counts, target } = plan.header;
  await planTable(context.err, { plan, limit: 20, run: null, next: [] }, firstItems(store, plan, 20, context.now));
  const question = `Apply ${count(counts.insert + counts.update + counts.delete, 'change')} to ${target.name} (${target.description})?`;
  return confirm(context, flags, question);
};
