import { type ApplyResult, applyPlan } from '../apply/apply-plan.ts';
import { type ApplySettings, defaultApplySettings } from '../apply/context.ts';
import type { Clock } from '../lib/clock.ts';
import type { ApprovalRule } from '../model/approval.ts';
import type { NewAuditEntry } from '../model/audit.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import type { JsonValue } from '../model/json.ts';
import type { Measure } from '../model/monitoring.ts';
import type { Plan } from '../model/plans.ts';
import type { Progress } from '../model/report.ts';
import type { Run } from '../model/runs.ts';
import type { Schema } from '../model/schema.ts';
import type { Store } from '../model/store.ts';
import type { Writer } from '../model/writer.ts';
import type { Guards } from '../plan/guards.ts';
import { audited } from './audited.ts';
import { currentTables, tablesToSettle } from './check-plan.ts';
import { summaryOf } from './make-plan.ts';

/** What applying needs, whoever asks for it. */
export interface ApplyWork extends Cancel {
  readonly store: Store;
  readonly target: Endpoint;
  readonly clock: Clock;
  /** 0 <= x < 1 */
  readonly random: () => number;
  /** Replaces what the plan was made with. */
  readonly guards?: Partial<Guards>;
  readonly settings?: Partial<ApplySettings>;
  /** Who has to agree to plans of its sync, as configured now. */
  readonly approvals?: ApprovalRule;
  /** Business metrics to be kept with the run. */
  readonly measures?: readonly Measure[];
  /** Aborted: finish the batches under way, save, end. */
  readonly stop?: AbortSignal;
  onProgress?(progress: Progress): void;
}

const writerOf = (target: Endpoint): Writer => {
  if (target.writer !== undefined) return target.writer;
  throw new LockstepError('NOT_WRITABLE', `${target.name} is read-only.`, {
    hint: 'Give the endpoint `writable: true` in the configuration.',
  });
};

/** One writer at a time per target database. */
const lockName = '*';

/** What the audit log says before the first write of a plan. */
const auditOf = (run: Run, plan: Plan, resumed: boolean): Omit<NewAuditEntry, 'outcome'> => ({
  actor: run.actor,
  action: run.kind === 'revert' ? 'change.revert' : 'plan.apply',
  object: `plans/${plan.header.id}`,
  after: {
    run: run.id,
    kind: run.kind,
    sync: plan.header.sync,
    target: plan.header.target.name,
    hash: plan.hash,
    planned: { ...plan.header.counts },
    ...(resumed ? { resumed } : {}),
  },
  correlation: run.correlation,
});

/**
 * Applies a checked plan under a run's record: claim, lock, write; between two entries of the audit log. `seen`: what the
 * target has now, if that is being read already.
 */
export const underLock = async (
  o: ApplyWork,
  plan: Plan,
  run: Run,
  resumed: boolean,
  seen?: Promise<Schema>,
): Promise<ApplyResult> => {
  const writer = writerOf(o.target);
  const summary = summaryOf(plan);
  const { signal } = o;
  const lookUp = resumed && o.stop?.aborted === true ? tablesToSettle : currentTables;
  const tables = await lookUp(plan, o.target, { signal, seen });
  const settings: ApplySettings = {
    ...defaultApplySettings,
    ...((plan.header.settings ?? {}) as Partial<ApplySettings>),
    ...o.settings,
  };
  if (settings.atomic === 'run' && writer.maxBatch === 1)
    throw new LockstepError(
      'CONFIG',
      `${o.target.name} writes one row at a time, so a run cannot be all or nothing there. Nothing was written.`,
      {
        side: o.target.name,
        hint: 'Leave `atomic: run` out for this target; an interrupted run is finished by the same command.',
      },
    );
  await o.store.plans.claim(plan.header.id, run.id, o.clock.now(), o);
  let begun = resumed;
  const marked = resumed ? (run.checkpoint as { marked?: readonly string[] } | null)?.marked : undefined;
  const batchRows = (total: number): number =>
    settings.atomic === 'run' ? total : Math.max(1, Math.min(settings.batchSize, writer.maxBatch));
  const write = async (): Promise<ApplyResult> => {
    const guardedBy = await writer.prepare(o);
    await using lock = await writer.lock({ run: run.id, pair: lockName }, o);
    return await applyPlan(
      {
        run: run.id,
        plan,
        tables,
        groups: summary.groups ?? {},
        writer,
        plans: o.store.plans,
        journal: o.store.journal,
        settings,
        clock: o.clock,
        random: o.random,
        signal: o.signal,
        ...(o.stop === undefined ? {} : { stop: o.stop }),
        ...(marked === undefined ? {} : { markedBy: marked.map(BigInt) }),
        onBegin: async (token) => {
          const checkpoint = { begun: true, marked: [...(marked ?? []), String(token)] };
          await o.store.runs.update(run.id, { plan: plan.header.id, checkpoint }, o);
          begun = true;
        },
        onProgress: (rows, total) =>
          o.onProgress?.({ pair: '', phase: 'apply', rows, total, batchRows: batchRows(total) }),
      },
      { token: lock.token, guardedBy, resumed },
    );
  };
  try {
    return await audited(
      o.store.audit,
      auditOf(run, plan, resumed),
      o,
      () => write(),
      ({ numbers, stopped }) => ({
        run: run.id,
        ...(numbers as unknown as { readonly [name: string]: JsonValue }),
        ...(stopped === undefined ? {} : { stopped: stopped.code }),
      }),
    );
  } catch (error) {
    // A claim that led to no write is given back: the plan can still be used.
    if (!begun) await o.store.plans.release(plan.header.id, run.id, o).catch(() => {});
    throw error;
  }
};
