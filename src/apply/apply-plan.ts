import type { Clock } from '../lib/clock.ts';
import type { Cancel } from '../model/cancel.ts';
import { LockstepError } from '../model/errors.ts';
import type { Journal } from '../model/journal.ts';
import type { Plan, PlanItem, Plans } from '../model/plans.ts';
import type { Writer } from '../model/writer.ts';
import { hashOf } from '../plan/image-hashes.ts';
import type { GroupKind } from '../plan/seal.ts';
import { abreast } from './abreast.ts';
import { type Batches, batches } from './batches.ts';
import { type Altered, type ApplyContext, type ApplySettings, weightMost, weightOf } from './context.ts';
import type { ApplyTable } from './images.ts';
import { type ApplyNumbers, numbersOf, totalOf } from './numbers.ts';
import { pool } from './pool.ts';
import { merged, without } from './ranges.ts';
import { applyWhole } from './whole.ts';

export interface ApplyInput extends Cancel {
  readonly run: string;
  readonly plan: Plan;
  /** In the order of the plan's tables, as they are in the target now. */
  readonly tables: readonly ApplyTable[];
  readonly groups: Readonly<Record<string, GroupKind>>;
  readonly writer: Writer;
  readonly plans: Pick<Plans, 'items'>;
  readonly journal: Journal;
  readonly settings: ApplySettings;
  readonly clock: Clock;
  /** 0 <= x < 1 */
  readonly random: () => number;
  /** Aborted: finish the batches under way, save, end. */
  readonly stop?: AbortSignal;
  onProgress?(done: number, total: number): void;
  /** Tokens of the lock that earlier processes of this run marked the plan's use under; absent: not known. */
  readonly markedBy?: readonly bigint[];
  /** Called before the plan's use is marked in the target: from here on only this run may go on with it. */
  onBegin(token: bigint): Promise<void>;
}

export interface ApplyResult {
  readonly numbers: ApplyNumbers;
  /** The run was asked to stop, or the cap on refused rows stopped it; the same run can go on. */
  readonly stopped?: LockstepError;
  /** `atomic: run`: why everything was taken back. */
  readonly rolledBack?: string;
  readonly guardedBy: 'marker' | 'state';
  /** Examples of rows that read back otherwise than written. */
  readonly altered: readonly Altered[];
}

/** Step 0 of every plan in the target: its use, marked before its first write. */
const usedStep = 0;

/**
 * Marks the plan's use. Throws PLAN_USED when another run has, from whatever store: whose mark it is tells the token of
 * the lock it was set under.
 */
const markUsed = async (i: ApplyInput, token: bigint, guardedBy: 'marker' | 'state', fresh: boolean): Promise<void> => {
  if (guardedBy === 'state') {
    if (fresh) await i.onBegin(token);
    return;
  }
  const { id } = i.plan.header;
  const mark = { run: id, step: usedStep };
  const used = (): LockstepError =>
    new LockstepError('PLAN_USED', `Plan ${id} has been applied to this target by another run.`, {
      hint: 'A plan is used once. Make a new one: lockstep plan …',
    });
  if (await i.writer.applied(mark, i)) {
    if (fresh) throw used();
    if (i.markedBy === undefined) return;
    for (const earlier of i.markedBy) if (await i.writer.applied({ ...mark, by: earlier }, i)) return;
    throw used();
  }
  await i.onBegin(token);
  for (let attempt = 0; ; attempt++) {
    try {
      const marked = await i.writer.apply({ ...mark, token }, [], i);
      // After a lost reply the mark may be our own.
      if (marked.status === 'already' && !(await i.writer.applied({ ...mark, by: token }, i))) throw used();
      return;
    } catch (error) {
      const curable = error instanceof LockstepError && error.retry === 'now';
      if (!curable || attempt + 1 >= i.settings.retry.attempts) throw error;
      await i.clock.sleep(i.settings.retry.baseMs * 2 ** attempt * i.random(), i.signal);
    }
  }
};

const collect = async (items: AsyncIterable<readonly PlanItem[]>): Promise<readonly PlanItem[]> => {
  const all: PlanItem[] = [];
  for await (const batch of items) all.push(...batch);
  return all;
};

/**
 * Everything that is not final yet, in order: batches of one table and kind, or a whole group where it must be. Where
 * transactions run beside each other one batch more is at hand: its intent is journaled while it waits for its turn.
 */
