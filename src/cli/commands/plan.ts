import { open as openFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { LockstepError } from '../../model/errors.ts';
import type { Store } from '../../model/store.ts';
import { connectBoth } from '../../service/connect.ts';
import { makePlan } from '../../work/make-plan.ts';
import { type Command, type Context, tell } from '../context.ts';
import { openControl } from '../control.ts';
import { jobOf } from '../job.ts';
import { firstItems, writePlan } from '../output/plan-view.ts';
import { planInput } from '../planning.ts';
import { progressView } from '../progress.ts';
import { formatOf, limitFlag } from '../read-flags.ts';

export const plan: Command = async (context, args, flags) => {
  const format = formatOf(flags, ['table', 'json', 'jsonl'] as const, 'plan');
  const limit = limitFlag(flags, format);
  const job = await jobOf(context, args, flags, true);
  const signal = AbortSignal.any([context.stop, context.now]);
  await using sides = await connectBoth(context, job, signal);
  await using store = await openControl(context, flags, job.config, signal);
  using progress = progressView(context);
  if (job.twoWay !== undefined) {
    const { planBoth } = await import('../two-way.ts');
    if (format === 'jsonl') throw new LockstepError('USAGE', 'the plans of a two-way sync are shown as table or json');
    return await planBoth(context, flags, job, { store, sides, progress, format, limit });
  }
  const made = await makePlan(await planInput(context, job, { store, sides, progress, signal }));
  progress[Symbol.dispose]();
  const { id } = made.plan.header;
  if (flags.out !== undefined) await exportPlan(context, store, id, flags.out, signal);
  const { counts } = made.plan.header;
  const changes = counts.insert + counts.update + counts.delete;
  const name = flags.out ?? id;
  const guarded = made.summary.stopped_by.length > 0;
  const next =
    flags.quiet || changes === 0 || guarded ? [] : [`lockstep apply ${name}${job.sync === null ? ' TARGET' : ''}`];
  await writePlan(
    context.out,
    format,
    { plan: made.plan, limit, run: made.run, next },
    firstItems(store, made.plan, limit, signal),
  );
  return made.exit;
};

/** Writes the plan beside the file first, so that a half-written plan never has its name. */
const exportPlan = async (
  context: Context,
  store: Store,
  id: string,
  file: string,
  signal: AbortSignal,
): Promise<void> => {
  const path = resolve(context.cwd, file);
  const { rename, rm } = await import('node:fs/promises');
  const part = `${path}.part`;
  try {
    const handle = await openFile(part, 'w', 0o600);
    try {
      for await (const bytes of store.plans.export(id, { signal })) await handle.write(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined || error instanceof LockstepError) throw error;
    throw new LockstepError('USAGE', `--out ${file}: cannot be written (${code})`, {
      hint: `The plan itself is kept as ${id}.`,
      cause: error,
    });
  }
  await tell(context, `plan ${id} written to ${file}`);
};
