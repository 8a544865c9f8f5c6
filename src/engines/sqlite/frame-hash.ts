import { hashed } from '../../lib/lookup3.ts';
import { dayNumber, isDate } from '../../model/canon/calendar.ts';
import { storedBlob, storedInteger, storedReal, storedText } from '../../model/canon/stored.ts';
import { decodeUtf8 } from '../../model/canon/utf8.ts';
import type { SelectedColumn } from '../../model/endpoint.ts';
import {
  finalise,
  halves,
  hashBytesAt,
  hashDays,
  hashDecimal,
  hashDouble,
  hashFalse,
  hashInt,
  hashMicros,
  hashNull,
  hashRaw,
  hashTrue,
  type PackedSeeds,
  packedSeeds,
  splitInt64,
  splitMicros,
  splitNumber,
} from '../../model/hash/column-hash.ts';
import { cellHasher } from '../../model/hash/row-hash.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import type { Cell } from '../../model/row.ts';
import type { FrameColumn } from './frame.ts';

/** The blob being read, and where in it. Shared by the readers of all columns, which run millions of times. */
export interface Cursor {
  bytes: Buffer;
  view: DataView;
  /** The next byte to read. */
  at: number;
  /** The cell just framed: its content is `bytes[start..end)`; -1 for NULL. */
  start: number;
  end: number;
}

export const cursor = (): Cursor => {
  const bytes = Buffer.alloc(0);
  return { bytes, view: new DataView(bytes.buffer, 0, 0), at: 0, start: 0, end: 0 };
};

export const load = (c: Cursor, blob: Uint8Array): void => {
  c.bytes = Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength);
  c.view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  c.at = 0;
};

const broken = (): never => {
  throw new Error('a frame of SQLite cannot be read');
};

/** Moves over a number: digits and `|`. */
const nextNumber = (c: Cursor): void => {
  const { bytes } = c;
  let p = c.at;
  while (bytes[p] !== 124) if (++p > bytes.length) broken();
  c.start = p === c.at ? -1 : c.at;
  c.end = p;
  c.at = p + 1;
};

/** Moves over a text or blob: length, `:`, bytes. */
const nextSized = (c: Cursor): void => {
  const { bytes } = c;
  let p = c.at;
  let length = 0;
  let d = bytes[p]! - 48;
  if (d === 10) {
    c.start = -1;
    c.at = p + 1;
    return;
  }
  for (; d >= 0 && d <= 9; d = bytes[++p]! - 48) length = length * 10 + d;
  if (d !== 10 || p + 1 + length > bytes.length) broken();
  c.start = p + 1;
  c.end = p + 1 + length;
  c.at = c.end;
};

/** Moves the cursor over one cell. */
export const nextCell = (kind: FrameColumn['kind']): ((c: Cursor) => void) =>
  kind === 'number' ? nextNumber : nextSized;

const integer = /^-?\d+$/;

/** The canonical cell at the cursor, the slow way: for keys, and for what no fast reader knows. */
export const cellAt = ({ as, stored }: SelectedColumn, kind: FrameColumn['kind'], c: Cursor): Cell => {
  if (c.start < 0) return null;
  if (kind === 'blob') return storedBlob(as, stored, c.bytes.subarray(c.start, c.end));
  if (kind === 'text') return storedText(as, stored, decodeUtf8(c.bytes.subarray(c.start, c.end)));
  const text = c.bytes.toString('latin1', c.start, c.end);
  if (integer.test(text)) return storedInteger(as, stored, text);
  return storedReal(as, stored, Number(text.replace('Inf', 'Infinity')));
};

/** Hashes the cell at the cursor in place; false when it is not in the one plain form that can be. */
type FastHash = (c: Cursor) => boolean;

/** Leaves the hash of the cell at the cursor in `hashed`. */
export type FrameHasher = (c: Cursor) => void;

