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
  readonly decode: (bytes: Buffer) => Text;
}

/** Numbers are printed by the server in full, but not by the ways of their declaration: `00005`, `0.1000`, six digits of a FLOAT. */
const sqlOf = (c: ColumnSql): string => {
  const { facts: f, raw } = c;
  if (f.dataType === 'float' || /^double\(/.test(f.native)) return `${raw} + 0e0`;
  if (/zerofill/.test(f.native) || f.dataType === 'year') return `${raw} + 0`;
  if (f.dataType === 'bit' && f.precision === 1) return `${raw} + 0`;
  return raw;
};

const ascii = (bytes: Buffer): string => bytes.toString('latin1');

/** `5.0000` as `5`, `-0.50` as `-0.5`: the server prints all digits of the scale. */
const trimmedDecimal = (bytes: Buffer): string => {
  const text = ascii(bytes);
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
const own = (f: ColumnFacts, stored: ColumnType): ((bytes: Buffer) => Text) => {
  switch (stored.kind) {
    case 'int':
      return ascii as (bytes: Buffer) => Text;
    case 'decimal':
      return trimmedDecimal as (bytes: Buffer) => Text;
    case 'bool':
      return isTinyBool(f)
        ? (bytes) => storedInteger(stored, stored, ascii(bytes))
        : (bytes) => (ascii(bytes) === '0' ? 'false' : 'true') as Text;
    case 'bytes':
      return (bytes) => bytes.toString('hex') as Text;
    case 'bit':
      return (bytes) => bitText(bytes, f.precision ?? 1) as Text;
    case 'opaque':
      return isOpaqueBytes(f)
        ? (bytes) => bytes.toString('hex') as Text
        : (bytes) => decodeUtf8(bytes) as string as Text;
    case 'text':
      return stored.padded
        ? (bytes) => withoutPadding(decodeUtf8(bytes)) as Text
        : (bytes) => decodeUtf8(bytes) as Text;
    case 'enum':
      return (bytes) => decodeUtf8(bytes) as Text;
    case 'json':
      return (bytes) => canonical(stored, decodeUtf8(bytes));
    default:
      return (bytes) => {
        const text = ascii(bytes);
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
  if (exact && stored.kind === 'json') return { sql, decode: (bytes) => spelled(decodeUtf8(bytes)) };
  if (isTinyBool(c.facts) && as.kind !== 'bool')
    return { sql, decode: (bytes) => storedInteger(as, stored, ascii(bytes)) };
  const read = own(c.facts, stored);
  const same = as.kind === stored.kind && as.kind !== 'text' && as.kind !== 'float';
  const plainText = as.kind === 'text' && stored.kind === 'text' && !as.padded;
  if (same || plainText) return { sql, decode: read };
  return { sql, decode: (bytes) => convert(read(bytes), stored, as) as Text };
};

/** JSON as it is stored; what is no JSON at all cannot be a spelling. */
const spelled = (text: string): Text => (text.isWellFormed() ? (text as Text) : misfit('t', text));
