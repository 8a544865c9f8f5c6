import { dayNumber, isDate } from '../../model/canon/calendar.ts';
import { splitInt64, splitMicros, splitNumber } from '../../model/hash/column-hash.ts';

/**
 * Readers of plain values from bytes, in place. Each takes the place where the value begins and returns the place
 * behind the last byte that it read, or -1 for what is not in the one plain form that it knows; whether the value
 * really ends there, the caller sees.
 */

const integer = /^-?\d+$/;

/** An integer of 64 bits into `halves`. */
export const readInteger = (bytes: Buffer, start: number): number => {
  const negative = bytes[start] === 45;
  const first = negative ? start + 1 : start;
  let p = first;
  let x = 0;
  for (let d = bytes[p]! - 48; d >= 0 && d <= 9; d = bytes[++p]! - 48) x = x * 10 + d;
  const length = p - first;
  if (length > 15) return length > 19 ? -1 : readLongInteger(bytes, start, p);
  if (length === 0) return -1;
  splitNumber(negative ? -x : x);
  return p;
};

const readLongInteger = (bytes: Buffer, start: number, end: number): number => {
  const text = bytes.toString('latin1', start, end);
  // What SQLite prints without point or exponent is an integer of 64 bits; a text may be longer.
  if (!integer.test(text) || (text.length >= 19 && BigInt.asIntN(64, BigInt(text)) !== BigInt(text))) return -1;
  splitInt64(text);
  return end;
};

/** Where `readDecimal` leaves a number of up to eight digits before and four behind the point; `whole` is -1 for others. */
export const decimal = { negative: false, whole: 0, fraction: 0 };

const shifts = [10_000, 1000, 100, 10, 1];

/**
 * A number in plain notation that is the value's own decimal: SQLite writes a real (`binary`) with up to 17 digits, and
 * only up to 15 are sure to be the shortest that mean it.
 */
export const readDecimal = (bytes: Buffer, start: number, binary: boolean): number => {
  const negative = bytes[start] === 45;
  let p = negative ? start + 1 : start;
  const first = p;
  let whole = 0;
  let d = bytes[p]! - 48;
  for (; d >= 0 && d <= 9; d = bytes[++p]! - 48) whole = whole * 10 + d;
  let digits = p - first;
  decimal.negative = negative;
  decimal.whole = digits > 8 ? -1 : whole;
  decimal.fraction = 0;
  if (d === -2) {
    const point = p;
    let fraction = 0;
    d = bytes[++p]! - 48;
    for (; d >= 0 && d <= 9; d = bytes[++p]! - 48) fraction = fraction * 10 + d;
    const places = p - point - 1;
    digits += places;
    if (binary && digits > 15) return -1;
    if (places > 4) decimal.whole = -1;
    else decimal.fraction = fraction * shifts[places]!;
  }
  return digits === 0 || digits > 1000 ? -1 : p;
};

/** Where `readUuid` leaves its sixteen bytes. */
const uuidBytes = new Uint8Array(16);
export const uuidView = new DataView(uuidBytes.buffer);

const nibbles = new Int8Array(256).fill(-1);
for (let i = 0; i < 10; i++) nibbles[48 + i] = i;
for (let i = 0; i < 6; i++) {
  nibbles[97 + i] = 10 + i;
  nibbles[65 + i] = 10 + i;
}

/** Where the sixteen pairs of digits stand in 8-4-4-4-12. */
const places = Uint8Array.of(0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34);

/** 8-4-4-4-12 hexadecimal digits into `uuidView`. */
export const readUuid = (bytes: Buffer, start: number): number => {
  if (start + 36 > bytes.length) return -1;
  if (bytes[start + 8] !== 45 || bytes[start + 13] !== 45 || bytes[start + 18] !== 45 || bytes[start + 23] !== 45)
    return -1;
  let all = 0;
  for (let i = 0; i < 16; i++) {
    const p = start + places[i]!;
    const byte = (nibbles[bytes[p]!]! << 4) | nibbles[bytes[p + 1]!]!;
    uuidBytes[i] = byte;
    all |= byte;
  }
  return all < 0 ? -1 : start + 36;
};

/** The number of two digits; negative or more than 99 when they are none. */
const two = (bytes: Buffer, p: number): number => {
  const a = bytes[p]! - 48;
  const b = bytes[p + 1]! - 48;
  return a >= 0 && a <= 9 && b >= 0 && b <= 9 ? a * 10 + b : 10_000;
};

