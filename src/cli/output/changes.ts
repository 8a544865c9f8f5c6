import { shownCell, visibleCell, visiblePair, visibleText } from '../../model/canon/show.ts';
import { plainCell, shownSpellings } from '../../model/canon/spelling.ts';
import type { ChangeOp } from '../../model/change.ts';
import type { Cell, Row } from '../../model/row.ts';
import { tableLabel } from '../../model/schema.ts';
import { nativeSelection } from '../../model/selection.ts';
import type { PlanHeader, PlanItem } from '../../model/store.ts';
import type { Style } from '../style.ts';
import { cut } from './text.ts';

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
  const { table, key, pair } = header.tables[item.table]!;
  const native = nativeSelection(table, key).columns;
  const columns = native.map((c) => c.name);
  const { change } = item;
  const shown = (cell: Cell, i: number): Cell => shownCell(cell, native[i]!.as);
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

const signs: Readonly<Record<ChangeOp, string>> = { insert: '+', update: '~', delete: '-' };

/** `~ public.orders 17   status "active" → "inactive"`, cut to `width`. */
export const changeLine = (change: ShownChange, style: Style, width: number): string => {
  const paint = { insert: style.green, update: style.yellow, delete: style.red }[change.op];
  const key = Object.values(change.key)
    .map((cell) => visibleCell(cell))
    .join(', ');
  const cells = change.cells
    .filter((c) => change.op === 'update' || !(c.column in change.key))
    .map((c) => {
      if (change.op !== 'update')
        return `${visibleText(c.column)} ${visibleCell((change.op === 'insert' ? c.after : c.before) ?? null)}`;
      const [before, after] = visiblePair(c.before ?? null, c.after ?? null);
      return `${visibleText(c.column)} ${before} → ${after}`;
    });
  const head = `${visibleText(change.table)} ${key}`;
  return `  ${paint(signs[change.op])} ${cut(`${head}   ${cells.join(' · ')}`, Math.max(30, width - 4))}`;
};

/** `+ insert 12   ~ update 39   - delete 0` */
export const countsLine = (counts: Readonly<Record<ChangeOp, number>>, style: Style): string =>
  [
    style.green(`+ insert ${counts.insert}`),
    style.yellow(`~ update ${counts.update}`),
    style.red(`- delete ${counts.delete}`),
  ].join('   ');
