import { dateOfDay, momentText } from '../../model/canon/calendar.ts';
import { decimalText } from '../../model/canon/decimal.ts';
import { canonicalDouble } from '../../model/canon/float.ts';
import { decodeUtf8 } from '../../model/canon/utf8.ts';
import { uuidFromBytes } from '../../model/canon/uuid.ts';
import type { Text } from '../../model/row.ts';
import type { ColumnSql } from './columns.ts';
import { render } from './render.ts';

/** Reads a value where it lies in a binary COPY. */
export type Read = (bytes: Buffer, at: number, end: number) => Text;

/** A way to have a column in a binary COPY. */
export interface Spelled {
  /** See `RawRows`. */
  readonly spelling: string;
  readonly sql: string;
  readonly read: Read;
}

const readInt8: Read = (bytes, at) => {
  const high = bytes.readInt32BE(at);
  return (
    high >= -0x20_0000 && high < 0x20_0000
      ? String(high * 0x1_0000_0000 + bytes.readUInt32BE(at + 4))
      : String(bytes.readBigInt64BE(at))
  ) as Text;
};

const four = (n: number): string => String(n).padStart(4, '0');

/** `numeric_send`: groups of four digits, the first of them at `weight`. */
const readNumeric: Read = (bytes, at) => {
  const groups = bytes.readInt16BE(at);
  const weight = bytes.readInt16BE(at + 2);
  const sign = bytes.readUInt16BE(at + 4);
  if (sign === 0xc000) return 'NaN' as Text;
  if (sign === 0xd000) return 'Infinity' as Text;
  if (sign === 0xf000) return '-Infinity' as Text;
  const group = (i: number): number => (i >= 0 && i < groups ? bytes.readInt16BE(at + 8 + 2 * i) : 0);
  let text = String(group(weight < 0 ? -1 : 0));
  for (let i = 1; i <= weight; i++) text += four(group(i));
  if (groups > weight + 1) {
    text += '.';
    for (let i = weight + 1; i < groups; i++) text += four(group(i));
  }
  return decimalText(sign === 0x4000 ? `-${text}` : text)! as Text;
};

const readUuid: Read = (bytes, at) => uuidFromBytes(bytes.subarray(at, at + 16))! as Text;

/** Microseconds since 2000-01-01; the two ends of the range are the infinities. */
const readMicros: Read = (bytes, at) => {
  const high = bytes.readInt32BE(at);
  const low = bytes.readUInt32BE(at + 4);
  if (high >= -0x20_0000 && high < 0x20_0000) {
    const micros = high * 0x1_0000_0000 + low;
    const seconds = Math.floor(micros / 1_000_000);
    return momentText(seconds, micros - seconds * 1_000_000)! as Text;
  }
  if (high === 0x7fff_ffff && low === 0xffff_ffff) return 'infinity' as Text;
  if (high === -0x8000_0000 && low === 0) return '-infinity' as Text;
  const micros = bytes.readBigInt64BE(at);
  const rest = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n;
  return momentText(Number((micros - rest) / 1_000_000n), Number(rest))! as Text;
};

/** Days since 2000-01-01. */
const readDays: Read = (bytes, at) => {
  const days = bytes.readInt32BE(at);
  if (days === 0x7fff_ffff) return 'infinity' as Text;
  if (days === -0x8000_0000) return '-infinity' as Text;
  const { date, bc } = dateOfDay(days);
  return (bc ? `${date} BC` : date) as Text;
};

const readFloat8: Read = (bytes, at) => canonicalDouble(bytes.readDoubleBE(at)) as Text;
const readBool: Read = (bytes, at) => (bytes[at] === 0 ? 'false' : 'true') as Text;
const readBytes: Read = (bytes, at, end) => bytes.toString('hex', at, end) as Text;

const isMoment = (kind: string): boolean => kind === 'timestamp' || kind === 'instant';

/** The server's own binary form, where there is one that needs no text to be made and whose bytes we can read. */
const binary = (c: ColumnSql): Spelled | undefined => {
  const { stored, as, exact } = c.column;
  const sql = c.value;
  if (stored.kind === 'int' && as.kind === 'int')
    return { spelling: 'int8', sql: `${sql}::pg_catalog.int8`, read: readInt8 };
  if (isMoment(stored.kind) && isMoment(as.kind)) return { spelling: 'microseconds', sql, read: readMicros };
  if (stored.kind !== as.kind || exact) return undefined;
  switch (stored.kind) {
    case 'decimal':
      // another scale spells every value otherwise
      return { spelling: `numeric of scale ${stored.scale ?? 'any'}`, sql, read: readNumeric };
    case 'uuid':
      return { spelling: 'uuid', sql, read: readUuid };
    case 'date':
      return { spelling: 'days', sql, read: readDays };
    case 'float':
      return { spelling: 'float8', sql, read: readFloat8 };
    case 'bool':
      return { spelling: 'bool', sql, read: readBool };
    case 'bytes':
      return { spelling: 'bytea', sql, read: readBytes };
    default:
      return undefined;
  }
};

/** The ways to have a column, the cheapest first. `validUtf8`: the server vouches for its text. */
export const spelledColumn = (c: ColumnSql, validUtf8: boolean): readonly Spelled[] => {
  const { sql, decode } = render(c);
  const text = (bytes: Buffer, at: number, end: number): Text =>
    (validUtf8 ? bytes.toString('utf8', at, end) : decodeUtf8(bytes.subarray(at, end))) as Text;
  const { stored, as, exact } = c.column;
  const rendered: Spelled = decode
    ? {
        // what is done with the text follows from these
        spelling: `text ${JSON.stringify([stored, as, exact ?? false])}`,
        sql,
        read: (bytes, at, end) => decode(text(bytes, at, end)),
      }
    : { spelling: 'canonical', sql, read: text };
  const own = binary(c);
  return own ? [own, rendered] : [rendered];
};