export const frameHasher = (
  column: SelectedColumn,
  kind: FrameColumn['kind'],
  index: number,
  purpose: 'row' | 'key',
  hash: HashSpec,
): FrameHasher => {
  const seeds = packedSeeds(hash.seed, index, purpose);
  const slow = cellHasher(column.as, seeds, hash.form);
  const fast = fastHash(column, kind, seeds, hash.form);
  return (c) => {
    if (c.start < 0) hashNull(seeds);
    else if (!fast(c)) slow(cellAt(column, kind, c));
  };
};

const fastHash = (
  { as, stored }: SelectedColumn,
  kind: FrameColumn['kind'],
  seeds: PackedSeeds,
  form: 'bytes' | 'hex',
): FastHash => {
  switch (as.kind) {
    case 'int':
      return (c) => {
        if (!readInteger(c)) return false;
        hashInt(seeds, halves[0]!, halves[1]!);
        return true;
      };
    case 'bool':
      return (c) => {
        const digit = c.bytes[c.start];
        if (kind !== 'number' || c.end - c.start !== 1 || (digit !== 48 && digit !== 49)) return false;
        (digit === 49 ? hashTrue : hashFalse)(seeds);
        return true;
      };
    case 'decimal':
      return (c) => {
        const text = plainDecimal(c, kind);
        if (text === undefined) return false;
        hashDecimal(seeds, text);
        return true;
      };
    case 'float':
      if (as.bits === 32 || kind !== 'number') return () => false;
      return (c) => {
        const x = Number(c.bytes.toString('latin1', c.start, c.end));
        // An integer beyond 2^53, and `Inf`, are judged with care.
        if (!(Math.abs(x) < 9e15)) return false;
        hashDouble(seeds, x);
        return true;
      };
    case 'text': {
      const padded = as.padded || (stored.kind === 'text' && stored.padded);
      return (c) => {
        let { end } = c;
        if (padded) while (end > c.start && c.bytes[end - 1] === 32) end--;
        hashBytesAt(seeds, c.view, c.start, end - c.start);
        return true;
      };
    }
    case 'enum':
    case 'interval':
    case 'opaque':
      if (stored.kind === 'text' && stored.padded) return () => false;
      return (c) => {
        hashBytesAt(seeds, c.view, c.start, c.end - c.start);
        return true;
      };
    case 'bytes':
      return (c) => {
        hashRaw(seeds, form, c.view, c.start, c.end - c.start);
        return true;
      };
    case 'uuid':
      return (c) => {
        if (!readUuid(c)) return false;
        hashBytesAt(seeds, uuidView, 0, 16);
        return true;
      };
    case 'date':
      return (c) => {
        const days = c.end - c.start === 10 ? dayAt(c.bytes, c.start) : Number.NaN;
        if (Number.isNaN(days)) return false;
        hashDays(seeds, form, days);
        return true;
      };
    case 'timestamp':
    case 'instant':
      return (c) => {
        if (!readMoment(c)) return false;
        hashMicros(seeds, form, halves[0]!, halves[1]!);
        return true;
      };
    default:
      return () => false;
  }
};

/** A plain integer into `halves`. */
export const readInteger = (c: Cursor): boolean => {
  const { bytes, start, end } = c;
  const negative = bytes[start] === 45;
  const first = negative ? start + 1 : start;
  const length = end - first;
  if (length > 15 || length === 0) return length === 0 || length > 19 ? false : readLongInteger(c);
  let x = 0;
  for (let p = first; p < end; p++) {
    const d = bytes[p]! - 48;
    if (d < 0 || d > 9) return false;
    x = x * 10 + d;
  }
  splitNumber(negative ? -x : x);
  return true;
};

const readLongInteger = (c: Cursor): boolean => {
  const text = c.bytes.toString('latin1', c.start, c.end);
  // What SQLite prints without point or exponent is an integer of 64 bits.
  if (!integer.test(text) || (text.length >= 19 && BigInt.asIntN(64, BigInt(text)) !== BigInt(text))) return false;
  splitInt64(text);
  return true;
};

/**
 * A number's text when it is plain and is the value's own decimal: SQLite writes a real with up to 17 digits, and only
 * up to 15 are sure to be the shortest that mean it.
 */
