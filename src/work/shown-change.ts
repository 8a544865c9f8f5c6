import { hidden } from '../model/canon/concealed.ts';
import { shownCell } from '../model/canon/show.ts';
import { plainCell, shownSpellings } from '../model/canon/spelling.ts';
import type { ChangeOp } from '../model/change.ts';
import type { PlanHeader, PlanItem } from '../model/plans.ts';
import type { Cell, Row } from '../model/row.ts';
import { tableLabel } from '../model/schema.ts';
import { nativeSelection } from '../model/selection.ts';

/** A planned or written change with names instead of places. */
export interface ShownChange {
  readonly seq: number;
  readonly op: ChangeOp;
  readonly pair: string;
  readonly table: string;
  readonly key: Readonly<Record<string, Cell>>;
  /** What is written, by target column; `before` is absent of an insert, `after` of a delete. */
  readonly cells: readonly { readonly column: string; readonly before?: Cell; readonly after?: Cell }[];
}

export const shownChange = (header: PlanHeader, item: PlanItem): ShownChange => {
  const { table, key, pair, concealed } = header.tables[item.table]!;
  const native = nativeSelection(table, key).columns;
  const columns = native.map((c) => c.name);
  const { change } = item;
  const shown = (cell: Cell, i: number): Cell =>
    shownCell(cell !== null && concealed?.includes(columns[i]!) ? hidden : cell, native[i]!.as);
  const cell = (row: Row, i: number): Cell => shown(plainCell(native[i]!.as, row[i] ?? null), i);
  const cells =
    change.op === 'delete'
      ? columns.map((column, i) => ({ column, before: cell(change.before, i) }))
      : change.op === 'insert'
        ? change.columns.map((i) => ({ column: columns[i]!, after: cell(change.after, i) }))
        : change.columns.map((i) => {
            const [before, after] = shownSpellings(native[i]!.as, change.before[i] ?? null, change.after[i] ?? null);
            return { column: columns[i]!, before: shown(before, i), after: shown(after, i) };
          });
  return {
    seq: item.seq,
    op: change.op,
    pair,
    table: tableLabel(table),
    key: Object.fromEntries(key.map((name, i) => [name, shownCell(change.key[i] ?? null, native[i]!.as)])),
    cells,
  };
};
