import { isTextual } from '../../model/canon/convert.ts';
import type { SelectedColumn } from '../../model/endpoint.ts';
import { id } from '../sql/quote.ts';
import type { Affinity } from './declared-type.ts';

/**
 * Rows leave SQLite fastest as one blob of about a thousand of them. A frame is a row's cells as bytes:
 *
 *   number   its digits and `|`; NULL: nothing and `|`
 *   text     its length in bytes, `:`, the bytes; NULL: nothing and `:`
 *   blob     likewise
 *
 * A row with a value of another storage class than its columns', or with a very long one, is the one letter `S`: the
 * rows around it are then read one by one. So no byte of a value can be taken for a frame, and no blob for a text.
 */
export interface FrameColumn {
  readonly kind: 'number' | 'text' | 'blob';
  readonly sql: string;
  /** True for the values that the frame cannot carry. A comparison that jumps costs least: no function is called. */
  readonly odd: string;
}

const longest = 100_000;

/** How a column is framed; undefined where its values must be read one by one. */
export const frameColumn = (
  { name, as, stored }: SelectedColumn,
  affinity: Affinity,
  exactReals: boolean,
): FrameColumn | undefined => {
  const c = id(name);
  const framed = `octet_length(${c}), ':', ${c}`;
  switch (as.kind) {
    case 'int':
    case 'decimal':
    case 'float':
    case 'bool':
      if (affinity === 'TEXT') break;
      return exactReals || as.kind === 'int' ? { kind: 'number', sql: `${c}, '|'`, odd: `${c} >= ''` } : undefined;
    case 'bytes':
      return affinity === 'TEXT' ? undefined : { kind: 'blob', sql: framed, odd: `${c} < x''` };
    default:
      if (isTextual(as.kind) && !isTextual(stored.kind)) return undefined;
  }
  const odd = affinity === 'TEXT' ? `${c} >= x''` : `${c} < '' or ${c} >= x''`;
  return { kind: 'text', sql: framed, odd };
};

/** One row's frame as an SQL expression. */
export const frameExpression = (columns: readonly FrameColumn[]): string => {
  const odd = columns.map((c) => c.odd).filter((sql) => sql !== '');
  const frame = `concat(${columns.map((c) => c.sql).join(', ')})`;
  return odd.length === 0 ? frame : `iif(${odd.join(' or ')}, 'S', ${frame})`;
};

/** Rows `f` of frames as one blob; a very long one is left out of it, so that a chunk stays small. */
export const chunkExpression = `cast(group_concat(iif(octet_length(f) < ${longest}, f, 'S'), '') as blob)`;

/** The letter of a row that no frame carries. */
export const unframed = 83;
