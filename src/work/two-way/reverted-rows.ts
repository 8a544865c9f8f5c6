import type { Conflict, NewConflict } from '../../model/conflicts.ts';
import type { Pair } from '../../model/pair.ts';
import type { Plan, PlanItem } from '../../model/plans.ts';
import type { Batch, Cell, Key, Row } from '../../model/row.ts';
import { sameRow } from '../../model/same-row.ts';
import type { BaseCell } from '../../model/two-way.ts';
import type { TwoWaySide, WrittenRow } from '../../model/two-way-runs.ts';
import type { Reverted } from '../revert.ts';
import { bothSides } from './context.ts';
import { conflictColumns } from './decide.ts';
import { comparedRows, type Following } from './follow.ts';
import type { TwoWayRevertInput } from './revert-input.ts';
import { seenFrom } from './turned.ts';
import type { Written } from './written-rows.ts';

/**
 * What both sides last agreed on before a run wrote `result` over `source` and `target`: where the result is the
 * source's, that was what the target showed, and the other way round.
 */
const baseBefore = (source: Row | null, target: Row | null, result: Row | null): Row | null => {
  if (source === null || target === null || result === null) return sameRow(result, source) ? target : source;
  return result.map((cell, i): Cell => (cell === source[i] ? target[i]! : source[i]!));
};

const pinned = (o: TwoWayRevertInput, row: Written): NewConflict => ({
  sync: o.sync,
  pair: row.pair.name,
  run: o.run.id,
  key: row.key,
  type: 'pinned',
  columns: conflictColumns(row.pair, []),
  keyWidth: row.pair.keyWidth,
  base: null,
  source: row.source,
  target: row.target,
  state: 'pending',
  reason: `pinned when run ${o.run.id} was reverted: runs leave it alone until it is resolved`,
});

/** Takes down which rows may be taken back, as the run that is reverted found and left them; pins them where that is wanted. */
export const takeDownWritten = async (
  o: TwoWayRevertInput,
  run: string,
  rows: AsyncIterable<readonly Written[]>,
): Promise<void> => {
  const { twoWayRuns, conflicts } = o.store;
  await twoWayRuns.begin(run, o.sync, o.clock.now(), o);
  for await (const batch of rows) {
    for (const [pair, some] of Map.groupBy(batch, (r) => r.pair)) {
      const known = await twoWayRuns.find(
        run,
        pair.name,
        some.map((r) => r.key),
        o,
      );
      const names = new Set(known.map((r) => JSON.stringify(r.key)));
      // of any other there is nothing that both sides are known to stem from: it is decided anew
      const fresh = [...new Map(some.map((r) => [JSON.stringify(r.key), r])).entries()].flatMap(([name, r]) =>
        names.has(name) || !r.known ? [] : [r],
      );
      await twoWayRuns.add(
        run,
        fresh.map(({ wrote, known: _, ...r }) => ({ ...r, pair: pair.name, writes: wrote })),
        o,
      );
      if (o.pin === true)
        await conflicts.record(
          some.map((r) => pinned(o, r)),
          o.clock.now(),
          o,
        );
    }
  }
};

/** Keys of the items of an inverse plan, as the pair compares them. */
const keysOf = (o: TwoWayRevertInput, side: TwoWaySide, plan: Plan) => {
  const shapes = plan.header.tables.map((planned) => {
    const pair = o.two.pairs.find((p) => p.name === planned.pair);
    if (pair === undefined) return undefined;
    return { pair, row: comparedRows(seenFrom(side, pair), planned) };
  });
  return (items: readonly PlanItem[]): ReadonlyMap<Pair, readonly Key[]> => {
    const found = items.flatMap(({ table, change }) => {
      const shape = shapes[table];
      const native = change.op === 'delete' ? change.before : change.after;
      return shape === undefined ? [] : [{ pair: shape.pair, key: shape.row(native).slice(0, shape.pair.keyWidth) }];
    });
    return new Map([...Map.groupBy(found, (f) => f.pair)].map(([pair, some]) => [pair, some.map((f) => f.key)]));
  };
};