const plainDecimal = (c: Cursor, kind: FrameColumn['kind']): string | undefined => {
  const { bytes, start, end } = c;
  let digits = 0;
  let points = 0;
  for (let p = start; p < end; p++) {
    const b = bytes[p]!;
    if (b >= 48 && b <= 57) digits++;
    else if (b === 46) points++;
    else if (b !== 45 || p !== start) return undefined;
  }
  if (digits === 0 || points > 1 || (points === 1 && digits > 15 && kind === 'number') || end - start > 1000)
    return undefined;
  return bytes.toString('latin1', start, end);
};

const uuidBytes = new Uint8Array(16);
const uuidView = new DataView(uuidBytes.buffer);

const nibbles = new Int8Array(256).fill(-1);
for (let i = 0; i < 10; i++) nibbles[48 + i] = i;
for (let i = 0; i < 6; i++) {
  nibbles[97 + i] = 10 + i;
  nibbles[65 + i] = 10 + i;
}

/** 8-4-4-4-12 hexadecimal digits into `uuidBytes`. */
const readUuid = ({ bytes, start, end }: Cursor): boolean => {
  if (end - start !== 36) return false;
  let p = start;
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) if (bytes[p++] !== 45) return false;
    const high = nibbles[bytes[p]!]!;
    const low = nibbles[bytes[p + 1]!]!;
    if ((high | low) < 0) return false;
    uuidBytes[i] = (high << 4) | low;
    p += 2;
  }
  return true;
};

const two = (bytes: Buffer, p: number): number => {
  const a = bytes[p]! - 48;
  const b = bytes[p + 1]! - 48;
  return a >= 0 && a <= 9 && b >= 0 && b <= 9 ? a * 10 + b : Number.NaN;
};

let lastYear = -1;
let lastMonth = -1;
let lastStart = 0;

/** Days since 2000-01-01 of `YYYY-MM-DD`; NaN for anything else. */
const dayAt = (bytes: Buffer, p: number): number => {
  if (bytes[p + 4] !== 45 || bytes[p + 7] !== 45) return Number.NaN;
  const year = two(bytes, p) * 100 + two(bytes, p + 2);
  const month = two(bytes, p + 5);
  const day = two(bytes, p + 8);
  if (!(year >= 1) || !isDate(year, month, day)) return Number.NaN;
  if (year !== lastYear || month !== lastMonth) {
    lastYear = year;
    lastMonth = month;
    lastStart = dayNumber(year, month, 1);
  }
  return lastStart + day - 1;
};

/** `YYYY-MM-DD HH:MM:SS[.f]`, `T` allowed, as microseconds into `halves`. */
const readMoment = ({ bytes, start, end }: Cursor): boolean => {
  const length = end - start;
  if (length < 19 || length > 26 || length === 20) return false;
  const separator = bytes[start + 10];
  if ((separator !== 32 && separator !== 84) || bytes[start + 13] !== 58 || bytes[start + 16] !== 58) return false;
  const day = dayAt(bytes, start);
  const hour = two(bytes, start + 11);
  const minute = two(bytes, start + 14);
  const second = two(bytes, start + 17);
  if (!(hour < 24 && minute < 60 && second < 60) || Number.isNaN(day)) return false;
  let micros = 0;
  if (length > 19) {
    if (bytes[start + 19] !== 46) return false;
    let unit = 100_000;
    for (let p = start + 20; p < end; p++, unit /= 10) {
      const d = bytes[p]! - 48;
      if (d < 0 || d > 9) return false;
      micros += d * unit;
    }
  }
  splitMicros(day * 86_400 + hour * 3600 + minute * 60 + second, micros);
  return true;
};

/** XOR of the hashes of as many cells as there are hashers, finalised: into `hashed` of `lib/lookup3.ts`. */
export const hashFrame = (c: Cursor, next: readonly ((c: Cursor) => void)[], hashers: readonly FrameHasher[]): void => {
  let high = 0;
  let low = 0;
  for (let i = 0; i < hashers.length; i++) {
    next[i]!(c);
    hashers[i]!(c);
    high ^= hashed[0]!;
    low ^= hashed[1]!;
  }
  finalise(high, low);
};
