import { LockstepError } from '../model/errors.ts';
import type { Outcome } from '../model/journal.ts';
import type { PlanItem } from '../model/plans.ts';
import type { Row } from '../model/row.ts';
import { tableLabel } from '../model/schema.ts';
import type { Applied, Written } from '../model/writer.ts';
import { type ApplyContext, attemptStep, itemIndex, seqRanges, tableBatches } from './context.ts';
import { type Dependants, dependants } from './dependants.ts';
import { showsAfter } from './images.ts';
import { appliedCounts } from './numbers.ts';

/** A refused row, or rows that go together: their step stays open in the journal until the verdict is final, so that nothing forgets it. */
export interface Parked {
  readonly items: readonly PlanItem[];
  readonly step: number;
  readonly reason: string;
  readonly sqlState?: string;
}

/** Rows that the database names are taken out one by one this often; then the batch is halved. */
const takenOutMost = 8;
const roundsMost = 20;

/** Writes batches, tells apart what moved and what is refused, and lets the rest go on. */
export interface Batches {
  readonly parked: readonly Parked[];
  write(items: readonly PlanItem[]): Promise<void>;
  /** What an earlier process found moved, so that nothing takes it along. */
  remember(item: PlanItem, found: Row | null): void;
  /** A step that an earlier process left open. */
  resume(step: number, items: readonly PlanItem[]): Promise<void>;
  /** Tries refused rows again, together where they belong together: what they needed may be there by now. */
  secondChance(stopped: () => boolean): Promise<void>;
  /** Makes the verdict on refused rows final. */
  reject(): Promise<void>;
  /** Leaves refused rows to whoever goes on: nothing of them was written, so the run has no write that is not settled. */
  release(): Promise<void>;
}

