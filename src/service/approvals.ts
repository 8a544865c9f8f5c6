import type { Config } from '../config/config.ts';
import type { Clock } from '../lib/clock.ts';
import type { ApprovalRule, PlanWait } from '../model/approval.ts';
import type { Cancel } from '../model/cancel.ts';
import type { ServiceStore } from '../model/service-store.ts';
import type { Log } from '../telemetry/log.ts';
import { agreementOf } from '../work/approvals.ts';

/** The rule of a plan's sync as it is configured now. */
export const approvalRuleOf = (config: Config, sync: string | null): ApprovalRule | undefined =>
  sync !== null && Object.hasOwn(config.syncs, sync) ? config.syncs[sync]!.approvals?.rule : undefined;

export interface ApprovalsOptions {
  readonly store: Pick<ServiceStore, 'waits' | 'plans' | 'approvals' | 'runs' | 'desk'>;
  config(): Config;
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn'>;
}

/** Sees to one plan that waits: applied, expired, or still waiting. Several processes may; the run is asked for once. */
const lookAt = async (x: ApprovalsOptions, wait: PlanWait, o: Cancel): Promise<void> => {
  const { store, clock, log } = x;
  const now = clock.now();
  const fields = { plan: wait.plan, sync: wait.sync };
  const plan = await store.plans.get(wait.plan, o);
  if (plan?.usedBy != null) {
    await store.waits.end(wait.plan, 'approved', now, { ...o, run: plan.usedBy });
    return;
  }
  if (plan === undefined || wait.expires <= now) {
    if (await store.waits.end(wait.plan, 'expired', now, o)) log.warn('plan expired before enough had agreed', fields);
    return;
  }
  const { missing } = await agreementOf(store, plan, approvalRuleOf(x.config(), wait.sync), o);
  if (missing > 0) return;
  const maker = await store.runs.get(wait.run, o);
  const { run } = await store.desk.request(
    { kind: 'apply', plan: wait.plan },
    {
      actor: 'approvals',
      correlation: maker?.correlation ?? wait.run,
      ...(maker?.asked?.traceparent === undefined ? {} : { traceparent: maker.asked.traceparent }),
      trigger: 'after',
      idempotencyKey: `approved ${wait.plan}`,
    },
    o,
  );
  if (await store.waits.end(wait.plan, 'approved', now, { ...o, run: run.id }))
    log.info('plan approved', { ...fields, run: run.id });
};

/** Has the plans applied that enough people have agreed to, and ends the wait of those that are too old. */
export const lookAtWaits = async (x: ApprovalsOptions, o: Cancel): Promise<void> => {
  for (const wait of await x.store.waits.waiting(o)) {
    try {
      await lookAt(x, wait, o);
    } catch (error) {
      if (o.signal.aborted) return;
      x.log.warn('a plan that waits for approval cannot be seen to', { plan: wait.plan, error });
    }
  }
};

const everyMs = 1000;

/** Until the signal is aborted. */
export const followApprovals = async (x: ApprovalsOptions & Cancel): Promise<void> => {
  const { signal, clock, log } = x;
  while (!signal.aborted) {
    await lookAtWaits(x, { signal }).catch((error: unknown) => {
      if (!signal.aborted) log.warn('plans that wait for approval cannot be read', { error });
    });
    await clock.sleep(everyMs, signal).catch(() => {});
  }
};
