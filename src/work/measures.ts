import { exactSum } from '../lib/exact-sum.ts';
import type { Cancel } from '../model/cancel.ts';
import { scientific } from '../model/canon/decimal.ts';
import { plainCell } from '../model/canon/spelling.ts';
import type { ChangeOp } from '../model/change.ts';
import type { JsonValue } from '../model/json.ts';
import type { Measure } from '../model/monitoring.ts';
import type { Plan, PlanTable } from '../model/plans.ts';
import type { Cell, Row } from '../model/row.ts';
import type { ColumnType } from '../model/schema.ts';
import { nativeSelection } from '../model/selection.ts';
import type { Store } from '../model/store.ts';

const opOf = { inserts: 'insert', updates: 'update', deletes: 'delete' } as const;

interface Place {
  readonly at: number;
  readonly type: ColumnType;
}

/** Where the first of these columns is in the rows of a planned table. */
const placeOf = (table: PlanTable, names: readonly string[]): Place | undefined => {
  const columns = nativeSelection(table.table, table.key).columns;
  for (const name of names) {
    const at = columns.findIndex((c) => c.name === name);
    if (at >= 0) return { at, type: columns[at]!.stored };
  }
  for (const name of names) {
    const near = columns.filter((c) => c.name.toLowerCase() === name.toLowerCase());
    if (near.length === 1) return { at: columns.indexOf(near[0]!), type: near[0]!.stored };
  }
  return undefined;
};

interface Counter {
  add(table: number, op: ChangeOp, before: Row | null, after: Row | null): void;
  /** A decimal number; undefined: it cannot be told, and why. */
  end(): { readonly value: string } | { readonly unable: string };
}

const counterOf = (measure: Measure, tables: readonly PlanTable[]): Counter => {
  const { of, pair } = measure;
  const meant = (t: PlanTable): boolean => pair === undefined || t.pair === pair || t.pair.split('.').at(-1) === pair;
  if ('count' in of) {
    const only = of.count === 'changes' ? undefined : opOf[of.count];
    let n = 0;
    return {
      add: (table, op) => {
        if (meant(tables[table]!) && (only === undefined || op === only)) n++;
      },
      end: () => ({ value: String(n) }),
    };
  }
  const names = 'sum' in of ? of.sum : of.delta;
  const places = tables.map((t) => (meant(t) ? placeOf(t, names) : undefined));
  const total = exactSum();
  let unreadable = 0;
  const count = (place: Place, row: Row | null, times: 1 | -1): void => {
    const cell: Cell = row?.[place.at] ?? null;
    if (cell === null) return;
    const n = scientific(plainCell(place.type, cell) ?? '');
    // Sums are written out: an exponent beyond what databases hold as a decimal is none.
    if (n === undefined || Math.abs(Number(n.exponent)) > 20_000) unreadable++;
    else total.add({ ...n, exponent: Number(n.exponent) }, times);
  };
  return {
    add: (table, op, before, after) => {
      const place = places[table];
      if (place === undefined || ('delta' in of && op !== 'update')) return;
      count(place, before, -1);
      count(place, after, 1);
    },
    end: () =>
      unreadable > 0
        ? { unable: `${unreadable} cells of ${names[0]} are no numbers` }
        : places.every((p) => p === undefined)
          ? { unable: `no table that was written has a column ${names[0]}` }
          : { value: total.text() },
  };
};

/**
 * Business metrics of a run: over what it really wrote, by its journal, so that a row that had moved or was refused
 * does not count and a resumed run counts once. What cannot be told is a warning, never a failure: the rows are written.
 */
const measureRun = async (
  store: Pick<Store, 'journal'>,
  run: string,
  plan: Plan,
  measures: readonly Measure[],
  o: Cancel,
): Promise<{ readonly business: Readonly<Record<string, string>>; readonly warnings: readonly string[] }> => {
  const counters = measures.map((m) => [m.name, counterOf(m, plan.header.tables)] as const);
  const some = Object.values(plan.header.counts).some((n) => n > 0);
  if (measures.length > 0 && some)
    for await (const batch of store.journal.undo(run, o))
      for (const { item, stored } of batch) {
        const { op, before } = item.change;
        for (const [, counter] of counters) counter.add(item.table, op, before, op === 'delete' ? null : stored);
      }
  const business: Record<string, string> = {};
  const warnings: string[] = [];
  for (const [name, counter] of counters) {
    const end = some ? counter.end() : { value: '0' };
    if ('value' in end) business[name] = end.value;
    else warnings.push(`business metric ${name}: ${end.unable}`);
  }
  return { business, warnings };
};

/** What the report of a run holds of the business metrics of its sync. */
export const measuredReport = async (
  store: Pick<Store, 'journal'>,
  run: string,
  plan: Plan,
  measures: readonly Measure[] | undefined,
  o: Cancel,
): Promise<{ readonly [name: string]: JsonValue }> => {
  const own = (measures ?? []).filter((m) => m.sync === plan.header.sync);
  if (own.length === 0) return {};
  const { business, warnings } = await measureRun(store, run, plan, own, o);
  return { business, ...(warnings.length > 0 ? { business_warnings: warnings } : {}) };
};
