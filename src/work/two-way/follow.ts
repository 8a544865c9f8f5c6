import type { Cancel } from '../../model/cancel.ts';
import { plainCell } from '../../model/canon/spelling.ts';
import type { Journal, Settled } from '../../model/journal.ts';
import type { Pair } from '../../model/pair.ts';
import type { Plan, PlanItem, PlanTable, SeqRange } from '../../model/plans.ts';
import type { Batch, Cell, Key, Row } from '../../model/row.ts';
import { nativeSelection } from '../../model/selection.ts';
import type { Store } from '../../model/store.ts';
import type { OpenTwoWayRun, TwoWaySide, WrittenRow } from '../../model/two-way-runs.ts';
import { asCompared } from '../../plan/target-row.ts';

/** What both sides are taken to have agreed on for a key; null: that the row is gone. */
export interface Following {
  readonly key: Key;
  readonly source: Row | null;
  readonly target: Row | null;
}

/** Has a side taken what this run was to write to it, if anything? */
export const isDone = ({ writes, written }: Pick<WrittenRow, 'writes' | 'written'>, side: TwoWaySide): boolean =>
  !writes[side] || written[side].state === 'stored';

/**
 * What the archive takes down for a key after its writes; undefined: it stays as it was, and the key is decided again.
 *
 * Where only one of two writes got through, that side holds what both had (a sum, columns of both), and the other one
 * what it had when that was decided, or something newer. The last state that both stem from is then the row of the side
 * that was not written, as it was decided on: base 10, left 13, right 15, sum 18 written left, right moved on to 16:
 * from 15 on, left has gained 3 and right 1, so the next sum is 19.
 */
export const followed = (row: WrittenRow): Following | undefined => {
  const { key, writes, written } = row;
  const done = (side: TwoWaySide): boolean => isDone(row, side);
  const shown = (side: TwoWaySide): Row | null => {
    const write = written[side];
    return writes[side] && write.state === 'stored' ? write.row : row[side];
  };
  if (done('source') && done('target')) return { key, source: shown('source'), target: shown('target') };
  if (!(writes.source && writes.target)) return undefined;
  const other = done('source') ? row.target : done('target') ? row.source : undefined;
  return other === undefined ? undefined : { key, source: other, target: other };
};

/** Turns native rows of a plan's table into rows of the pair it was planned as (seen so that the plan's side is its target). */
export const comparedRows = (pair: Pair, planned: PlanTable): ((native: Row) => Row) => {
  const { columns } = nativeSelection(planned.table, planned.key);
  const places = pair.columns.map((c) => columns.findIndex((s) => s.name === c.target.name));
  return (native) =>
    pair.columns.map((_, i): Cell => {
      const column = columns[places[i]!];
      // It has come since the plan was made.
      if (column === undefined) return null;
      const cell = native[places[i]!] ?? null;
      return asCompared(pair, i, column.exact ? plainCell(column.stored, cell) : cell);
    });
};

/** Items of a plan that no outcome is known of. */
const untouched = async (journal: Journal, child: string, plan: Plan, o: Cancel): Promise<readonly SeqRange[]> => {
  const { insert, update, delete: deleted } = plan.header.counts;
  const last = insert + update + deleted;
  const open: SeqRange[] = [];
  let next = 1;
  for (const [from, to] of await journal.final(child, o)) {
    if (from > next) open.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= last) open.push([next, last]);
  return open;
};

/** Rows that a side refused, for the inbox. */
export interface Refused {
  readonly side: TwoWaySide;
  readonly pair: string;
  readonly key: Key;
  readonly moved: boolean;
  readonly reason: string;
  readonly sqlState: string | undefined;
}

/** Takes down which writes of one side got through. `pairs`: seen so that this side is their target. */
export const takeDown = async (
  o: Cancel & { readonly store: Pick<Store, 'journal' | 'plans' | 'twoWayRuns'> },
  at: { readonly run: OpenTwoWayRun; readonly side: TwoWaySide; readonly pairs: readonly Pair[] },
  refused: (rows: Batch<Refused>) => void,
): Promise<void> => {
  const { store } = o;
  const { run, side } = at;
  const [id, child] = [run.plans[side], run.children[side]];
  if (id === null || child === null) return;
  const plan = await store.plans.get(id, o);
  if (plan === undefined) return;
  const tables = plan.header.tables.map((planned) => {
    const pair = at.pairs.find((p) => p.name === planned.pair);
    return pair === undefined ? undefined : { pair, row: comparedRows(pair, planned) };
  });
  const keyOf = (item: PlanItem): Key => {
    const t = tables[item.table]!;
    const native = item.change.op === 'delete' ? item.change.before : item.change.after;
    return t.row(native).slice(0, t.pair.keyWidth);
  };
  const take = async (settled: Batch<Settled>): Promise<void> => {
    for (const [table, some] of Map.groupBy(settled, (s) => s.item.table)) {
      const t = tables[table];
      if (t === undefined) continue;
      const where = { side, pair: t.pair.name };
      const through = some.filter(({ outcome: { status } }) => status === 'applied' || status === 'already');
      const rest = some.filter((s) => !through.includes(s));
      await store.twoWayRuns.stored(
        run.run,
        where,
        through.map(({ item, outcome }) => {
          const native = outcome.stored === undefined ? item.change.after : outcome.stored;
          return { key: keyOf(item), row: native === null ? null : t.row(native) };
        }),
        o,
      );
      if (rest.length === 0) continue;
      await store.twoWayRuns.missed(
        run.run,
        where,
        rest.map((s) => keyOf(s.item)),
        o,
      );
      refused(
        rest.map(({ item, outcome }) => ({
          side,
          pair: t.pair.name,
          key: keyOf(item),
          moved: outcome.status === 'moved',
          reason: outcome.reason ?? outcome.status,
          sqlState: outcome.sqlState,
        })),
      );
    }
  };
  for await (const settled of store.journal.outcomes(child, o)) await take(settled);
  const open = await untouched(store.journal, child, plan, o);
  if (open.length === 0) return;
  for await (const items of store.plans.items(id, { signal: o.signal, only: open })) {
    for (const [table, some] of Map.groupBy(items, (item) => item.table)) {
      const t = tables[table];
      if (t !== undefined) await store.twoWayRuns.missed(run.run, { side, pair: t.pair.name }, some.map(keyOf), o);
    }
  }
};
