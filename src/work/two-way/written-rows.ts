import { totalOf } from '../../apply/numbers.ts';
import type { Cancel } from '../../model/cancel.ts';
import type { Journal } from '../../model/journal.ts';
import type { Pair } from '../../model/pair.ts';
import type { Plan, PlanItem, Plans } from '../../model/plans.ts';
import type { Batch, Key, Row } from '../../model/row.ts';
import type { Run } from '../../model/runs.ts';
import type { TwoWaySide } from '../../model/two-way-runs.ts';
import { nativeKey } from '../../plan/target-row.ts';
import { summaryOf } from '../make-plan.ts';
import { bothSides } from './context.ts';
import { comparedRows } from './follow.ts';
import type { TwoWayRevertInput } from './revert-input.ts';
import { seenFrom, turnedBack } from './turned.ts';

/** A key that a two-way run wrote, as its pair compares it. */
export interface Written {
  readonly pair: Pair;
  readonly key: Key;
  /** Sides that the run wrote. Of the other one: what it showed when that was decided, which is the result unless it refused it. */
  readonly wrote: Readonly<Record<TwoWaySide, boolean>>;
  readonly source: Row | null;
  readonly target: Row | null;
  readonly result: Row | null;
  /** What a side that was not written showed is known. */
  readonly known: boolean;
}

/** Rows that are looked up in the other side's plan at once. */
const rowsAtOnce = 2048;

/** What a run wrote to its sides, key by key, in batches. */
export async function* writtenRows(
  o: TwoWayRevertInput,
  children: Readonly<Partial<Record<TwoWaySide, Run>>>,
  plans: Readonly<Partial<Record<TwoWaySide, Plan>>>,
): AsyncGenerator<readonly Written[]> {
  const { store } = o;
  const shapes = { source: shapesOf(o, 'source', plans.source), target: shapesOf(o, 'target', plans.target) };
  for (const side of bothSides) {
    const child = children[side];
    const other: TwoWaySide = side === 'target' ? 'source' : 'target';
    if (child === undefined) continue;
    const planOfOther = plans[other];
    const leftOut = leavesOut(planOfOther);
    const became =
      children[other] === undefined ? () => undefined : await outcomesOf(store.journal, children[other].id, o);
    for await (const batch of gathered(store.journal.undo(child.id, { signal: o.signal }))) {
      const meant = batch.flatMap(({ item, stored }) => {
        const shape = shapes[side][item.table];
        if (shape === undefined) return [];
        const { pair } = shape;
        const before = item.change.before === null ? null : shape.row(item.change.before);
        const result = stored === null ? null : shape.row(stored);
        const key = (result ?? before)!.slice(0, pair.keyWidth);
        return isMeant(o, pair, key) ? [{ pair, key, before, result }] : [];
      });
      const twins: ReadonlyMap<string, PlanItem> =
        planOfOther === undefined ? new Map() : await twinsOf(store.plans, other, planOfOther.header.id, meant, o);
      const rows = meant.flatMap(({ pair, key, before, result }): Written[] => {
        const twin = twins.get(nameOf(pair, key));
        const done = twin === undefined ? undefined : became(twin.seq);
        const both = done !== undefined;
        // Told with the target's write; one that was there already is none.
        if (done === 'written' && side === 'source') return [];
        const shapeOfTwin = twin === undefined ? undefined : shapes[other][twin.table];
        const others =
          twin === undefined || shapeOfTwin === undefined
            ? result
            : twin.change.before === null
              ? null
              : turnedBack(shapeOfTwin.row(twin.change.before), result, pair);
        const row = { pair, key, result, known: twin !== undefined || !leftOut(pair, key, result) };
        return [
          side === 'target'
            ? { ...row, wrote: { source: both, target: true }, source: others, target: before }
            : { ...row, wrote: { source: true, target: both }, source: before, target: others },
        ];
      });
      if (rows.length > 0) yield rows;
    }
  }
}

/** The tables of a side's plan as the pairs compare them; undefined: of a pair that is not configured any more. */
const shapesOf = (o: TwoWayRevertInput, side: TwoWaySide, plan: Plan | undefined) =>
  (plan?.header.tables ?? []).map((planned) => {
    const pair = o.two.pairs.find((p) => p.name === planned.pair);
    return pair === undefined ? undefined : { pair, row: comparedRows(seenFrom(side, pair), planned) };
  });

const isMeant = ({ only }: TwoWayRevertInput, pair: Pair, key: Key): boolean =>
  only === undefined ||
  ((only.pair === undefined || only.pair === pair.name) && JSON.stringify(only.key) === JSON.stringify(key));

const nameOf = (pair: Pair, key: Key): string => JSON.stringify([pair.name, ...key]);

/**
 * May a plan have left out what was decided for a key? It names examples of what its side cannot hold, and how many of it
 * there are; of rows that changed while it was made it knows the number alone.
 */
const leavesOut = (plan: Plan | undefined): ((pair: Pair, key: Key, result: Row | null) => boolean) => {
  if (plan === undefined) return () => false;
  const { unfit, unfit_examples: examples, moved, withheld } = summaryOf(plan);
  if (moved > 0 || totalOf(unfit) > examples.length) return () => true;
  const names = new Set(examples.map((e) => JSON.stringify([e.pair, ...e.key])));
  return (pair, key, result) => (result === null && withheld.delete > 0) || names.has(nameOf(pair, key));
};

/** What became of the items of a run's plan: written, or found as they should be; undefined: its side still has what it had. */
const outcomesOf = async (
  journal: Journal,
  run: string,
  { signal }: Cancel,
): Promise<(seq: number) => 'written' | 'already' | undefined> => {
  const final = await journal.final(run, { signal });
  const others = new Map<number, 'already' | undefined>();
  const statuses = ['already', 'moved', 'rejected', 'conflict', 'skipped'] as const;
  for await (const settled of journal.outcomes(run, { signal, statuses }))
    for (const { item, outcome } of settled) others.set(item.seq, outcome.status === 'already' ? 'already' : undefined);
  return (seq) => {
    if (others.has(seq)) return others.get(seq);
    return final.some(([first, last]) => first <= seq && seq <= last) ? 'written' : undefined;
  };
};

/** What was planned for a side of these keys, the first of each. Its plan has them as that side spells them. */
const twinsOf = async (
  plans: Pick<Plans, 'find'>,
  side: TwoWaySide,
  plan: string,
  rows: Batch<{ readonly pair: Pair; readonly key: Key }>,
  { signal }: Cancel,
): Promise<ReadonlyMap<string, PlanItem>> => {
  const twins = new Map<string, PlanItem>();
  for (const [pair, some] of Map.groupBy(rows, (r) => r.pair)) {
    const shape = { pair: seenFrom(side, pair) };
    const names = new Map<string, string>();
    const keys = some.flatMap(({ key }) => {
      const native = nativeKey(shape, key);
      if ('reason' in native) return [];
      names.set(JSON.stringify(native.key), nameOf(pair, key));
      return [native.key];
    });
    for (const item of await plans.find(plan, pair.name, keys, { signal })) {
      const name = names.get(JSON.stringify(item.change.key))!;
      if (!twins.has(name)) twins.set(name, item);
    }
  }
  return twins;
};

/** The same items, in batches that are worth a query. */
async function* gathered<T>(batches: AsyncIterable<Batch<T>>): AsyncGenerator<Batch<T>> {
  let held: T[] = [];
  for await (const batch of batches) {
    held.push(...batch);
    if (held.length < rowsAtOnce) continue;
    yield held;
    held = [];
  }
  if (held.length > 0) yield held;
}
