import type { Clock } from '../lib/clock.ts';
import { hidden } from '../model/canon/concealed.ts';
import type { Change } from '../model/change.ts';
import { LockstepError } from '../model/errors.ts';
import type { HashSpec } from '../model/hash/spec.ts';
import type { Journal, Outcome } from '../model/journal.ts';
import type { Plan, PlanItem, Plans, SeqRange } from '../model/plans.ts';
import { defaultRetry, type RetryPolicy, retrying } from '../model/retry.ts';
import type { Cell, Key } from '../model/row.ts';
import type { Applied, TableChanges, Writer, Written } from '../model/writer.ts';
import type { GroupKind } from '../plan/seal.ts';
import type { Abreast } from './abreast.ts';
import type { ApplyTable } from './images.ts';
import { asPlanned, changedByTarget } from './images.ts';

export interface ApplySettings {
  /** Changes per transaction. */
  readonly batchSize: number;
  readonly batchDelayMs: number;
  /** Transactions at the same time. */
  readonly concurrency: number;
  /** `run`: one transaction, all or nothing. */
  readonly atomic: 'batch' | 'run';
  /** More refused rows than this stop the run. */
  readonly maxRejected: number;
  readonly retry: RetryPolicy;
}

export const defaultApplySettings: ApplySettings = {
  batchSize: 5000,
  batchDelayMs: 0,
  concurrency: 2,
  atomic: 'batch',
  maxRejected: 1000,
  retry: defaultRetry,
};

/** A cell that read back otherwise than it was written. */
export interface Altered {
  readonly pair: string;
  readonly key: Key;
  readonly column: string;
  readonly written: Cell;
  readonly stored: Cell;
}

/** What the parts of an apply share. */
export interface ApplyContext {
  readonly run: string;
  readonly plan: Plan;
  readonly tables: readonly ApplyTable[];
  /** What the changes' hashes were made with. */
  readonly hash?: HashSpec;
  /** How the items of a group may be written. */
  kindOf(group: number): GroupKind;
  readonly writer: Writer;
  readonly plans: Pick<Plans, 'items'>;
  readonly journal: Journal;
  /** Fencing token of the lock. */
  readonly token: bigint;
  readonly guardedBy: 'marker' | 'state';
  readonly settings: ApplySettings;
  readonly abreast: Abreast;
  readonly clock: Clock;
  readonly random: () => number;
  /** Aborts at once; the transaction under way is rolled back. */
  readonly signal: AbortSignal;
  /** Examples, bounded. */
  readonly altered: Altered[];
  nextStep(): number;
}

const examplesMost = 100;

/** Words of a database may quote any value of the row that it refuses. */
const withheld = (ctx: Pick<ApplyContext, 'tables'>, result: Attempt['result']): Attempt['result'] =>
  result.status === 'rejected' && ctx.tables.some((t) => t.concealed !== undefined)
    ? { ...result, reason: 'refused by the database, whose words are not kept: they may quote concealed values' }
    : result;

/** Characters of the cells that a change is written with: what a batch of it weighs in memory and on the wire. */
export const weightOf = (change: Change): number => {
  if (change.op === 'delete') return 0;
  // the images of a planned update need not be unpacked for this
  const cells = change.op === 'update' ? (change.cells ?? change.after) : change.after;
  let weight = 0;
  for (const cell of cells) if (cell !== null) weight += cell.length;
  return weight;
};

/** Changes that weigh more are not written at once: they are held as one parameter, and held again by the server. */
export const weightMost = 32 * 2 ** 20;

/** Consecutive items of one table and one kind, at most `most` each. */
export function* tableBatches(
  ctx: Pick<ApplyContext, 'tables' | 'hash'>,
  items: Iterable<PlanItem>,
  most: number,
): Iterable<TableChanges> {
  let held: Change[] = [];
  let table = -1;
  let weight = 0;
  const batch = (): TableChanges => {
    const t = ctx.tables[table]!;
    const changes = held;
    held = [];
    weight = 0;
    return { table: t.table, key: t.key, changes, ...(ctx.hash === undefined ? {} : { hash: ctx.hash }) };
  };
  for (const item of items) {
    const full = held.length >= most || weight >= weightMost;
    if (held.length > 0 && (full || item.table !== table || item.change.op !== held[0]!.op)) yield batch();
    table = item.table;
    held.push(item.change);
    weight += weightOf(item.change);
  }
  if (held.length > 0) yield batch();
}

