import { isDeepStrictEqual } from 'node:util';
import { fit } from '../model/canon/fit.ts';
import { plainCell } from '../model/canon/spelling.ts';
import type { Change, ChangeOp, Difference } from '../model/change.ts';
import type { Pair } from '../model/pair.ts';
import type { Cell, Key, Row } from '../model/row.ts';
import type { Column } from '../model/schema.ts';
import { tableLabel } from '../model/schema.ts';
import type { SelectedColumn, Selection } from '../model/selected.ts';
import { nativeSelection } from '../model/selection.ts';

/** How a pair's rows become native rows of its target table. Made once per pair. */
export interface TargetShape {
  readonly pair: Pair;
  /** Key columns of the target, in the pair's order. */
  readonly key: readonly string[];
  /** Columns of a native row, in its order. */
  readonly columns: readonly Column[];
  /** Place in the native row of each of the pair's columns. */
  readonly place: readonly number[];
  /** Reads native rows by key, each followed by the compared cells whose type is not the column's own. */
  readonly selection: Selection;
  /** Where the compared cell of each of the pair's columns stands in a row of `selection`. */
  readonly compared: readonly number[];
  /** The pair covers the whole row as it is stored: nothing needs to be fetched. */
  readonly whole: boolean;
  /** Places written by an insert. */
  readonly inserted: readonly number[];
  /** Why no row can be inserted; undefined when one can. */
  readonly noInsert: string | undefined;
  /** An inserted row is wholly known before it is read back. */
  readonly determined: boolean;
}

export const targetShape = (pair: Pair): TargetShape => {
  const key = pair.columns.slice(0, pair.keyWidth).map((c) => c.target.name);
  const native = nativeSelection(pair.target, key);
  const columns = native.columns.map((s) => pair.target.columns.find((c) => c.name === s.name)!);
  const place = pair.columns.map((c) => columns.findIndex((column) => column.name === c.target.name));
  const extra: SelectedColumn[] = [];
  const compared = pair.columns.map((c, i) => {
    if (pair.rewrites?.[i] !== undefined || isDeepStrictEqual(c.as, c.target.type)) return place[i]!;
    extra.push({
      name: c.target.name,
      stored: c.target.type,
      as: c.as,
      ...(c.target.loose ? { loose: true as const } : {}),
    });
    return columns.length + extra.length - 1;
  });
  const mapped = new Set(place);
  const unmapped = columns.filter((_, i) => !mapped.has(i));
  const missing = unmapped.filter((c) => !c.nullable && !c.hasDefault && !c.serial && c.generated === undefined);
  return {
    pair,
    key,
    columns,
    place,
    selection: { ...native, columns: [...native.columns, ...extra] },
    compared,
    whole:
      pair.rewrites === undefined &&
      unmapped.length === 0 &&
      extra.length === 0 &&
      !native.columns.some((c) => c.exact),
    inserted: place.filter((p) => columns[p]!.generated !== 'always').toSorted((a, b) => a - b),
    noInsert:
      missing.length === 0
        ? undefined
        : `${missing.map((c) => c.name).join(', ')} of ${tableLabel(pair.target)} must not be NULL, has no default and no source column: map one, or give it a default`,
    determined:
      pair.target.triggers.length === 0 &&
      columns.every((c) => c.generated !== 'always') &&
      unmapped.every((c) => !c.hasDefault && !c.serial && c.generated === undefined),
  };
};

