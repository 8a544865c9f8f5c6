import type { Cell, Text } from '../row.ts';
import type { Column, ColumnType, Kind } from '../schema.ts';
import { convert, isTextual } from './convert.ts';
import { decimalText, scientific } from './decimal.ts';
import { floatText } from './float.ts';
import { intFits, intText } from './int.ts';
import { isMisfit, misfit, misfitContent } from './misfit.ts';
import { show } from './show.ts';
import { realContent, storedAgain } from './stored.ts';
import { characters } from './text.ts';

export type Fit =
  | { readonly ok: true; readonly cell: Cell }
  /**
   * e.g. `19.9949 does not fit numeric(10,2)`: says why, never rounds. Long values are cut in the message. `unquoted`: the
   * same without the value.
   */
  | { readonly ok: false; readonly reason: string; readonly unquoted: string };

const cut = 60;

/** A value for a message: neutralised and cut. */
const named = (cell: Text): string => {
  const text = show(cell);
  return text.length <= cut
    ? text
    : `${text.slice(0, cut).replace(/[\ud800-\udbff]$/, '')}… (${characters(cell)} characters)`;
};

/** `reason` begins with the cell as it is named. */
const refuse = (reason: string, cell: Text): Fit => ({
  ok: false,
  reason,
  unquoted: `its value${reason.slice(named(cell).length)}`,
});

const notNull = (reason: string): Fit => ({ ok: false, reason, unquoted: reason });

/**
 * Turns a cell rendered as `from` (a pair's common type) into the canonical text of `column`'s own type, exactly:
 * what the column cannot hold is refused with a reason. NULL fits a nullable column.
 *
 * The result, rendered as `from` again, is the given cell: nothing is written that would still differ afterwards. A
 * loose column (SQLite) takes misfits as they are.
 */
export const fit = (cell: Cell, from: ColumnType, column: Column): Fit => {
  if (cell === null)
    return column.nullable ? { ok: true, cell } : notNull(`NULL does not fit ${column.name}: it is not null`);
  const own = column.loose ? kept(cell, from, column.type) : (convert(cell, from, column.type) as Text);
  const back = column.loose ? storedAgain(from, column.type, own) : convert(own, column.type, from);
  const exact = back === cell;
  if (isMisfit(own))
    return column.loose && exact
      ? { ok: true, cell: own }
      : refuse(`${named(cell)} cannot be read as ${column.native}`, cell);
  const reason = limit(own, column);
  if (reason !== undefined) return refuse(reason, own);
  return exact ? { ok: true, cell: own } : refuse(`${named(cell)} does not fit ${column.native} exactly`, cell);
};

const isNumeric = (kind: Kind): boolean => kind === 'int' || kind === 'decimal' || kind === 'float';

/**
 * What a loose column will hold after `cell` is written. Bytes stay bytes in any column, and a text stays a text in a
 * column of bytes. A column that is declared neither as text nor as bytes turns a text that looks like a number (blanks
 * around it or not) into that number: it comes back as a number misfit, if it comes back at all.
 */
const kept = (cell: Text, from: ColumnType, type: ColumnType): Text => {
  const intoBytes = type.kind === 'bytes';
  if (!isMisfit(cell)) {
    if (from.kind === 'bytes' && !intoBytes && type.kind !== 'uuid') return misfit('b', cell);
    if (intoBytes && from.kind !== 'bytes' && from.kind !== 'uuid')
      return isNumeric(from.kind) ? asNumber(misfit('t', cell), type) : misfit('t', cell);
  }
  const own = convert(cell, from, type) as Text;
  return isMisfit(own) && !isTextual(type.kind) && !intoBytes ? asNumber(own, type) : own;
};

const isBlank = (code: number): boolean => code === 32 || (code >= 9 && code <= 13);

/** Without the blanks of ASCII at its ends. */
const withoutBlanks = (text: string): string => {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
};

