import type { ChangeOp } from '../model/change.ts';
import type { Outcome } from '../model/journal.ts';
import type { PlanItem, SeqRange } from '../model/plans.ts';
import type { TableChanges } from '../model/writer.ts';
import { type ApplyContext, attemptStep, tableBatches } from './context.ts';
import { showsAfter } from './images.ts';
import type { StepCounts } from './numbers.ts';
import { without } from './ranges.ts';

/** What `atomic: run` came to. */
export interface Whole {
  readonly committed: boolean;
  /** Why nothing was written. */
  readonly reason?: string;
}

const count = (counts: Record<string, number>, op: ChangeOp): void => {
  counts[op] = (counts[op] ?? 0) + 1;
};

/**
 * The whole plan in one transaction. Rows that show their after-image already are left out and the rest is tried
 * again; a row that moved or is refused takes everything back.
 */
export const applyWhole = async (
  ctx: ApplyContext,
  o: { readonly total: number; readonly open: number | undefined },
): Promise<Whole> => {
  let open = o.open;
  for (;;) {
    const final = await ctx.journal.final(ctx.run, ctx);
    const only = without([1, o.total], final);
    if (only.length === 0) return { committed: true };
    const step = open ?? ctx.nextStep();
    if (open === undefined) {
      await ctx.journal.intend({ run: ctx.run, step, plan: ctx.plan.header.id, items: only }, ctx.clock.now(), ctx);
    }
    /** Items of the batches that are in the writer's hands, by table, kind and key. */
    let known = new Map<string, PlanItem>();
    const id = (table: { readonly name: string; readonly schema?: string }, op: ChangeOp, key: unknown): string =>
      JSON.stringify([table.schema ?? null, table.name, op, key]);
    async function* stream(): AsyncIterable<TableChanges> {
      known = new Map();
      for await (const items of ctx.plans.items(ctx.plan.header.id, { signal: ctx.signal, only })) {
        for (let i = 0; i < items.length; i += ctx.writer.maxBatch) {
          const part = items.slice(i, i + ctx.writer.maxBatch);
          // Only the latest are kept: batches are written as they come.
          if (known.size > 50_000) known = new Map();
          for (const item of part) known.set(id(ctx.tables[item.table]!.table, item.change.op, item.change.key), item);
          yield* tableBatches(ctx, part, ctx.writer.maxBatch);
        }
      }
    }
    const { result, altered } = await attemptStep(ctx, step, {
      again: open !== undefined,
      batches: stream,
      itemOf: (w, at) => known.get(id(w.batch.table, w.batch.changes[at]!.op, w.batch.changes[at]!.key))!,
    });
    open = undefined;
    const settle = (state: 'done' | 'rolled_back', outcomes: readonly Outcome[], counts: StepCounts): Promise<void> =>
      ctx.journal.settle(ctx.run, step, { state, at: ctx.clock.now(), outcomes, counts }, ctx);
    const size = only.reduce((n, [first, last]: SeqRange) => n + last - first + 1, 0);
    if (result.status === 'done' || result.status === 'already') {
      const counts: Record<string, number> = {};
      for await (const items of ctx.plans.items(ctx.plan.header.id, { signal: ctx.signal, only })) {
        for (const { change } of items) count(counts, change.op);
      }
      await settle('done', [], altered === 0 ? counts : { ...counts, changed_by_target: altered });
      return { committed: true };
    }
    if (result.status === 'rejected') {
      const culprit =
        result.change === undefined ? undefined : known.get(id(result.table, result.change.op, result.change.key));
      const outcomes: readonly Outcome[] =
        culprit === undefined ? [] : [{ seq: culprit.seq, status: 'rejected', reason: result.reason }];
      await settle('rolled_back', outcomes, {
        ...(outcomes.length > 0 ? { rejected: outcomes.length } : {}),
        rolled_back: size - outcomes.length,
      });
      return { committed: false, reason: result.reason };
    }
    const outcomes = result.rows.map(({ change, table, found, reason }): Outcome => {
      const item = known.get(id(table, change.op, change.key))!;
      return showsAfter(ctx.tables[item.table]!, item.change, found)
        ? { seq: item.seq, status: 'already' }
        : { seq: item.seq, status: 'moved', found, ...(reason === undefined ? {} : { reason }) };
    });
    const already = outcomes.filter((x) => x.status === 'already').length;
    const moved = outcomes.length - already;
    if (moved === 0) {
      await settle('rolled_back', outcomes, { already });
      continue;
    }
    await settle('rolled_back', outcomes, {
      ...(already > 0 ? { already } : {}),
      moved,
      rolled_back: size - outcomes.length,
    });
    return {
      committed: false,
      reason: `${moved} ${moved === 1 ? 'row has' : 'rows have'} changed since the plan was made`,
    };
  }
};
