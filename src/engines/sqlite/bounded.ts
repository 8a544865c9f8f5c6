import { inRange, unbounded } from '../../model/ranges.ts';
import type { Selection } from '../../model/selected.ts';
import { keyTypes } from '../../model/selection.ts';
import { keyBefore, keyFrom } from '../sql/keyset.ts';
import { literal } from '../sql/quote.ts';
import { rawExpressions } from './cells.ts';
import type { Bind } from './database.ts';
import { keyBinds } from './key-order.ts';
import { isRowid, orderOf } from './read-plan.ts';
import type { Snapshot } from './reading.ts';
import { keepFunction } from './scan.ts';

const written = (value: Bind): string => {
  if (value === null) return 'null';
  if (typeof value === 'string') {
    // a text ends at its first NUL in a statement
    return value.includes('\0') ? `cast(x'${Buffer.from(value).toString('hex')}' as text)` : literal(value);
  }
  if (typeof value === 'bigint') return value === -(2n ** 63n) ? `(-9223372036854775807 - 1)` : String(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) return value > 0 ? '9e999' : '-9e999';
    return value.toExponential();
  }
  return `x'${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}'`;
};

/** The selection with its range as a part of its condition. `taken` is told a slot that is to be released. */
export const bounded = (s: Snapshot, selection: Selection, taken: (slot: number) => void): Selection => {
  const { range, filter } = selection;
  if (range === undefined || (range.from === undefined && range.to === undefined)) return unbounded(selection);
  const inside = plainRange(s, selection) ?? judged(s, selection, taken);
  return { ...unbounded(selection), filter: filter === undefined ? inside : `(${filter}\n) and ${inside}` };
};

const plainRange = (s: Snapshot, selection: Selection): string | undefined => {
  const order = orderOf(s.db, selection, s.orders);
  if (!order.plain) return undefined;
  const { from, to } = selection.range!;
  const lower = from && keyBinds(selection, from, s.db);
  const upper = to && keyBinds(selection, to, s.db);
  if ((from && !lower) || (to && !upper)) return undefined;
  // rows are also walked in the order of the rowid, chunk by chunk: each would look through the range of another index
  const sign = isRowid(s, selection) ? '' : '+';
  const compare = (binds: NonNullable<typeof lower>) => (column: number, operator: string) => {
    const { sql, value } = binds[column]!;
    return `${sign}${order.expressions[column]} ${operator} ${sql.replace('?', () => written(value))}`;
  };
  const parts = [
    ...(lower ? [keyFrom(selection.keyWidth, compare(lower))] : []),
    ...(upper ? [keyBefore(selection.keyWidth, compare(upper))] : []),
  ];
  return parts.map((p) => `(${p})`).join(' and ');
};

/** By the canonical cells, where SQLite's own order is another. */
const judged = (s: Snapshot, selection: Selection, taken: (slot: number) => void): string => {
  const key = selection.columns.slice(0, selection.keyWidth);
  const types = keyTypes(selection);
  const range = selection.range!;
  const slot = s.slots.take({ columns: key, keep: (cells) => inRange(types, range, cells) });
  taken(slot);
  return `${keepFunction}(${slot}, ${key.map((c) => rawExpressions(c.name)).join(', ')})`;
};
