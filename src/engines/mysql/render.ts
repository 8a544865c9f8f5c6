import { canonical } from '../../model/canon/canonical.ts';
import { convert } from '../../model/canon/convert.ts';
import { isMisfit, misfit } from '../../model/canon/misfit.ts';
import { storedInteger } from '../../model/canon/stored.ts';
import { withoutPadding } from '../../model/canon/text.ts';
import { decodeUtf8 } from '../../model/canon/utf8.ts';
import type { Text } from '../../model/row.ts';
import type { ColumnType } from '../../model/schema.ts';
import type { ColumnSql } from './columns.ts';
import { type ColumnFacts, isOpaqueBytes, isTinyBool } from './types.ts';

/** How a column leaves the server, and how the bytes it sends become a cell. */
export interface Rendered {
  readonly sql: string;
  readonly decode: Decode;
}

/** The cell of the bytes from `start` to `end`. */
export type Decode = (bytes: Buffer, start: number, end: number) => Text;

/** Numbers are printed by the server in full, but not by the ways of their declaration: `00005`, `0.1000`, six digits of a FLOAT. */
const sqlOf = (c: ColumnSql): string => {
  const { facts: f, raw } = c;
  if (f.dataType === 'float' || /^double\(/.test(f.native)) return `${raw} + 0e0`;
  if (/zerofill/.test(f.native) || f.dataType === 'year') return `${raw} + 0`;
  if (f.dataType === 'bit' && f.precision === 1) return `${raw} + 0`;
  return raw;
};

const ascii = (bytes: Buffer, start: number, end: number): string => bytes.toString('latin1', start, end);
const utf8 = (bytes: Buffer, start: number, end: number): string => decodeUtf8(bytes.subarray(start, end));
const hex = (bytes: Buffer, start: number, end: number): string => bytes.toString('hex', start, end);

/** `5.0000` as `5`, `-0.50` as `-0.5`: the server prints all digits of the scale. */
const trimmedDecimal = (bytes: Buffer, start: number, stop: number): string => {
  const text = ascii(bytes, start, stop);
  const point = text.indexOf('.');
  if (point < 0) return text;
  let end = text.length;
  while (text.charCodeAt(end - 1) === 48) end--;
  const plain = text.slice(0, end - 1 === point ? point : end);
  return plain === '-0' ? '0' : plain;
};

const bitText = (bytes: Buffer, width: number): string => {
  let text = '';
  for (const byte of bytes) text += byte.toString(2).padStart(8, '0');
  return text.slice(-width).padStart(width, '0');
};

/** The cell as its column's own type. */
const own = (f: ColumnFacts, stored: ColumnType): Decode => {
  switch (stored.kind) {
    case 'int':
      return ascii as Decode;
    case 'decimal':
      return trimmedDecimal as Decode;
    case 'bool':
      return isTinyBool(f)
        ? (bytes, start, end) => storedInteger(stored, stored, ascii(bytes, start, end))
        : (bytes, start, end) => (ascii(bytes, start, end) === '0' ? 'false' : 'true') as Text;
    case 'bytes':
      return hex as Decode;
    case 'bit':
      return (bytes, start, end) => bitText(bytes.subarray(start, end), f.precision ?? 1) as Text;
    case 'opaque':
      return isOpaqueBytes(f) ? (hex as Decode) : (utf8 as Decode);
    case 'text':
      return stored.padded ? (bytes, start, end) => withoutPadding(utf8(bytes, start, end)) as Text : (utf8 as Decode);
    case 'enum':
      return utf8 as Decode;
    case 'json':
      return (bytes, start, end) => canonical(stored, utf8(bytes, start, end));
    default:
      return (bytes, start, end) => {
        const text = ascii(bytes, start, end);
        const cell = canonical(stored, text);
        // zero dates, times of more than a day: kept as what the type cannot read, whatever digits the column prints
        return isMisfit(cell)
          ? misfit(
              't',
              text.replace(/(\.\d*?)0+$/, (_, kept: string) => (kept === '.' ? '' : kept)),
            )
          : cell;
      };
  }
};

/** SQL of a column and the reading of its bytes, as the selection asks for it. */
export const render = (c: ColumnSql): Rendered => {
  const { stored, as, exact } = c.column;
  const sql = sqlOf(c);
  if (exact && stored.kind === 'json') return { sql, decode: (bytes, start, end) => spelled(utf8(bytes, start, end)) };
  if (isTinyBool(c.facts) && as.kind !== 'bool')
    return { sql, decode: (bytes, start, end) => storedInteger(as, stored, ascii(bytes, start, end)) };
  const read = own(c.facts, stored);
  const same = as.kind === stored.kind && as.kind !== 'text' && as.kind !== 'float';
  const plainText = as.kind === 'text' && stored.kind === 'text' && !as.padded;
  if (same || plainText) return { sql, decode: read };
  return { sql, decode: (bytes, start, end) => convert(read(bytes, start, end), stored, as) as Text };
};

/** JSON as it is stored; what is no JSON at all cannot be a spelling. */
const spelled = (text: string): Text => (text.isWellFormed() ? (text as Text) : misfit('t', text));