/** A compared cell as its column of the target stores it. */
const asStored = (pair: Pair, i: number, cell: Cell): ReturnType<typeof fit> => {
  const { as, target } = pair.columns[i]!;
  const rewrite = pair.rewrites?.[i];
  if (rewrite === undefined) return fit(cell, as, target);
  try {
    return { ok: true, cell: rewrite.back(cell) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { ok: false, reason, unquoted: 'its value cannot be told backwards' };
  }
};

/** A cell of the target as it is stored, as the pair compares it. Widening is always exact. */
export const asCompared = (pair: Pair, i: number, cell: Cell): Cell => {
  const { as, target } = pair.columns[i]!;
  const rewrite = pair.rewrites?.[i];
  if (rewrite !== undefined) return rewrite.forth(cell);
  const fitted = fit(cell, target.type, { ...target, type: as });
  return fitted.ok ? fitted.cell : cell;
};

/** Turns a key in the pair's types into the target's own. */
export const nativeKey = (
  { pair }: Pick<TargetShape, 'pair'>,
  key: Key,
): { readonly key: Key } | { readonly reason: string; readonly unquoted: string } => {
  const cells: Cell[] = [];
  for (let i = 0; i < pair.keyWidth; i++) {
    const c = pair.columns[i]!;
    const fitted = asStored(pair, i, key[i]!);
    if (!fitted.ok) {
      return { reason: `${c.target.name}: ${fitted.reason}`, unquoted: `${c.target.name}: ${fitted.unquoted}` };
    }
    cells.push(fitted.cell);
  }
  return { key: cells };
};

/** It cannot be written: what the target cannot hold is never rounded. `unquoted`: the same without a value of the row. */
interface Misfit {
  readonly kind: 'unfit';
  readonly reason: string;
  readonly unquoted?: string;
}

export type Built =
  | { readonly kind: 'change'; readonly change: Change }
  | Misfit
  /** The target's row is not what was compared any more. */
  | { readonly kind: 'moved' };

/** The compared cells of a row read by `shape.selection`; undefined: what is stored has none. */
const comparedRow = (shape: TargetShape, read: Row): Row | undefined => {
  try {
    return shape.compared.map((at, i) => {
      const { exact, stored } = shape.selection.columns[at]!;
      const cell = exact ? plainCell(stored, read[at]!) : read[at]!;
      const rewrite = shape.pair.rewrites?.[i];
      return rewrite === undefined ? cell : rewrite.forth(cell);
    });
  } catch {
    return undefined;
  }
};

const sameRow = (a: Row | undefined, b: Row): boolean =>
  a !== undefined && a.length === b.length && a.every((cell, i) => cell === b[i]);

/** The cells to be written, each with its place in the target's row; or why they cannot be. */
const writtenCells = (
  { pair, place, noInsert }: TargetShape,
  difference: Difference,
  op: Exclude<ChangeOp, 'delete'>,
): readonly (readonly [at: number, cell: Cell])[] | Misfit => {
  if (op === 'insert' && noInsert !== undefined) return { kind: 'unfit', reason: noInsert };
  const source = difference.source!;
  const wanted = difference.kind === 'different' ? difference.columns : pair.columns.map((_, i) => i);
  const written: (readonly [number, Cell])[] = [];
  const computed: string[] = [];
  for (const i of wanted) {
    const { target } = pair.columns[i]!;
    if (target.generated === 'always') {
      computed.push(target.name);
      continue;
    }
    const fitted = asStored(pair, i, source[i]!);
    if (!fitted.ok) {
      const unquoted = `${target.name}: ${fitted.unquoted}`;
      const reason = pair.columns[i]!.concealed === undefined ? `${target.name}: ${fitted.reason}` : unquoted;
      return { kind: 'unfit', reason, unquoted };
    }
    written.push([place[i]!, fitted.cell]);
  }
  if (op === 'update' && written.length === 0) {
    return { kind: 'unfit', reason: `${computed.join(', ')}: computed by the target, cannot be written` };
  }
  return written;
};

/** Why the row itself cannot be written as a difference asks for, whatever the target shows by then. */
export const misfitOf = (shape: TargetShape, difference: Difference, op: ChangeOp): Misfit | undefined => {
  const keyed = nativeKey(shape, difference.key);
  if ('reason' in keyed) return { kind: 'unfit', ...keyed };
  const cells = op === 'delete' ? [] : writtenCells(shape, difference, op);
  return 'kind' in cells ? cells : undefined;
};

/**
 * The change that settles a difference. `read`: the target's row as `shape.selection` reads it, undefined when there is
 * none.
 */
export const buildChange = (shape: TargetShape, difference: Difference, op: ChangeOp, read: Row | undefined): Built => {
  const { columns } = shape;
  if (difference.target === null ? read !== undefined : read === undefined) return { kind: 'moved' };
  if (read !== undefined && !sameRow(comparedRow(shape, read), difference.target!)) return { kind: 'moved' };
  const keyed = nativeKey(shape, difference.key);
  if ('reason' in keyed) return { kind: 'unfit', reason: keyed.reason };
  const before = read?.slice(0, columns.length);
  if (op === 'delete') return { kind: 'change', change: { key: keyed.key, op, before: before!, after: null } };
  const cells = writtenCells(shape, difference, op);
  if ('kind' in cells) return cells;
  const after: Cell[] = before === undefined ? columns.map(() => null) : [...before];
  for (const [at, cell] of cells) after[at] = cell;
  const written = cells.map(([at]) => at).sort((a, b) => a - b);
  return op === 'insert'
    ? { kind: 'change', change: { key: keyed.key, op, before: null, after, columns: written } }
    : { kind: 'change', change: { key: keyed.key, op: 'update', before: before!, after, columns: written } };
};

/** A whole-row difference in native form, when nothing has to be fetched. */
export const nativeRow = (shape: TargetShape, target: Row): Row => {
  const row: Cell[] = shape.columns.map(() => null);
  shape.place.forEach((at, i) => {
    row[at] = target[i]!;
  });
  return row;
};
