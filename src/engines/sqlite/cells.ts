import { hexFromBytes } from '../../model/canon/bytes.ts';
import { misfit } from '../../model/canon/misfit.ts';
import { realContent, storedBlob, storedInteger, storedReal, storedText } from '../../model/canon/stored.ts';
import { decodeUtf8, encodeUtf8 } from '../../model/canon/utf8.ts';
import type { Cell, Text } from '../../model/row.ts';
import type { Kind } from '../../model/schema.ts';
import type { SelectedColumn } from '../../model/selected.ts';
import { id } from '../sql/quote.ts';
import type { Encoding, Value } from './database.ts';

/**
 * A value as node:sqlite gives it, as the cell that the selection asks for. Its text has lost what is not valid in
 * the database's encoding (it shows U+FFFD there): see `rawExpressions` for the way that loses nothing.
 */
export const cellOf = ({ as, stored }: SelectedColumn, value: Value): Cell => {
  switch (typeof value) {
    case 'string':
      return storedText(as, stored, value);
    case 'bigint':
      return storedInteger(as, stored, value.toString());
    case 'number':
      return storedReal(as, stored, value);
    default:
      return value === null ? null : storedBlob(as, stored, value);
  }
};

/** What a text, a number or a blob is in a column of that kind when our own writes leave it so (see `binds.ts`). */
const isUsual = (kind: Kind, cell: Text, value: Exclude<Value, null>): boolean => {
  switch (typeof value) {
    case 'string':
      return kind !== 'int' && kind !== 'bool' && kind !== 'float' && kind !== 'bytes' && cell === value;
    case 'bigint':
      return kind === 'int' || kind === 'decimal' || kind === 'bool' || kind === 'json';
    case 'number':
      if (Object.is(value, -0)) return false;
      if (kind === 'float') return true;
      return (kind === 'decimal' || (kind === 'json' && cell.length <= 15)) && Number(cell) === value && !isInt64(cell);
    default:
      return kind === 'bytes';
  }
};

const isInt64 = (cell: Text): boolean => /^-?\d{1,19}$/.test(cell) && BigInt.asIntN(64, BigInt(cell)) === BigInt(cell);

const spelled = (value: Exclude<Value, null>): Text => {
  switch (typeof value) {
    case 'string':
      return misfit('t', value);
    case 'bigint':
      return misfit('n', value.toString());
    case 'number':
      return misfit('n', Object.is(value, -0) ? '-0.0' : realContent(value));
    default:
      return misfit('b', hexFromBytes(value));
  }
};

/** `cellOf`, with the spelling kept where the selection asks for it. */
export const imageOf = (column: SelectedColumn, value: Value): Cell => {
  const cell = cellOf(column, value);
  if (column.exact !== true || value === null || cell === null) return cell;
  return isUsual(column.stored.kind, cell, value) ? cell : spelled(value);
};

/** `rawCell`, with the spelling kept where the selection asks for it. */
export const rawImage = (column: SelectedColumn, storage: Value, value: Value, encoding: Encoding): Cell =>
  imageOf(column, storage === 'text' ? decodeText(value as Uint8Array, encoding) : value);

/** True of a value that may stand for other bytes than it shows. */
export const isDoubtful = (value: Value): boolean => typeof value === 'string' && value.includes('\ufffd');

/** Two result columns per column: the storage class, and the value with text as the bytes it is stored as. */
export const rawExpressions = (column: string): string => {
  const c = id(column);
  return `typeof(${c}), case when typeof(${c}) = 'text' then cast(${c} as blob) else ${c} end`;
};

/** The cell of a pair that `rawExpressions` selected. */
export const rawCell = (column: SelectedColumn, storage: Value, value: Value, encoding: Encoding): Cell =>
  storage === 'text'
    ? storedText(column.as, column.stored, decodeText(value as Uint8Array, encoding))
    : cellOf(column, value);

/** Text of the database's encoding with nothing lost: what is not valid becomes lone surrogates (see `utf8.ts`). */
export const decodeText = (bytes: Uint8Array, encoding: Encoding): string =>
  encoding === 'UTF-8' ? decodeUtf8(bytes) : escapeSurrogates(utf16(bytes, encoding).toString('utf16le'));

const utf16 = (bytes: Uint8Array, encoding: Encoding): Buffer => {
  const copy = Buffer.from(bytes.subarray(0, bytes.length & ~1));
  return encoding === 'UTF-16be' ? copy.swap16() : copy;
};

/** A lone surrogate of a UTF-16 text is written as its three bytes of generalised UTF-8, each kept apart. */
const escapeSurrogates = (text: string): string =>
  text.isWellFormed()
    ? text
    : text.replace(/[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]/g, (found) => {
        if (found.length === 2) return found;
        const unit = found.charCodeAt(0);
        return String.fromCharCode(0xdced, 0xdc80 | ((unit >> 6) & 63), 0xdc80 | (unit & 63));
      });

const triple = /\udced[\udca0-\udcbf][\udc80-\udcbf]/g;

/** The bytes of a text in the database's encoding; undefined when it holds bytes that this encoding cannot. */
export const encodeText = (text: string, encoding: Encoding): Uint8Array | undefined => {
  if (encoding === 'UTF-8') return encodeUtf8(text);
  if (!text.replace(triple, '?').isWellFormed()) return undefined;
  const restored = text.replace(triple, (three) =>
    String.fromCharCode(0xd000 | ((three.charCodeAt(1) & 63) << 6) | (three.charCodeAt(2) & 63)),
  );
  const bytes = Buffer.from(restored, 'utf16le');
  return encoding === 'UTF-16be' ? bytes.swap16() : bytes;
};
