import type { Change, Difference } from '../model/change.ts';
import { LockstepError } from '../model/errors.ts';
import type { Cell, Key, Row } from '../model/row.ts';
import type { Outcome, PlanItem } from '../model/store.ts';

/**
 * The one line of JSON of a plan item, a difference, an outcome. The same item always gives the same line. An update
 * or a `different` keeps one row whole and only the other's cells that are not the same; a key that is the beginning
 * of its row is only its width.
 */
type Cells = readonly [index: number, cell: Cell][];
type ShortKey = number | Key;

interface ItemLine {
  readonly seq: number;
  readonly group: number;
  readonly table: number;
  readonly op: Change['op'];
  readonly key: ShortKey;
  readonly before?: Row;
  /** Insert: the row. */
  readonly after?: Row;
  /** Insert: absent when all columns are written. */
  readonly columns?: readonly number[];
  /** Update: the written cells, in the order of `columns`. */
  readonly set?: Cells;
  /** Update: cells that change without being written. */
  readonly also?: Cells;
}

const same = (a: readonly unknown[], b: readonly unknown[], length: number): boolean => {
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return false;
  return true;
};
const shortKey = (key: Key, row: Row): ShortKey =>
  key.length <= row.length && same(key, row, key.length) ? key.length : key;
const longKey = (key: ShortKey, row: Row): Key => (typeof key === 'number' ? row.slice(0, key) : key);

const cellsAt = (row: Row, columns: readonly number[]): Cells => columns.map((i) => [i, row[i] ?? null]);
const changedCells = (from: Row, to: Row, except: readonly number[]): Cells => {
  const cells: [number, Cell][] = [];
  for (let i = 0; i < to.length; i++) if (from[i] !== to[i] && !except.includes(i)) cells.push([i, to[i]!]);
  return cells;
};
const patched = (row: Row, ...patches: readonly (Cells | undefined)[]): Row => {
  const copy = [...row];
  for (const patch of patches) for (const [i, cell] of patch ?? []) copy[i] = cell;
  return copy;
};
const isEvery = (columns: readonly number[], width: number): boolean =>
  columns.length === width && columns.every((column, i) => column === i);

export const itemLine = (item: PlanItem): string => {
  const { change, seq, group, table } = item;
  const start = { seq, group, table, op: change.op };
  let line: ItemLine;
  switch (change.op) {
    case 'insert': {
      const columns = isEvery(change.columns, change.after.length) ? {} : { columns: change.columns };
      line = { ...start, key: shortKey(change.key, change.after), after: change.after, ...columns };
      break;
    }
    case 'update': {
      if (change.after.length !== change.before.length) {
        throw new LockstepError(
          'INTERNAL',
          `plan item ${seq}: the images have ${change.before.length} and ${change.after.length} cells`,
        );
      }
      const also = changedCells(change.before, change.after, change.columns);
      const set = cellsAt(change.after, change.columns);
      line = {
        ...start,
        key: shortKey(change.key, change.before),
        before: change.before,
        set,
        ...(also.length > 0 ? { also } : {}),
      };
      break;
    }
    case 'delete':
      line = { ...start, key: shortKey(change.key, change.before), before: change.before };
  }
  return JSON.stringify(line);
};

const isCell = (value: unknown): boolean => value === null || typeof value === 'string';
const isIndex = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isRow = (value: unknown): boolean => Array.isArray(value) && value.every(isCell);
const isCells = (value: unknown): boolean =>
  Array.isArray(value) && value.every((c) => Array.isArray(c) && c.length === 2 && isIndex(c[0]) && isCell(c[1]));
const absent = (value: unknown): boolean => value === undefined;

const isItemLine = (line: ItemLine): boolean =>
  line !== null &&
  typeof line === 'object' &&
  isIndex(line.seq) &&
  isIndex(line.group) &&
  isIndex(line.table) &&
  (isIndex(line.key) || isRow(line.key)) &&
  (line.op === 'insert'
    ? isRow(line.after) && (absent(line.columns) || (Array.isArray(line.columns) && line.columns.every(isIndex)))
    : line.op === 'update'
      ? isRow(line.before) && isCells(line.set) && (absent(line.also) || isCells(line.also))
      : line.op === 'delete' && isRow(line.before));

const changeOf = (line: ItemLine): Change => {
  if (line.op === 'insert') {
    const after = line.after!;
    return {
      op: 'insert',
      key: longKey(line.key, after),
      before: null,
      after,
      columns: line.columns ?? [...after.keys()],
    };
  }
  const before = line.before!;
  const key = longKey(line.key, before);
  if (line.op === 'delete') return { op: 'delete', key, before, after: null };
  return { op: 'update', key, before, after: patched(before, line.set, line.also), columns: line.set!.map(([i]) => i) };
};

/** Reads an item's line; undefined when it is not one. */
export const parseItem = (text: string): PlanItem | undefined => {
  let line: ItemLine;
  try {
    line = JSON.parse(text) as ItemLine;
  } catch {
    return undefined;
  }
  if (!isItemLine(line)) return undefined;
  return { seq: line.seq, group: line.group, table: line.table, change: changeOf(line) };
};

type DifferenceLine =
  | { readonly k: ShortKey; readonly s: Row; readonly t?: undefined }
  | { readonly k: ShortKey; readonly t: Row; readonly s?: undefined }
  /** `c`: the columns that count; `t`: the target's cells that are not the source's. */
  | { readonly k: ShortKey; readonly s: Row; readonly t: Cells; readonly c: readonly number[] };

export const differenceLine = (d: Difference): string => {
  let line: DifferenceLine;
  if (d.kind === 'only_in_source') line = { k: shortKey(d.key, d.source), s: d.source };
  else if (d.kind === 'only_in_target') line = { k: shortKey(d.key, d.target), t: d.target };
  else line = { k: shortKey(d.key, d.source), s: d.source, t: changedCells(d.source, d.target, []), c: d.columns };
  return JSON.stringify(line);
};

export const parseDifference = (text: string): Difference => {
  const line = JSON.parse(text) as DifferenceLine;
  if (!('c' in line)) {
    return line.s !== undefined
      ? { kind: 'only_in_source', key: longKey(line.k, line.s), source: line.s, target: null }
      : { kind: 'only_in_target', key: longKey(line.k, line.t), source: null, target: line.t };
  }
  return {
    kind: 'different',
    key: longKey(line.k, line.s),
    source: line.s,
    target: patched(line.s, line.t),
    columns: line.c,
  };
};

export const outcomeLine = (outcome: Outcome): string => {
  const { seq, status, stored, found, reason, sqlState } = outcome;
  return JSON.stringify({ seq, status, stored, found, reason, sqlState });
};
export const parseOutcome = (text: string): Outcome => JSON.parse(text) as Outcome;