const writeRest = async (i: ApplyInput, ctx: ApplyContext, work: Batches): Promise<void> => {
  const { settings } = i;
  const final = merged([
    ...(await i.journal.final(i.run, i)),
    ...(await i.journal.open(i.run, i)).flatMap((step) => step.items),
  ]);
  const total = totalOf(i.plan.header.counts);
  const only = without([1, total], final);
  if (only.length === 0) return;
  const size = Math.max(1, Math.min(settings.batchSize, i.writer.maxBatch));
  const workers = pool(settings.concurrency > 1 ? settings.concurrency + 1 : 1);
  let done = 0;
  let held: PlanItem[] = [];
  let weight = 0;
  const send = async (): Promise<void> => {
    const items = held;
    held = [];
    weight = 0;
    if (items.length === 0) return;
    if (ctx.kindOf(items[0]!.group) === 'ordered') await workers.drain();
    await workers.begin(async () => {
      // Asked again: there may have been a wait for room.
      if (i.stop?.aborted) return;
      await work.write(items);
      done += items.length;
      i.onProgress?.(done, total);
    });
    if (settings.batchDelayMs > 0) await i.clock.sleep(settings.batchDelayMs, i.signal);
  };
  try {
    for await (const batch of i.plans.items(i.plan.header.id, { signal: i.signal, only })) {
      for (const item of batch) {
        const last = held.at(-1);
        if (last !== undefined) {
          const sameGroup = last.group === item.group;
          const kind = ctx.kindOf(last.group);
          const together = kind === 'together' || kind === 'linked';
          const sameLane = last.table === item.table && last.change.op === item.change.op;
          if (!sameGroup || (!together && (!sameLane || held.length >= size || weight >= weightMost))) {
            await send();
            if (!sameGroup) await workers.drain();
            if (i.stop?.aborted) return;
          }
        }
        held.push(item);
        weight += weightOf(item.change);
      }
    }
    if (!i.stop?.aborted) await send();
  } finally {
    await workers.drain();
  }
};

/**
 * Applies a plan, or goes on with one: open steps of the run are settled first. The caller has checked the plan, its
 * target and its guards, and holds the lock (`token`).
 */
export const applyPlan = async (
  i: ApplyInput,
  o: { readonly token: bigint; readonly guardedBy: 'marker' | 'state'; readonly resumed: boolean },
): Promise<ApplyResult> => {
  const { signal, journal, plan } = i;
  await markUsed(i, o.token, o.guardedBy, !o.resumed);
  let last = await journal.last(i.run, i);
  const altered: Altered[] = [];
  const hash = hashOf(plan.header);
  const ctx: ApplyContext = {
    run: i.run,
    plan,
    tables: i.tables,
    ...(hash === undefined ? {} : { hash }),
    kindOf: (group) => i.groups[String(group)] ?? 'parallel',
    writer: i.writer,
    plans: i.plans,
    journal,
    token: o.token,
    guardedBy: o.guardedBy,
    settings: i.settings,
    abreast: abreast(i.settings.atomic === 'batch' ? Math.max(1, i.settings.concurrency) : 1),
    clock: i.clock,
    random: i.random,
    signal,
    altered,
    nextStep: () => ++last,
  };
  const total = totalOf(plan.header.counts);
  const open = o.resumed ? await journal.open(i.run, i) : [];
  const work = batches(ctx);
  if (total > 0) i.onProgress?.(0, total);
  let stopped: LockstepError | undefined;
  let rolledBack: string | undefined;

  if (i.settings.atomic === 'run') {
    // Once taken back, the verdict stands: the same plan is not tried twice.
    if (((await journal.tally(i.run, i))['rolled_back'] ?? 0) > 0) rolledBack = 'taken back before';
    else if (open.length > 0 || i.stop?.aborted !== true) {
      const whole = await applyWhole(ctx, { total, open: open[0]?.step });
      if (!whole.committed) rolledBack = whole.reason ?? 'refused';
    }
  } else {
    try {
      if (o.resumed) {
        for await (const batch of journal.outcomes(i.run, { signal, statuses: ['moved'] })) {
          for (const { item, outcome } of batch) work.remember(item, outcome.found ?? null);
        }
      }
      for (const step of open) {
        await work.resume(step.step, await collect(i.plans.items(plan.header.id, { signal, only: step.items })));
      }
      await writeRest(i, ctx, work);
      await work.secondChance(() => i.stop?.aborted === true);
    } catch (error) {
      if (!(error instanceof LockstepError) || error.code !== 'GUARD') throw error;
      stopped = error;
    }
    if (i.stop?.aborted) {
      await work.release();
      stopped = new LockstepError('ABORTED', 'Stopped between two batches. What was written is in the journal.', {
        hint: `Go on: lockstep apply ${plan.header.id}`,
      });
    } else await work.reject();
  }

  const inserted = new Set<ApplyTable>();
  const numbers = numbersOf(plan.header.counts, await journal.tally(i.run, i), { complete: stopped === undefined });
  if (numbers.applied.insert > 0 && stopped === undefined && rolledBack === undefined) {
    for (const t of i.tables) if (t.table.columns.some((c) => c.serial || c.generated === 'identity')) inserted.add(t);
    if (inserted.size > 0)
      await i.writer.advanceSequences(
        [...inserted].map((t) => t.table),
        i,
      );
  }
  return {
    numbers,
    guardedBy: o.guardedBy,
    altered,
    ...(stopped === undefined ? {} : { stopped }),
    ...(rolledBack === undefined ? {} : { rolledBack }),
  };
};
