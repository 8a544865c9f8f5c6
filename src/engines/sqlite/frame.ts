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
  /** True or NULL for the values that the frame can carry. */
  readonly check: string;
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
  const short = `octet_length(${c}) < ${longest}`;
  switch (as.kind) {
    case 'int':
    case 'decimal':
    case 'float':
    case 'bool':
      if (affinity === 'TEXT') break;
      return exactReals || as.kind === 'int' ? { kind: 'number', sql: `${c}, '|'`, check: `${c} < ''` } : undefined;
    case 'bytes':
      return affinity === 'TEXT' ? undefined : { kind: 'blob', sql: framed, check: `(${c} >= x'' and ${short})` };
    default:
      if (isTextual(as.kind) && !isTextual(stored.kind)) return undefined;
  }
  const isText = affinity === 'TEXT' ? `${c} < x''` : `${c} >= '' and ${c} < x''`;
  return { kind: 'text', sql: framed, check: `(${isText} and ${short})` };
};

/** One row's frame as an SQL expression. */
export const frameExpression = (columns: readonly FrameColumn[]): string =>
  `iif((${columns.map((c) => c.check).join(' and ')}) is not false, concat(${columns.map((c) => c.sql).join(', ')}), 'S')`;

/** The letter of a row that no frame carries. */
export const unframed = 83;