/** Months seen lately, by the eight bytes of `YYYY-MM-`: the day number before their first, and their length. */
const cached = 512;
const years = new Int32Array(cached);
const months = new Int32Array(cached);
const starts = new Int32Array(cached);
const lengths = new Int32Array(cached);

/** Looks at a month that is not cached; false when it is none. */
const cacheMonth = (bytes: Buffer, p: number, slot: number, yearWord: number, monthWord: number): boolean => {
  const year = two(bytes, p) * 100 + two(bytes, p + 2);
  const month = two(bytes, p + 5);
  if (bytes[p + 4] !== 45 || bytes[p + 7] !== 45 || year < 1 || year > 9999 || !isDate(year, month, 1)) return false;
  years[slot] = yearWord;
  months[slot] = monthWord;
  starts[slot] = dayNumber(year, month, 1) - 1;
  lengths[slot] = isDate(year, month, 31) ? 31 : isDate(year, month, 30) ? 30 : isDate(year, month, 29) ? 29 : 28;
  return true;
};

/** Days since 2000-01-01 of `YYYY-MM-DD`; NaN for anything else. */
export const dayAt = (bytes: Buffer, view: DataView, p: number): number => {
  if (p + 10 > bytes.length) return Number.NaN;
  const yearWord = view.getInt32(p, true);
  const monthWord = view.getInt32(p + 4, true);
  // The year's last digit and the two of the month.
  const slot = ((yearWord >>> 19) & 0x1e0) | ((monthWord >>> 15) & 0x1e) | ((monthWord >>> 8) & 1);
  if ((years[slot] !== yearWord || months[slot] !== monthWord) && !cacheMonth(bytes, p, slot, yearWord, monthWord))
    return Number.NaN;
  const day = two(bytes, p + 8);
  return day >= 1 && day <= lengths[slot]! ? starts[slot]! + day : Number.NaN;
};

const clock = { seconds: 0, micros: 0 };

/** `HH:MM:SS[.f]`, up to six digits, into `clock`. */
const readClock = (bytes: Buffer, start: number): number => {
  if (start + 8 > bytes.length || bytes[start + 2] !== 58 || bytes[start + 5] !== 58) return -1;
  const hour = two(bytes, start);
  const minute = two(bytes, start + 3);
  const second = two(bytes, start + 6);
  if (hour > 23 || minute > 59 || second > 59) return -1;
  clock.seconds = hour * 3600 + minute * 60 + second;
  clock.micros = 0;
  if (bytes[start + 8] !== 46) return start + 8;
  let p = start + 9;
  let micros = 0;
  for (let unit = 100_000; unit >= 1; unit /= 10) {
    const d = bytes[p]! - 48;
    if (!(d >= 0 && d <= 9)) break;
    micros += d * unit;
    p++;
  }
  clock.micros = micros;
  return p === start + 9 ? -1 : p;
};

/** Behind `Z`, `+00` or `+00:00`, if one of them is there. */
const afterZero = (bytes: Buffer, p: number): number => {
  const b = bytes[p];
  if (b === 90) return p + 1;
  if (b !== 43 || bytes[p + 1] !== 48 || bytes[p + 2] !== 48) return p;
  return bytes[p + 3] === 58 && bytes[p + 4] === 48 && bytes[p + 5] === 48 ? p + 6 : p + 3;
};

/** `YYYY-MM-DD HH:MM:SS[.f]`, with `T` or an offset of zero, as microseconds since 2000 into `halves`. */
export const readMoment = (bytes: Buffer, view: DataView, start: number): number => {
  const between = bytes[start + 10];
  if (between !== 32 && between !== 84) return -1;
  const day = dayAt(bytes, view, start);
  if (Number.isNaN(day)) return -1;
  const end = readClock(bytes, start + 11);
  if (end < 0) return -1;
  splitMicros(day * 86_400 + clock.seconds, clock.micros);
  return afterZero(bytes, end);
};

/** `HH:MM:SS[.f]` as microseconds into `halves`. */
export const readTime = (bytes: Buffer, start: number): number => {
  const end = readClock(bytes, start);
  if (end >= 0) splitNumber(clock.seconds * 1e6 + clock.micros);
  return end;
};
