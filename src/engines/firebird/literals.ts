import { isMisfit } from '../../model/canon/misfit.ts';
import type { Text } from '../../model/row.ts';
import type { Kind } from '../../model/schema.ts';
import { isUtf8 } from './charsets.ts';
import type { ColumnSql } from './columns.ts';

/** Bytes that one literal of SQL can hold. */
const longestLiteral = 65_535;
/** Characters of a literal that names UTF-8. */
const longestUtf8 = 16_383;

const hex = (bytes: Buffer): string => bytes.toString('hex');

/** A number's digits as an integer that counts 10^-scale; undefined when it has more digits than that. */
const units = (text: string, scale: number): bigint | undefined => {
  const m = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
  if (!m || (m[3]?.length ?? 0) > scale) return undefined;
  return BigInt(`${m[1]}${m[2]}${(m[3] ?? '').padEnd(scale, '0')}`);
};

const widths: Readonly<Record<number, bigint>> = { 7: 16n, 8: 32n, 16: 64n, 26: 128n };

/** Can an exact number's column hold this canonical decimal? */
export const fitsNumber = (c: ColumnSql, text: string): boolean => {
  const n = units(text, Math.max(0, -c.facts.scale));
  const width = widths[c.facts.type];
  return n !== undefined && width !== undefined && BigInt.asIntN(Number(width), n) === n;
};

/** Bytes that are no text, where the server would not take them: it checks UTF-8, and leaves one byte a character alone. */
const isMalformed = (c: ColumnSql, cell: string): boolean =>
  !cell.isWellFormed() && (c.codec === undefined || isUtf8(c.facts.charset));

/** Only these may stand between the quotes of a literal as they are. */
const isHex = (cell: string): boolean => cell.length % 2 === 0 && !/[^0-9a-f]/i.test(cell);
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const day = /^\d{4}-\d\d-\d\d$/;
const clock = /^\d\d:\d\d:\d\d(?:\.\d{1,4})?$/;
const moment = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,4})?)$/;

const comparables: ReadonlySet<Kind> = new Set<Kind>([
  'int',
  'decimal',
  'bool',
  'date',
  'time',
  'timestamp',
  'uuid',
  'bytes',
  'text',
]);

/** Does `comparable` know the values of a kind? One that it cannot say is then one that no column holds. */
export const isComparable = (kind: Kind): boolean => comparables.has(kind);

/**
 * A canonical cell of the column's own type as SQL that can be compared with the column; undefined when no stored value
 * is it, or SQL cannot say it (floats: the server's reading of them is off by the last bit).
 */
export const comparable = (c: ColumnSql, cell: Text): string | undefined => {
  if (isMisfit(cell)) return undefined;
  const { stored } = c.column;
  switch (stored.kind) {
    case 'int':
    case 'decimal':
      if (!fitsNumber(c, cell)) return undefined;
      // Digits in SQL become a double beyond eighteen of them.
      return c.facts.scale === 0 && cell.length < 18 ? cell : `cast('${cell}' as ${numberType(c)})`;
    case 'bool':
      return cell === 'true' || cell === 'false' ? cell : undefined;
    case 'date':
      return day.test(cell) ? `date '${cell}'` : undefined;
    case 'time':
      return clock.test(cell) && !cell.startsWith('24') ? `time '${cell}'` : undefined;
    case 'timestamp':
      return moment.test(cell) ? `timestamp '${cell}'` : undefined;
    case 'uuid':
      return uuid.test(cell) ? `x'${cell.replaceAll('-', '')}'` : undefined;
    case 'bytes':
      return isHex(cell) && cell.length / 2 <= longestLiteral ? `x'${cell}'` : undefined;
    case 'text': {
      if (isMalformed(c, cell)) return undefined;
      if (c.codec === undefined) return cell.length <= longestUtf8 ? `_utf8 x'${hex(Buffer.from(cell))}'` : undefined;
      const bytes = c.codec.encode(cell);
      if (bytes === undefined || bytes.length > longestUtf8) return undefined;
      return `_${c.facts.charset.toLowerCase()} x'${hex(bytes)}'`;
    }
    default:
      return undefined;
  }
};

const numberType = (c: ColumnSql): string => {
  const { type, scale } = c.facts;
  if (scale === 0) return type === 26 ? 'int128' : 'bigint';
  return type === 26 ? `numeric(38, ${-scale})` : `numeric(18, ${-scale})`;
};

export type Written =
  | { readonly sql: string }
  /** Too exact or too long for a literal: a parameter. */
  | { readonly double: number }
  | { readonly blob: Buffer }
  /** Why Firebird cannot hold this. */
  | { readonly reason: string };

/** Longest BLOB that is written as part of a statement. */
const inStatement = 8000;

/** A canonical cell of the column's own type as it is written to the column. */
export const written = (c: ColumnSql, cell: Text | null): Written => {
  if (cell === null) return { sql: 'null' };
  if (isMisfit(cell)) return { reason: 'it is no value of the column’s type' };
  const { stored } = c.column;
  const blob = c.facts.type === 261;
  switch (stored.kind) {
    case 'int':
    case 'decimal':
      if (stored.kind === 'decimal' && stored.special)
        return /^[-\d.]+$/.test(cell) ? { sql: `'${cell}'` } : { reason: 'it is no number' };
      return fitsNumber(c, cell) ? { sql: `'${cell}'` } : { reason: 'the number has too many digits' };
    case 'float':
      return { double: Number(cell) };
    case 'text': {
      const bytes = c.codec ? c.codec.encode(cell) : Buffer.from(cell);
      if (bytes === undefined || isMalformed(c, cell))
        return { reason: `it has characters that ${c.facts.charset} does not have` };
      if (blob && bytes.length > inStatement) return { blob: bytes };
      return { sql: c.codec ? `x'${hex(bytes)}'` : `_utf8 x'${hex(bytes)}'` };
    }
    case 'bytes': {
      if (!isHex(cell)) return { reason: 'it is no bytes' };
      if (blob && cell.length / 2 > inStatement) return { blob: Buffer.from(cell, 'hex') };
      return { sql: `x'${cell}'` };
    }
    case 'instant':
      return moment.test(cell)
        ? { sql: `'${cell} UTC'` }
        : { reason: 'Firebird keeps years 1 to 9999, and 1/10,000 s' };
    default: {
      const sql = comparable(c, cell);
      return sql === undefined ? { reason: `it is not a ${stored.kind} that Firebird can keep` } : { sql };
    }
  }
};
