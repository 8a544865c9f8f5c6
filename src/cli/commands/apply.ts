import { count } from '../../lib/grouped.ts';
import { approvalRuleOf } from '../../service/approvals.ts';
import { connectSide, describeSide } from '../../service/connect.ts';
import { apply as applyWork } from '../../work/apply.ts';
import { mustBeApproved } from '../../work/approvals.ts';
import { findPlan } from '../../work/find-plan.ts';
import { summaryOf } from '../../work/make-plan.ts';
import { factsOf } from '../../work/recorded.ts';
import { goesByArchive } from '../../work/two-way/goes-by-archive.ts';
import { configOf } from '../config-of.ts';
import { confirm } from '../confirm.ts';
import { type Command, tell } from '../context.ts';
import { askedBy, openControl, tellOfPause } from '../control.ts';
import { exitCodes } from '../exit.ts';
import { appliedJson, appliedTable, leftOver } from '../output/applied-view.ts';
import { progressView } from '../progress.ts';
import { formatOf, limitFlag, shownRows } from '../read-flags.ts';
import { announceStop } from '../stopping.ts';
import { targetSide, withTargetHint } from '../target-of-plan.ts';

export const apply: Command = async (context, [name, address], flags) => {
  const format = formatOf(flags, ['table', 'json'] as const, 'apply');
  const limit = limitFlag(flags, format);
  const signal = context.now;
  const config = await configOf(context, flags);
  await using store = await openControl(context, flags, config, signal);
  const plan = await findPlan(store, name!, { signal });
  const { header } = plan;
  await tellOfPause(context, store, header.sync, signal);
  if (goesByArchive(plan)) {
    const { applyBoth } = await import('../two-way.ts');
    using progress = progressView(context);
    using _stopping = announceStop(context, progress);
    return await applyBoth(context, flags, plan, { store, progress, format });
  }
  const side = targetSide(context, config, header.target, address, flags, header.sync);
  await using target = await connectSide(context, side, signal).catch((error: unknown) => {
    throw withTargetHint(error, address, `apply ${name}`);
  });
  const approvals = config === undefined ? undefined : approvalRuleOf(config, header.sync);
  // One that has begun goes on.
  if (plan.usedBy === null) await mustBeApproved(store, plan, approvals, { signal });
  const changes = header.counts.insert + header.counts.update + header.counts.delete;
  const question = `Apply ${count(changes, 'change')} of ${header.id} to ${header.target.name} (${header.target.description})?`;
  if (changes > 0 && !(await confirm(context, flags, question))) {
    await tell(context, 'Nothing was written.');
    return exitCodes.usage;
  }
  using progress = progressView(context);
  using _stopping = announceStop(context, progress);
  const done = await applyWork({
    ...askedBy(context),
    store,
    plan: header.id,
    target,
    facts: factsOf(target, await describeSide(context, side)),
    clock: context.clock,
    ...(config === undefined ? {} : { measures: config.measures }),
    ...(approvals === undefined ? {} : { approvals }),
    random: Math.random,
    signal,
    stop: context.stop,
    onProgress: progress.tick,
  });
  progress[Symbol.dispose]();
  const withheld = Object.values(summaryOf(plan).withheld).reduce((a, b) => a + b, 0);
  const most = format === 'json' ? limit : shownRows(flags, limit);
  const left = await leftOver(store, done.run, most, signal);
  if (format === 'json') await appliedJson(context.out, done, left, withheld);
  else await appliedTable(context.out, done, { left, most });
  const { stopped } = done.result;
  if (stopped) {
    await tell(
      context,
      `${stopped.message}\n  to go on: lockstep apply ${name}${address === undefined ? '' : ' TARGET'}`,
    );
  }
  return done.exit;
};