/** A text misfit as the number that a numeric column makes of it. */
const asNumber = (cell: Text, type: ColumnType): Text => {
  const { stored, content } = misfitContent(cell);
  const number = stored === 't' ? decimalText(withoutBlanks(content)) : undefined;
  if (number === undefined) return cell;
  const integer = type.kind === 'float' ? undefined : intText(number);
  return misfit('n', integer ?? realContent(Number(number)));
};

/** Why `column` cannot hold `cell`, a value of its own kind; undefined when it can. */
const limit = (cell: Text, column: Column): string | undefined => {
  const type = column.type;
  const no = (why = ''): string => `${named(cell)} does not fit ${column.native}${why && `: ${why}`}`;
  if (column.loose && type.kind === 'float' && cell === 'NaN') return no('SQLite stores NaN as NULL');
  if (column.loose) return looseLimit(cell, type) ? no('SQLite would keep only 15 digits of it') : undefined;
  switch (type.kind) {
    case 'int':
      return intFits(cell, type.bits) ? undefined : no();
    case 'decimal':
      return decimalFits(cell, type) ? undefined : no();
    case 'text':
      return textLimit(cell, type, no);
    case 'enum':
      return type.labels.includes(cell) ? undefined : no(`it is none of its ${type.labels.length} labels`);
    case 'time':
    case 'timestamp':
    case 'instant': {
      const digits = fractionDigits(cell);
      return digits <= type.fraction
        ? undefined
        : no(`it keeps ${type.fraction} digits of a second, this has ${digits}`);
    }
    case 'json':
      return type.binary && unpaired.test(cell)
        ? no('it cannot hold \\u0000 or half of a surrogate pair')
        : unstorable(cell, no);
    case 'opaque':
    case 'interval':
      return unstorable(cell, no);
    default:
      return undefined;
  }
};

/** An escape that is not itself escaped; canonical JSON writes out every whole character. */
const unpaired = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/;

const decimalFits = (cell: Text, type: Extract<ColumnType, { kind: 'decimal' }>): boolean => {
  // Infinity fits no numeric with a precision; NaN does.
  if (cell === 'NaN') return type.special === true;
  if (cell.endsWith('y')) return type.special === true && type.precision === undefined;
  if (type.precision === undefined) return true;
  // PostgreSQL's scale may be negative or greater than the precision.
  const scale = type.scale ?? 0;
  const n = scientific(cell)!;
  const exponent = Number(n.exponent);
  return n.digits === '' || (exponent >= -scale && n.digits.length + exponent <= type.precision - scale);
};

/** A loose column keeps a number as a double or a 64-bit integer; a JSON column keeps a bare number like that too. */
const looseLimit = (cell: Text, type: ColumnType): boolean => {
  if (type.kind !== 'decimal' && type.kind !== 'json') return false;
  const first = cell.charCodeAt(0);
  const isNumber = first === 45 || (first >= 48 && first <= 57);
  if (!isNumber || (cell.length < 16 && !cell.includes('e')) || (intText(cell) === cell && cell.length < 20))
    return false;
  const double = floatText(cell, 64);
  return double === undefined || decimalText(double) !== cell;
};

const unstorable = (cell: Text, no: (why: string) => string): string | undefined => {
  if (cell.includes('\0')) return no('it holds a NUL character');
  return cell.isWellFormed() ? undefined : no('it holds bytes that are not valid UTF-8');
};

const textLimit = (
  cell: Text,
  type: Extract<ColumnType, { kind: 'text' }>,
  no: (why: string) => string,
): string | undefined => {
  if (type.maxLength !== undefined && cell.length > type.maxLength) {
    const length = characters(cell);
    if (length > type.maxLength) return no(`it has ${length} characters`);
  }
  return unstorable(cell, no);
};

const fractionDigits = (cell: Text): number => {
  const point = cell.indexOf('.');
  if (point < 0) return 0;
  return (cell.endsWith(' BC') ? cell.length - 3 : cell.length) - point - 1;
};