export const seqRanges = (items: readonly PlanItem[]): readonly SeqRange[] => {
  const ranges: [number, number][] = [];
  for (const { seq } of items.toSorted((a, b) => a.seq - b.seq)) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === seq - 1) last[1] = seq;
    else ranges.push([seq, seq]);
  }
  return ranges;
};

/** Items of a transaction in the order they are written: finds the item of a change that came back. */
export interface ItemIndex {
  of(table: { readonly name: string; readonly schema?: string }, change: Change): PlanItem | undefined;
}

const changeId = (table: { readonly name: string; readonly schema?: string }, change: Change): string =>
  JSON.stringify([table.schema ?? null, table.name, change.op, change.key]);

/** Not by identity: a change may have been to another process and back. */
export const itemIndex = (ctx: ApplyContext, items: readonly PlanItem[]): ItemIndex => {
  let byId: Map<string, PlanItem> | undefined;
  return {
    of: (table, change) => {
      byId ??= new Map(items.map((item) => [changeId(ctx.tables[item.table]!.table, item.change), item]));
      return byId.get(changeId(table, change));
    },
  };
};

export interface Attempt {
  readonly result: Applied;
  /** Rows that read back otherwise than written. */
  readonly altered: number;
}

/**
 * One transaction, repeated while a repeat may cure it; one that could not be written beside others is tried once more
 * alone, and so is everything after it. A lost reply is settled by the marker, never by looking at
 * rows. `again`: the step was begun before, by a process that may have got as far as the commit.
 */
export const attemptStep = async (
  ctx: ApplyContext,
  step: number,
  o: {
    readonly again: boolean;
    batches(): Iterable<TableChanges> | AsyncIterable<TableChanges>;
    /** Number of an item, for what is noted of it; called in the order of the batches. */
    itemOf(w: Written, at: number): PlanItem;
  },
): Promise<Attempt> => {
  const mark = { run: ctx.plan.header.id, step, token: ctx.token };
  const once = async (attempt: number): Promise<Attempt> => {
    const again = o.again || attempt > 0;
    if (again && ctx.guardedBy === 'marker' && (await ctx.writer.applied(mark, ctx))) {
      return { result: { status: 'already' }, altered: 0 };
    }
    let altered = 0;
    const examples: Altered[] = [];
    const written = async (w: Written): Promise<void> => {
      if (w.asPlanned && !again) return;
      const notes: Outcome[] = [];
      for (const [i, change] of w.batch.changes.entries()) {
        const stored = w.stored[i]!;
        // An earlier attempt may have noted something else: told later wins.
        const plain = asPlanned(change, stored);
        if (plain && !again) continue;
        const item = o.itemOf(w, i);
        notes.push({ seq: item.seq, status: 'applied', stored });
        if (plain) continue;
        const t = ctx.tables[item.table]!;
        const places = changedByTarget(t, change, stored);
        if (places.length > 0) altered++;
        for (const at of places) {
          const shown = (cell: Cell): Cell =>
            cell !== null && t.concealed?.includes(t.columns[at]!.name) ? hidden : cell;
          if (examples.length + ctx.altered.length >= examplesMost) break;
          examples.push({
            pair: t.pair,
            key: change.key,
            column: t.columns[at]!.name,
            written: change.after === null ? null : shown(change.after[at]!),
            stored: stored === null ? null : shown(stored[at]!),
          });
        }
      }
      if (notes.length > 0) await ctx.journal.note(ctx.run, step, notes, ctx);
    };
    const result = await ctx.writer.apply(mark, o.batches(), { signal: ctx.signal, written });
    if (result.status === 'already' && !again) {
      throw new LockstepError(
        'PLAN_USED',
        `Step ${step} of plan ${ctx.plan.header.id} was written to this target by another run. Nothing was written.`,
        { hint: 'Make a new plan.' },
      );
    }
    if (result.status === 'done') ctx.altered.push(...examples);
    return { result: withheld(ctx, result), altered: result.status === 'done' ? altered : 0 };
  };
  let wasAlone = false;
  const attempt = (n: number): Promise<Attempt> =>
    ctx.abreast.enter((alone) => {
      wasAlone = alone;
      return once(n);
    });
  try {
    return await retrying(ctx.settings.retry, ctx, attempt);
  } catch (error) {
    const contended = error instanceof LockstepError && error.code === 'CONTENTION';
    if (!contended || wasAlone || ctx.signal.aborted) throw error;
    ctx.abreast.narrow();
    return await attempt(ctx.settings.retry.attempts);
  }
};