/** Nothing is agreed on the keys that are about to be taken back. */
export const forgetReverted = async (
  o: TwoWayRevertInput,
  side: TwoWaySide,
  plan: Plan,
  run: string,
): Promise<void> => {
  const keys = keysOf(o, side, plan);
  for await (const items of o.store.plans.items(plan.header.id, { signal: o.signal })) {
    for (const [pair, some] of keys(items)) {
      await o.two.keep(
        pair,
        some.map((key) => ({ key, source: null, target: null })),
        run,
      );
      await o.store.twoWayRuns.missed(run, { side, pair: pair.name }, some, o);
    }
  }
};

/** What the run settled is open again where it was taken back. */
export const openAgain = async (
  o: TwoWayRevertInput,
  run: string,
  sides: Readonly<Partial<Record<TwoWaySide, Reverted>>>,
): Promise<void> => {
  const { twoWayRuns, journal } = o.store;
  const back: Record<TwoWaySide, Set<string>> = { source: new Set(), target: new Set() };
  for (const side of bothSides) {
    const done = sides[side];
    if (done?.result === undefined) continue;
    const keys = keysOf(o, side, done.plan);
    for await (const settled of journal.outcomes(done.run, { signal: o.signal })) {
      const through = settled.filter(({ outcome: { status } }) => status === 'applied' || status === 'already');
      for (const [pair, some] of keys(through.map((s) => s.item)))
        for (const key of some) back[side].add(`${pair.name} ${JSON.stringify(key)}`);
    }
  }
  for (const name of await twoWayRuns.pairs(run, o)) {
    const pair = o.two.pairs.find((p) => p.name === name);
    if (pair === undefined) continue;
    for await (const rows of twoWayRuns.rows(run, name, o)) {
      const bases = await basesOf(o, pair, rows);
      const keep = rows.flatMap((row) => {
        const at = JSON.stringify(row.key);
        const isBack = (side: TwoWaySide): boolean => back[side].has(`${name} ${at}`);
        return afterRevert(pair, row, isBack, bases.get(at)) ?? [];
      });
      if (keep.length > 0) await o.two.keep(pair, keep, o.run.id);
    }
  }
  await twoWayRuns.end(run, o.clock.now(), o);
};

/** What both sides had agreed on before rulings, by key. */
const basesOf = async (
  o: TwoWayRevertInput,
  pair: Pair,
  rows: Batch<WrittenRow>,
): Promise<ReadonlyMap<string, readonly BaseCell[] | null>> => {
  const keys = rows.map((r) => r.key);
  const of = { sync: o.sync, pair: pair.name, run: o.run.id, keys, states: ['ruled'] as const, limit: keys.length };
  return new Map((await o.store.conflicts.list(of, o)).map((c: Conflict) => [JSON.stringify(c.key), c.base]));
};

/**
 * What is agreed of a key of which some writes were taken back. Of both: what was before the run. Of one of two: that
 * side's row as it was before, which the other one's stems from as well. Of none, as if nothing had been tried.
 */
const afterRevert = (
  pair: Pair,
  row: WrittenRow,
  isBack: (side: TwoWaySide) => boolean,
  kept: readonly BaseCell[] | null | undefined,
): Following | undefined => {
  const { key, source, target, result, writes, written } = row;
  const wrote = bothSides.filter((side) => writes[side]);
  const back = wrote.filter(isBack);
  // What a transformation makes is not known of a row that only the source was written: it is decided anew.
  const agreed = (base: Row | null): Following => {
    const known = base?.length === pair.columns.length ? base : null;
    return { key, source: known, target: known };
  };
  if (back.length === 0) {
    if (wrote.every((side) => written[side].state !== 'missed')) return undefined;
    // A side that was not written stays what the other one's stems from: the result, unless it refused that.
    return agreed(wrote.length === 2 ? result : writes.target ? source : target);
  }
  if (back.length < wrote.length) return agreed(back[0] === 'source' ? source : target);
  if (kept === null) return agreed(null);
  const base = baseBefore(source, target, result);
  return agreed(base?.map((cell, i) => plainOr(kept?.[i], cell)) ?? null);
};

const plainOr = (kept: BaseCell | undefined, cell: Cell): Cell =>
  kept === undefined || (typeof kept === 'object' && kept !== null) ? cell : kept;
