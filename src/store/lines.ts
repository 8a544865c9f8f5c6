import type { Difference } from '../model/change.ts';
import type { Outcome } from '../model/journal.ts';
import type { Cell, Key, Row } from '../model/row.ts';

/**
 * The one line of JSON of a difference, an outcome (of a plan item: `item-line.ts`). The same difference always gives
 * the same line. A `different` keeps one row whole and only the other's cells that are not the same; a key that is
 * the beginning of its row is only its width.
 */
export type Cells = readonly [index: number, cell: Cell][];
export type ShortKey = number | Key;

const same = (a: readonly unknown[], b: readonly unknown[], length: number): boolean => {
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return false;
  return true;
};
export const shortKey = (key: Key, row: Row): ShortKey =>
  key.length <= row.length && same(key, row, key.length) ? key.length : key;
export const longKey = (key: ShortKey, row: Row): Key => (typeof key === 'number' ? row.slice(0, key) : key);

export const changedCells = (from: Row, to: Row, except: readonly number[]): Cells => {
  const cells: [number, Cell][] = [];
  for (let i = 0; i < to.length; i++) if (from[i] !== to[i] && !except.includes(i)) cells.push([i, to[i]!]);
  return cells;
};
export const patched = (row: Row, ...patches: readonly (Cells | undefined)[]): Row => {
  const copy = [...row];
  for (const patch of patches) for (const [i, cell] of patch ?? []) copy[i] = cell;
  return copy;
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
