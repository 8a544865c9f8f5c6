import { bytesFromHex, hexFromBytes } from '../model/canon/bytes.ts';
import { readText } from '../model/canon/canonical.ts';
import { scientific } from '../model/canon/decimal.ts';
import { fit } from '../model/canon/fit.ts';
import { isMisfit, misfitContent } from '../model/canon/misfit.ts';
import { shownCell } from '../model/canon/show.ts';
import type { Cell, Text } from '../model/row.ts';
import type { Column, ColumnType } from '../model/schema.ts';

/**
 * Cells as JSON, and back, losing nothing: what a double holds exactly is a number (int16, int32, floats), what it does
 * not is a string (64-bit integers, decimals); booleans and JSON are themselves, bytes are base64, an instant is RFC 3339
 * in UTC, a timestamp the same without a zone. See docs/decisions.
 */

const moment = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?$/;

/** A canonical timestamp or instant as RFC 3339; infinities, years beyond 9999 and BC as they are. */
const dateTime = (cell: string, zone: string): string =>
  moment.test(cell) ? `${cell.slice(0, 10)}T${cell.slice(11)}${zone}` : cell;

/** Nothing in it that JSON escapes. */
const asItIs = /^[^"\\\u0000-\u001f\ud800-\udfff]*$/;

/** A text as JSON. Most have nothing to escape, and are told from the others faster than they are looked through for it. */
const quoted = (cell: string): string => (asItIs.test(cell) ? `"${cell}"` : JSON.stringify(cell));

/** Writes one cell of a column as JSON text. */
export const jsonWriter = (type: ColumnType): ((cell: Cell) => string) => {
  const plain = writerOf(type);
  return (cell) => {
    if (cell === null) return 'null';
    // a value that is none of its column's type (SQLite): its content
    if (isMisfit(cell)) return JSON.stringify(misfitContent(cell).content);
    return plain(cell);
  };
};

/** A decimal with all the digits after the point that its column has: `7.50`, as amounts are written. */
const scaled = (cell: string, scale: number): string => {
  const point = cell.indexOf('.');
  if (point >= 0) return cell.padEnd(point + 1 + scale, '0');
  return cell.endsWith('N') || cell.endsWith('y') ? cell : `${cell}.${'0'.repeat(scale)}`;
};

const writerOf = (type: ColumnType): ((cell: Text) => string) => {
  switch (type.kind) {
    case 'bool':
    case 'json':
      return (cell) => cell;
    case 'int':
      return type.bits === 64 ? (cell) => `"${cell}"` : (cell) => cell;
    case 'float':
      return (cell) => {
        const shown = shownCell(cell, type)!;
        return /^[-+0-9.e]+$/.test(shown) ? shown : JSON.stringify(shown);
      };
    case 'decimal': {
      const { scale = 0 } = type;
      return scale > 0 ? (cell) => `"${scaled(cell, scale)}"` : (cell) => `"${cell}"`;
    }
    case 'uuid':
    case 'date':
    case 'time':
    case 'bit':
      return (cell) => `"${cell}"`;
    case 'timestamp':
      return (cell) => `"${dateTime(cell, '')}"`;
    case 'instant':
      return (cell) => `"${dateTime(cell, 'Z')}"`;
    case 'bytes':
      return (cell) => `"${Buffer.from(bytesFromHex(cell)).toString('base64')}"`;
    default:
      return quoted;
  }
};

export type Read =
  | { readonly ok: true; readonly cell: Cell }
  /** What is wrong, for whoever sent it. */
  | { readonly ok: false; readonly detail: string };

const wrong = (detail: string): Read => ({ ok: false, detail });

/** What a column's value is in JSON, for messages. */
export const expectation = (type: ColumnType): string => {
  switch (type.kind) {
    case 'bool':
      return 'true or false';
    case 'int':
      return type.bits === 64
        ? 'a whole number, as a number or as a string such as "9007199254740993"'
        : `a whole number of ${type.bits} bits`;
    case 'decimal':
      return 'a decimal, as a number or as a string such as "19.99"';
    case 'float':
      return 'a number';
    case 'enum':
      return `one of ${type.labels.map((l) => JSON.stringify(l)).join(', ')}`;
    case 'uuid':
      return 'a UUID';
    case 'date':
      return 'a date such as "2026-01-31"';
    case 'time':
      return 'a time such as "13:45:00"';
    case 'timestamp':
      return 'a time without a zone such as "2026-01-31T13:45:00"';
    case 'instant':
      return 'a time such as "2026-01-31T13:45:00Z"';
    case 'bytes':
      return 'base64';
    case 'json':
      return 'JSON';
    default:
      return 'text';
  }
};

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** A number that a double does not hold: JSON.rawJSON keeps its text. */
const rawNumber = (value: unknown): string | undefined =>
  typeof value === 'object' &&
  value !== null &&
  (JSON as unknown as { isRawJSON(v: unknown): boolean }).isRawJSON(value)
    ? (value as { readonly rawJSON: string }).rawJSON
    : undefined;

/** The text that a JSON value is of a column; undefined: it is of another type. */
const textOf = (type: ColumnType, given: unknown): string | undefined => {
  const digits = rawNumber(given);
  const value = digits !== undefined && (type.kind === 'int' || type.kind === 'decimal') ? digits : given;
  if (digits !== undefined && type.kind === 'float') return digits;
  switch (type.kind) {
    case 'bool':
      return typeof value === 'boolean' ? String(value) : undefined;
    case 'json':
      return JSON.stringify(value);
    case 'int':
      if (typeof value === 'number') return Number.isSafeInteger(value) ? String(value) : undefined;
      return typeof value === 'string' && /^-?\d{1,30}$/.test(value) ? value : undefined;
    case 'decimal':
      if (typeof value === 'number') return String(value);
      return typeof value === 'string' && value.length <= 2000 && /^[-+]?[\d.]|^NaN$|^-?Infinity$/.test(value)
        ? value
        : undefined;
    case 'float':
      if (typeof value === 'number') return String(value);
      return typeof value === 'string' && /^NaN$|^-?Infinity$/.test(value) ? value : undefined;
    case 'bytes':
      return typeof value === 'string' && base64.test(value) ? hexFromBytes(Buffer.from(value, 'base64')) : undefined;
    default:
      return typeof value === 'string' ? value : undefined;
  }
};

/** A JSON value as a cell of a column, or what is wrong with it. */
export const readJson = (column: Column, value: unknown): Read => {
  if (value === null) return column.nullable ? { ok: true, cell: null } : wrong('must not be null');
  const { type } = column;
  const text = textOf(type, value);
  const cell = text === undefined ? undefined : readText(type, text);
  if (cell === undefined) return wrong(`expected ${expectation(type)}`);
  const fitted = fit(cell as Text, type, column);
  if (fitted.ok) return { ok: true, cell: fitted.cell };
  return wrong(type.kind === 'enum' ? `expected ${expectation(type)}` : reasonOf(fitted.reason, type));
};

/** `x does not fit varchar(3): it has 5 characters` without the value, which the caller knows. */
const reasonOf = (reason: string, type: ColumnType): string => {
  const why = / does not fit (.*)$/s.exec(reason)?.[1];
  return why === undefined ? `expected ${expectation(type)}` : `does not fit ${why}`;
};

/** Digits of a decimal that a filter takes. */
export const mostDigits = 2000;

/** Is a filter's value a number of more digits than are compared? Told without writing it out: `1e131071` is short. */
export const tooLong = (type: ColumnType, text: string): boolean => {
  if (type.kind !== 'decimal') return false;
  const n = scientific(text);
  if (n === undefined || n.digits === '') return false;
  const { length } = n.digits;
  const exponent = Number(n.exponent);
  return (exponent >= 0 ? length + exponent : Math.max(length, -exponent)) > mostDigits;
};

/** The text of a filter's value as a cell of a column; undefined: no value of its type. */
export const readFilter = (type: ColumnType, text: string): Text | undefined => {
  if (type.kind === 'bytes') {
    return base64.test(text) ? (hexFromBytes(Buffer.from(text, 'base64')) as Text) : undefined;
  }
  if (type.kind === 'int' && !/^-?\d{1,30}$/.test(text)) return undefined;
  return readText(type, text) as Text | undefined;
};
