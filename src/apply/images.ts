import { holds } from '../model/canon/spelling.ts';
import type { Change } from '../model/change.ts';
import type { PlanTable } from '../model/plans.ts';
import type { Row } from '../model/row.ts';
import type { Column, Table } from '../model/schema.ts';
import { nativeSelection } from '../model/selection.ts';

/** A table of a plan as it is now in the target. */
export interface ApplyTable {
  readonly pair: string;
  readonly table: Table;
  readonly key: readonly string[];
  /** Columns of a native row, in its order. */
  readonly columns: readonly Column[];
  /** Names of columns whose values are not shown. */
  readonly concealed?: readonly string[];
}

export const applyTable = (planned: PlanTable, table: Table): ApplyTable => ({
  pair: planned.pair,
  table,
  key: planned.key,
  columns: nativeSelection(table, planned.key).columns.map((s) => table.columns.find((c) => c.name === s.name)!),
  ...(planned.concealed === undefined ? {} : { concealed: planned.concealed }),
});

const computed = (t: ApplyTable, at: number): boolean => t.columns[at]!.generated === 'always';

const shows = (t: ApplyTable, at: number, found: Row, wanted: Row): boolean =>
  holds(t.columns[at]!.type, found[at]!, wanted[at]!);

/** Does the row found show what the change would make of it? */
export const showsAfter = (t: ApplyTable, change: Change, found: Row | null): boolean => {
  if (change.op === 'delete') return found === null;
  if (found === null) return false;
  if (change.op === 'insert') return change.columns.every((at) => shows(t, at, found, change.after));
  return change.after.every((_, at) => computed(t, at) || shows(t, at, found, change.after));
};

/** Places that were written and read back otherwise: a trigger or a rule of the target changed them. */
export const changedByTarget = (t: ApplyTable, change: Change, stored: Row | null): readonly number[] => {
  if (change.op === 'delete') return stored === null ? [] : change.before.map((_, at) => at);
  if (stored === null) return [...change.columns];
  if (change.op === 'insert') return change.columns.filter((at) => !shows(t, at, stored, change.after));
  return change.after.flatMap((_, at) => (computed(t, at) || shows(t, at, stored, change.after) ? [] : [at]));
};

/** Is the row exactly the planned after-image, in every cell? Then the journal needs no second copy. */
export const asPlanned = (change: Change, stored: Row | null): boolean =>
  stored === null ? change.after === null : change.after?.every((cell, at) => cell === stored[at]) === true;