export const batches = (ctx: ApplyContext): Batches => {
  const waiting: Dependants = dependants(ctx.tables);
  let parked: Parked[] = [];
  /** Counts what was written, to know whether a second try can end otherwise. */
  let progress = 0;
  let progressAtFirst = -1;

  const settle = (
    step: number,
    state: 'done' | 'rolled_back',
    outcomes: readonly Outcome[],
    counts: Readonly<Record<string, number>>,
  ): Promise<void> => ctx.journal.settle(ctx.run, step, { state, at: ctx.clock.now(), outcomes, counts }, ctx);

  const intend = (step: number, items: readonly PlanItem[]): Promise<void> =>
    ctx.journal.intend({ run: ctx.run, step, plan: ctx.plan.header.id, items: seqRanges(items) }, ctx.clock.now(), ctx);

  const park = (items: readonly PlanItem[], step: number, reason: string, sqlState?: string): void => {
    if (progressAtFirst === -1) progressAtFirst = progress;
    for (const item of items) waiting.refused(item, reason);
    parked.push({ items, step, reason, ...(sqlState === undefined ? {} : { sqlState }) });
    if (parked.length > ctx.settings.maxRejected) {
      throw new LockstepError(
        'GUARD',
        `Stopped: the target has refused more than ${ctx.settings.maxRejected} rows. The last one: ${reason}`,
        {
          hint: 'What was written so far stays and is in the journal. Cure the cause, then apply the same plan again to go on.',
        },
      );
    }
  };

  /** A refused row that was not tried on its own gets an open step of its own. */
  const parkAnew = async (items: readonly PlanItem[], reason: string, sqlState?: string): Promise<void> => {
    const step = ctx.nextStep();
    await intend(step, items);
    park(items, step, reason, sqlState);
  };

  const linked = (items: readonly PlanItem[]): boolean => ctx.kindOf(items[0]!.group) === 'linked';

  const label = ({ table, change }: PlanItem): string =>
    `${tableLabel(ctx.tables[table]!.table)} ${change.key.map((c) => JSON.stringify(c)).join(', ')}`;

  /** Why rows that go together were refused. */
  const together = (culprit: PlanItem | undefined, { reason }: { readonly reason: string }): string =>
    culprit === undefined ? reason : `${label(culprit)}: ${reason} (it goes together with this one)`;

  const stale = async (
    step: number,
    items: readonly PlanItem[],
    rows: Extract<Applied, { status: 'stale' }>['rows'],
  ): Promise<readonly PlanItem[]> => {
    const index = itemIndex(ctx, items);
    const whole = linked(items);
    const outcomes = rows.map(({ change, table, found, reason }): Outcome => {
      const item = index.of(table, change);
      if (item === undefined) throw new LockstepError('INTERNAL', 'The target named a row that was not in the batch.');
      // A row of a linked group that gave its value up, to go in the end, and has gone.
      const gone =
        whole &&
        found === null &&
        index.of(table, { key: change.key, op: 'delete', before: [], after: null }) !== undefined;
      const already = gone || showsAfter(ctx.tables[item.table]!, item.change, found);
      if (!already) waiting.stayed(item, found);
      if (already) return { seq: item.seq, status: 'already' };
      return { seq: item.seq, status: 'moved', found, ...(reason === undefined ? {} : { reason }) };
    });
    if (outcomes.length === 0) throw new LockstepError('INTERNAL', 'The target called a batch stale and named no row.');
    const named = new Set(outcomes.map((o) => o.seq));
    const already = outcomes.filter((o) => o.status === 'already').length;
    const left = items.filter((item) => !named.has(item.seq));
    if (whole && already < outcomes.length) {
      const moved = items.find((item) => outcomes.some((o) => o.seq === item.seq && o.status === 'moved'))!;
      const reason = `it goes together with ${label(moved)}, which has changed since the plan was made`;
      for (const item of left) {
        outcomes.push({ seq: item.seq, status: 'rejected', reason });
        waiting.refused(item, reason);
      }
      const counts = { moved: named.size - already, rejected: left.length };
      await settle(step, 'rolled_back', outcomes, already > 0 ? { ...counts, already } : counts);
      return [];
    }
    await settle(step, 'rolled_back', outcomes, {
      ...(already > 0 ? { already } : {}),
      ...(named.size > already ? { moved: named.size - already } : {}),
    });
    return left;
  };

  /** Runs a step to its end; what is left of it follows in steps of its own. */
  const run = async (first: readonly PlanItem[], begun: number | undefined): Promise<void> => {
    const queue: { readonly items: readonly PlanItem[]; readonly begun?: number }[] = [
      begun === undefined ? { items: first } : { items: first, begun },
    ];
    let takenOut = 0;
    for (let part = queue.shift(); part !== undefined; part = queue.shift()) {
      const { items } = part;
      const step = part.begun ?? ctx.nextStep();
      if (part.begun === undefined) await intend(step, items);
      const index = itemIndex(ctx, items);
      const { result, altered } = await attemptStep(ctx, step, {
        again: part.begun !== undefined,
        batches: () => tableBatches(ctx, items, ctx.writer.maxBatch),
        itemOf: (w: Written, at) => index.of(w.batch.table, w.batch.changes[at]!)!,
      });
      switch (result.status) {
        case 'done':
        case 'already':
          await settle(
            step,
            'done',
            [],
            appliedCounts(
              items.map((i) => i.change.op),
              altered,
            ),
          );
          progress++;
          break;
        case 'stale': {
          const rest = await stale(step, items, result.rows);
          if (rest.length > 0) queue.unshift({ items: rest });
          break;
        }
        case 'rejected': {
          const culprit = result.change && index.of(result.table, result.change);
          if (items.length === 1 || linked(items)) {
            park(items, step, items.length === 1 ? result.reason : together(culprit, result), result.sqlState);
            break;
          }
          await settle(step, 'rolled_back', [], {});
          if (culprit !== undefined && takenOut < takenOutMost) {
            takenOut++;
            await parkAnew([culprit], result.reason, result.sqlState);
            queue.unshift({ items: items.filter((i) => i !== culprit) });
          } else {
            const half = Math.ceil(items.length / 2);
            queue.unshift({ items: items.slice(0, half) }, { items: items.slice(half) });
          }
        }
      }
    }
  };

  const write = async (items: readonly PlanItem[]): Promise<void> => {
    if (linked(items)) {
      const reason = items.map((item) => waiting.waitsFor(item)).find((r) => r !== undefined);
      return reason === undefined ? run(items, undefined) : parkAnew(items, reason);
    }
    const free: PlanItem[] = [];
    for (const item of items) {
      const reason = waiting.waitsFor(item);
      if (reason === undefined) free.push(item);
      else await parkAnew([item], reason);
    }
    if (free.length > 0) await run(free, undefined);
  };

  const secondChance = async (stopped: () => boolean): Promise<void> => {
    for (let round = 0; round < roundsMost && parked.length > 0 && !stopped(); round++) {
      const list = parked.toSorted((a, b) => a.items[0]!.seq - b.items[0]!.seq);
      const groups = Map.groupBy(list, ({ items: [item] }) =>
        ctx.kindOf(item!.group) === 'parallel' || ctx.kindOf(item!.group) === 'ordered'
          ? `${item!.group} ${item!.table} ${item!.change.op}`
          : `${item!.group}`,
      );
      if (progress === progressAtFirst && [...groups.values()].every((g) => g.length === 1)) return;
      parked = [];
      progressAtFirst = -1;
      const before = progress;
      waiting.clear();
      for (const group of groups.values()) {
        if (stopped()) {
          parked.push(...group);
          continue;
        }
        const single = group.length === 1 ? group[0]! : undefined;
        if (single?.items.every((item) => waiting.waitsFor(item) === undefined)) {
          await run(single.items, single.step);
          continue;
        }
        for (const p of group) await settle(p.step, 'rolled_back', [], {});
        await write(group.flatMap((p) => p.items));
      }
      if (progress === before) return;
    }
  };

  return {
    get parked() {
      return parked;
    },
    write,
    remember: (item, found) => waiting.stayed(item, found),
    resume: (step, items) => run(items, step),
    secondChance,
    reject: async () => {
      for (const { items, step, reason, sqlState } of parked) {
        const outcomes = items.map(
          ({ seq }): Outcome => ({ seq, status: 'rejected', reason, ...(sqlState === undefined ? {} : { sqlState }) }),
        );
        await settle(step, 'rolled_back', outcomes, { rejected: items.length });
      }
    },
    release: async () => {
      for (const { step } of parked) await settle(step, 'rolled_back', [], {});
      parked = [];
    },
  };
};
