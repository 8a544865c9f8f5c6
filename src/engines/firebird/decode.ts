import { clockText, dateOfDay } from '../../model/canon/calendar.ts';
import { canonicalDouble } from '../../model/canon/float.ts';
import { decodeUtf8 } from '../../model/canon/utf8.ts';
import { type BlrWriter, type OutputColumn, type Quad, wire, type XdrReader } from './driver.ts';

/** What arrives for a cell: its canonical text in the column's own type, or the address of a BLOB. */
export type RawCell = string | Quad | null;

/** Bytes of a text or binary column as text: by its character set, or as hexadecimal digits. */
export type BytesReader = (bytes: Buffer) => string;

export const utf8Reader: BytesReader = decodeUtf8;
export const hexReader: BytesReader = (bytes) => bytes.toString('hex');

/** Moves on by `length` bytes, or tells the driver that they have not arrived yet. */
const take = (data: XdrReader, length: number): number => {
  const at = data.pos;
  if (at + length > data.buffer.length) throw new RangeError('bytes are still missing');
  data.pos = at + length;
  return at;
};

const padded = (length: number): number => (length + 3) & ~3;

/** Days between 1858-11-17, where the server counts from, and 2000-01-01. */
const epoch = 51_544;

const dateOf = (days: number): string => {
  const { date, bc } = dateOfDay(days - epoch);
  return bc ? `${date} BC` : date;
};

/** A time of day in tenths of a millisecond. */
const timeOf = (tenths: number): string => clockText(Math.floor(tenths / 10_000), (tenths % 10_000) * 100);

/** The decimal of an integer that counts 10^scale, canonical. */
export const scaled = (digits: string, scale: number): string => {
  if (scale === 0 || digits === '0') return digits;
  const negative = digits.charCodeAt(0) === 45;
  let n = negative ? digits.slice(1) : digits;
  if (scale > 0) return `${negative ? '-' : ''}${n}${'0'.repeat(scale)}`;
  const places = -scale;
  if (n.length <= places) n = n.padStart(places + 1, '0');
  let end = n.length;
  const point = end - places;
  while (end > point && n.charCodeAt(end - 1) === 48) end--;
  return `${negative ? '-' : ''}${n.slice(0, point)}${end === point ? '' : `.${n.slice(point, end)}`}`;
};

const int64 = (buffer: Buffer, at: number): string => {
  const high = buffer.readInt32BE(at);
  // Below 2^52 a number is exact.
  return high > -0x10_0000 && high < 0x10_0000
    ? String(high * 0x1_0000_0000 + buffer.readUInt32BE(at + 4))
    : buffer.readBigInt64BE(at).toString();
};

/** ASCII is the same in every character set that is read here; views of single cells would be most of the work. */
const textAt = (buffer: Buffer, from: number, to: number, text: BytesReader): string => {
  if (text !== hexReader) {
    let i = from;
    while (i < to && buffer[i]! < 0x80) i++;
    if (i === to) return buffer.toString('latin1', from, to);
  }
  return text(buffer.subarray(from, to));
};

/** Reads the server's own bytes of a column: the driver's readers go through doubles, local time and milliseconds. */
const decoderOf = (c: OutputColumn, text: BytesReader): ((data: XdrReader) => RawCell) => {
  const { type, scale, length } = c;
  const { sql } = wire;
  switch (type) {
    case sql.text:
      return (d) => {
        const at = take(d, padded(length));
        return textAt(d.buffer, at, at + length, text);
      };
    case sql.varying:
      return (d) => {
        const size = d.buffer.readInt32BE(take(d, 4));
        const at = take(d, padded(size));
        return textAt(d.buffer, at, at + size, text);
      };
    case sql.short:
    case sql.long:
      return (d) => scaled(String(d.buffer.readInt32BE(take(d, 4))), scale);
    case sql.int64:
      return scale === 0 ? (d) => int64(d.buffer, take(d, 8)) : (d) => scaled(int64(d.buffer, take(d, 8)), scale);
    case sql.int128:
      return (d) => {
        const at = take(d, 16);
        const whole = (d.buffer.readBigInt64BE(at) << 64n) + d.buffer.readBigUInt64BE(at + 8);
        return scaled(whole.toString(), scale);
      };
    case sql.float:
      return (d) => canonicalDouble(d.buffer.readFloatBE(take(d, 4)));
    case sql.double:
      return (d) => canonicalDouble(d.buffer.readDoubleBE(take(d, 8)));
    case sql.date:
      return (d) => dateOf(d.buffer.readInt32BE(take(d, 4)));
    case sql.time:
      return (d) => timeOf(d.buffer.readUInt32BE(take(d, 4)));
    case sql.timestamp:
      return (d) => {
        const at = take(d, 8);
        return stamp(d.buffer, at);
      };
    case sql.timestampTz:
      return (d) => stamp(d.buffer, take(d, 12));
    case sql.timestampTzEx:
      return (d) => stamp(d.buffer, take(d, 16));
    case sql.boolean:
      return (d) => (d.buffer[take(d, 4)] === 0 ? 'false' : 'true');
    case sql.blob:
    case sql.array:
    case sql.quad:
      return (d) => {
        const at = take(d, 8);
        return { high: d.buffer.readInt32BE(at), low: d.buffer.readInt32BE(at + 4) };
      };
    default:
      // The driver's own words for what we do not know; such columns are asked for as text.
      return (d) => String(c.decode(d));
  }
};

const stamp = (buffer: Buffer, at: number): string => {
  const { date, bc } = dateOfDay(buffer.readInt32BE(at) - epoch);
  return `${date} ${timeOf(buffer.readUInt32BE(at + 4))}${bc ? ' BC' : ''}`;
};

/** The column as the driver is to read it. */
export const readColumn = (c: OutputColumn, text: BytesReader = utf8Reader): OutputColumn => {
  const decode = decoderOf(c, text);
  return {
    // The driver wraps columns of type BLOB into functions; under another type it leaves them alone.
    type: c.type === wire.sql.blob ? wire.sql.quad : c.type,
    subType: c.subType,
    scale: c.scale,
    length: c.length,
    decode,
    calcBlr: (blr: BlrWriter) => c.calcBlr(blr),
  };
};
