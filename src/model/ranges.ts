import { compareKeys } from './order.ts';
import type { Key } from './row.ts';
import type { ColumnType } from './schema.ts';
import type { KeyRange, Segment, Selection } from './selected.ts';
import { keyTypes } from './selection.ts';

/** Is the key in the range? A row will do for its key. */
export const inRange = (types: readonly ColumnType[], { from, to }: KeyRange, key: Key): boolean =>
  (from === undefined || compareKeys(types, key, from) >= 0) && (to === undefined || compareKeys(types, key, to) < 0);

/** What two ranges share; its end may lie before its beginning: nothing. */
const shared = (types: readonly ColumnType[], a: KeyRange, b: KeyRange): KeyRange => {
  const from = !a.from || (b.from && compareKeys(types, b.from, a.from) > 0) ? b.from : a.from;
  const to = !a.to || (b.to && compareKeys(types, b.to, a.to) < 0) ? b.to : a.to;
  return { ...(from ? { from } : {}), ...(to ? { to } : {}) };
};

/** The selection without its range. */
export const unbounded = ({ range: _, ...selection }: Selection): Selection => selection;

/**
 * What of a segment lies in the selection's range, as a segment of the selection without it. Parts cannot say so: they
 * come back as they are.
 */
export const clip = (selection: Selection, segment: Segment): Segment => {
  const { range } = selection;
  if (range === undefined) return segment;
  const types = keyTypes(selection);
  switch (segment.kind) {
    case 'all':
      return { kind: 'range', ...range };
    case 'range': {
      const both = shared(types, range, segment);
      const isEmpty = both.from && both.to && compareKeys(types, both.from, both.to) >= 0;
      return isEmpty ? { kind: 'keys', keys: [] } : { kind: 'range', ...both };
    }
    case 'keys':
      return { kind: 'keys', keys: segment.keys.filter((key) => inRange(types, range, key)) };
    case 'parts':
    case 'text_parts':
      return segment;
  }
};
