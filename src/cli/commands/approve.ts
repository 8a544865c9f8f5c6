import { LockstepError } from '../../model/errors.ts';
import { approvalRuleOf } from '../../service/approvals.ts';
import { agreementOf, approve as approveWork } from '../../work/approvals.ts';
import { configOf } from '../config-of.ts';
import type { Command } from '../context.ts';
import { askedBy, openControl } from '../control.ts';
import { exitCodes } from '../exit.ts';
import { jsonText } from '../output/json-text.ts';
import { formatOf } from '../read-flags.ts';

/** `lockstep approve PLAN [--reason TEXT]` */
export const approve: Command = async (context, [name], flags) => {
  const json = formatOf(flags, ['table', 'json'] as const, 'approve') === 'json';
  const signal = AbortSignal.any([context.stop, context.now]);
  const config = await configOf(context, flags);
  await using store = await openControl(context, flags, config, signal);
  const plan = await store.plans.get(name!, { signal });
  if (plan === undefined)
    throw new LockstepError('NOT_FOUND', `There is no plan ${name} in this control store.`, {
      hint: 'A sync that waits says which: lockstep show RUN',
    });
  const { id, sync } = plan.header;
  const rule = config === undefined ? undefined : approvalRuleOf(config, sync);
  const by = { ...askedBy(context), comment: flags.reason ?? null, at: context.clock.now() };
  await approveWork(store, plan, by, rule, { signal });
  const { required, missing } = await agreementOf(store, plan, rule, { signal });
  const waits = sync !== null && (await store.waits.waiting({ signal, sync })).some((w) => w.plan === id);
  const next = waits ? `lockstep serve applies it, or: lockstep apply ${id}` : `apply it: lockstep apply ${id}`;
  await context.out.write(
    json
      ? `${jsonText({ schema_version: 1, plan: id, actor: by.actor, required, missing })}\n`
      : `  ${by.actor} agrees to plan ${id}; ${missing === 0 ? next : `${missing} more of ${required} have to`}\n`,
  );
  return exitCodes.ok;
};
