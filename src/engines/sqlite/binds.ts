import { isMisfit, misfitContent } from '../../model/canon/misfit.ts';
import type { Cell } from '../../model/row.ts';
import type { ColumnType } from '../../model/schema.ts';
import { encodeText } from './cells.ts';
import type { Bind, Encoding } from './database.ts';
import type { Affinity } from './declared-type.ts';

export type Bound =
  | { readonly sql: '?' | 'cast(? as text)'; readonly value: Bind }
  /** Why SQLite cannot hold this. */
  | { readonly reason: string };

const plain = (value: Bind): Bound => ({ sql: '?', value });

const text = (content: string, encoding: Encoding): Bound => {
  if (content.isWellFormed()) return plain(content);
  const bytes = encodeText(content, encoding);
  return bytes === undefined
    ? { reason: `it holds bytes that are not text, and this database keeps text as ${encoding}` }
    : { sql: 'cast(? as text)', value: bytes };
};

const integer = /^-?\d{1,19}$/;

/**
 * A decimal as the number it is when a number holds it exactly, else as text. (Where the column's affinity turns that
 * text into a number all the same, the read-back shows another value and the change is refused.)
 */
const decimal = (cell: string, affinity: Affinity): Bound => {
  if (affinity === 'TEXT') return plain(cell);
  if (integer.test(cell)) {
    const value = BigInt(cell);
    if (BigInt.asIntN(64, value) === value) return plain(value);
  }
  const real = Number(cell);
  return plain(Number.isFinite(real) && shortest(real) === shortest(cell) ? real : cell);
};

/** Significant digits and exponent, to compare a decimal with a double's shortest form. */
const shortest = (value: string | number): string => {
  const m = /^(-?)(\d*)\.?(\d*)(?:e([+-]?\d+))?$/.exec(String(value));
  if (!m) return String(value);
  const digits = (m[2]! + m[3]!).replace(/^0+/, '');
  let end = digits.length;
  while (end > 0 && digits.charCodeAt(end - 1) === 48) end--;
  const trimmed = digits.slice(0, end);
  return `${m[1]}${trimmed}e${Number(m[4] ?? 0) - m[3]!.length + digits.length - trimmed.length}`;
};

/** What is bound to store a cell, rendered as its column's own type, in the storage class that the type means. */
export const bindCell = (type: ColumnType, affinity: Affinity, cell: Cell, encoding: Encoding): Bound => {
  if (cell === null) return plain(null);
  if (isMisfit(cell)) {
    const { stored, content } = misfitContent(cell);
    if (stored === 't') return text(content, encoding);
    if (stored === 'b') return plain(Buffer.from(content, 'hex'));
    return plain(integer.test(content) ? BigInt(content) : Number(content));
  }
  switch (type.kind) {
    case 'int': {
      const value = integer.test(cell) ? BigInt(cell) : undefined;
      return value !== undefined && BigInt.asIntN(64, value) === value
        ? plain(value)
        : { reason: 'it is not an integer of 64 bits' };
    }
    case 'bool':
      return plain(cell === 'true' ? 1n : 0n);
    case 'float':
      return cell === 'NaN' ? { reason: 'SQLite stores NaN as NULL' } : plain(Number(cell));
    case 'decimal':
      return decimal(cell, affinity);
    case 'bytes':
      return plain(Buffer.from(cell, 'hex'));
    default:
      return text(cell, encoding);
  }
};
