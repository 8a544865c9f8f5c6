import { hashed, hashInt64, hashUint32, hashView, hashWords } from '../../lib/lookup3.ts';
import { encodeUtf8 } from '../canon/utf8.ts';
import { asInt64, type ColumnSeeds, columnSeeds, type Role, roles } from './spec.ts';

/**
 * The hash of one cell, kind by kind, as the table in `spec.ts` says. A process that reads raw values (SQLite) calls
 * these directly, so that no canonical text has to be made. Each leaves its result in `hashed` of `lib/lookup3.ts`
 * ([high half, low half]); the caller XORs it into the row before the next call.
 */

/** A column's constants as pairs of 32-bit halves: role r has its high half at 2r, its low half at 2r+1. */
export type PackedSeeds = Int32Array;

export const packSeeds = (seeds: ColumnSeeds): PackedSeeds => {
  const packed = new Int32Array(roles.length * 2);
  roles.forEach((role, i) => {
    packed[2 * i] = Number(BigInt.asIntN(32, asInt64(seeds[role]) >> 32n));
    packed[2 * i + 1] = Number(BigInt.asIntN(32, seeds[role]));
  });
  return packed;
};

/** Packed constants of the column at `index`. */
export const packedSeeds = (seed: bigint, index: number, purpose: 'row' | 'key'): PackedSeeds =>
  packSeeds(columnSeeds(seed, index, purpose));

const at = (role: Role): number => 2 * roles.indexOf(role);
const VALUE = at('value');
const NEGATIVE = at('negative');
const MISFIT = at('misfit');

const constantOf =
  (place: number) =>
  (seeds: PackedSeeds): void => {
    hashed[0] = seeds[place]!;
    hashed[1] = seeds[place + 1]!;
  };

export const hashNull = constantOf(at('null'));
export const hashTrue = constantOf(at('yes'));
export const hashFalse = constantOf(at('no'));
const hashNaN = constantOf(at('nan'));
const hashInfinity = constantOf(at('infinity'));
const hashMinusInfinity = constantOf(at('minusInfinity'));

/** int: the two's complement halves of the value. */
export const hashInt = (seeds: PackedSeeds, high: number, low: number): void =>
  hashInt64(high, low, high ^ seeds[VALUE]!, low ^ seeds[VALUE + 1]!);

/** Where `splitInt64` and `splitMicros` leave a 64-bit number. */
export const halves = new Int32Array(2);

/** v = t·2^16 + u, 0 <= u < 2^53, t an integer below 2^53 in magnitude: into `halves`. */
const split = (t: number, u: number): void => {
  const carry = Math.floor(u / 65_536);
  const w = t + carry;
  const top = Math.floor(w / 65_536);
  halves[0] = top;
  halves[1] = (w - top * 65_536) * 65_536 + (u - carry * 65_536);
};

/** A number whose magnitude is below 2^53 into `halves`. */
export const splitNumber = (x: number): void => {
  const high = Math.floor(x / 4_294_967_296);
  halves[0] = high;
  halves[1] = x - high * 4_294_967_296;
};

/** A canonical integer of 64 bits into `halves`. */
export const splitInt64 = (text: string): void => {
  if (text.length < 16) {
    splitNumber(+text);
    return;
  }
  const negative = text.charCodeAt(0) === 45;
  const first = +text.slice(negative ? 1 : 0, -9);
  const t = Math.floor(first / 65_536);
  split(t * 1e9, (first - t * 65_536) * 1e9 + +text.slice(-9));
  if (negative) {
    halves[1] = -halves[1]!;
    halves[0] = ~halves[0]! + (halves[1] === 0 ? 1 : 0);
  }
};

/** Microseconds of `seconds` and `micros` (0..999,999) since 2000-01-01 into `halves`. */
export const splitMicros = (seconds: number, micros: number): void => {
  const t = Math.floor(seconds / 65_536);
  split(t * 1e6, (seconds - t * 65_536) * 1e6 + micros);
};

/** A buffer that grows with the longest cell seen. */
let buffer = Buffer.alloc(4096);
let view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
const reserve = (bytes: number): void => {
  if (bytes <= buffer.length) return;
  buffer = Buffer.alloc(2 ** Math.ceil(Math.log2(bytes)));
  view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
};

/** text, enum, bit, interval, opaque, json: the UTF-8 bytes as they are in memory. Also bytes, in the form `bytes`. */
export const hashBytesAt = (seeds: PackedSeeds, memory: DataView, offset: number, length: number): void =>
  hashView(memory, offset, length, seeds[VALUE]!, seeds[VALUE + 1]!);

const hashTextAs = (text: string, high: number, low: number): void => {
  const length = text.length;
  reserve(length * 3);
  let i = 0;
  if (length <= 32) {
    for (; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 127) break;
      buffer[i] = unit;
    }
    if (i === length) {
      hashView(view, 0, length, high, low);
      return;
    }
  }
  if (text.isWellFormed()) hashView(view, 0, buffer.write(text, 0, 'utf8'), high, low);
  else {
    const bytes = encodeUtf8(text);
    hashView(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length, high, low);
  }
};

/** text, enum, bit, interval, opaque, json: from the canonical text. */
export const hashText = (seeds: PackedSeeds, text: string): void => hashTextAs(text, seeds[VALUE]!, seeds[VALUE + 1]!);

/** json as it is sent: the byte 1, and the UTF-8 bytes of the text. */
export const hashSentJson = (seeds: PackedSeeds, text: string): void => hashText(seeds, `\u0001${text}`);

/** A misfit: `stored` is `t`, `n` or `b`; the hash is over this letter and the content. */
export const hashMisfit = (seeds: PackedSeeds, stored: 't' | 'n' | 'b', content: string): void =>
  hashTextAs(stored + content, seeds[MISFIT]!, seeds[MISFIT + 1]!);

/** float: any double, a 32-bit one widened. */
export const hashDouble = (seeds: PackedSeeds, x: number): void => {
  if (x === 0) {
    hashed[0] = seeds[VALUE]!;
    hashed[1] = seeds[VALUE + 1]!;
    return;
  }
  if (Number.isNaN(x)) {
    view.setInt32(0, 0, true);
    view.setInt32(4, 0x7ff80000, true);
  } else view.setFloat64(0, x, true);
  hashView(view, 0, 8, seeds[VALUE]!, seeds[VALUE + 1]!);
};

/** decimal: plain text without exponent, any number of zeros at either end; NaN and infinities by name. */
export const hashDecimal = (seeds: PackedSeeds, text: string): void => {
  if (text.charCodeAt(text.length - 1) > 57) {
    if (text === 'NaN') hashNaN(seeds);
    else if (text.charCodeAt(0) === 45) hashMinusInfinity(seeds);
    else hashInfinity(seeds);
    return;
  }
  if (digits.length < text.length) digits = Buffer.alloc(2 * text.length);
  for (let i = 0; i < text.length; i++) digits[i] = text.charCodeAt(i);
  hashDecimalAt(seeds, digits, 0, text.length);
};

let digits = Buffer.alloc(200);

/** decimal: the same from the bytes of a number in plain notation. */
export const hashDecimalAt = (seeds: PackedSeeds, bytes: Uint8Array, begin: number, end: number): void => {
  reserve(end - begin + 16);
  const negative = bytes[begin] === 45;
  let start = negative ? begin + 1 : begin;
  let point = start;
  while (point < end && bytes[point] !== 46) point++;
  while (start < point && bytes[start] === 48) start++;
  // Digits in base 10,000 as the server keeps them, the point between two of them.
  const whole = point - start;
  let weight = ((whole + 3) >> 2) - 1;
  let o = 0;
  let group = whole & 3 || 4;
  for (let p = start; p < point; group = 4) {
    let v = 0;
    for (const stop = p + group; p < stop; p++) v = v * 10 + bytes[p]! - 48;
    view.setInt16(o, v, true);
    o += 2;
  }
  for (let p = point + 1; p < end; ) {
    let v = 0;
    for (let k = 0; k < 4; k++, p++) v = v * 10 + (p < end ? bytes[p]! - 48 : 0);
    view.setInt16(o, v, true);
    o += 2;
  }
  let skipped = 0;
  while (skipped < o && view.getInt16(skipped, true) === 0) {
    skipped += 2;
    weight--;
  }
  if (skipped === o) {
    hashZero(seeds);
    return;
  }
  while (view.getInt16(o - 2, true) === 0) o -= 2;
  const role = negative ? NEGATIVE : VALUE;
  hashView(view, skipped, o - skipped, seeds[role]!, seeds[role + 1]!);
  finalise(hashed[0]! ^ (weight >> 31), hashed[1]! ^ weight);
};

/** Zero is never negative; the server answers with the seed less one. */
const hashZero = (seeds: PackedSeeds): void => {
  const low = seeds[VALUE + 1]!;
  finalise((low === 0 ? seeds[VALUE]! - 1 : seeds[VALUE]!) | 0, (low - 1) | 0);
};

/** decimal: whole + fraction / 10,000, 0 <= whole < 10^8, 0 <= fraction < 10^4; zero has no sign. */
export const hashSmallDecimal = (seeds: PackedSeeds, negative: boolean, whole: number, fraction: number): void => {
  const upper = (whole / 10_000) | 0;
  const lower = whole - upper * 10_000;
  // Digits in base 10,000 without zeros at either end: their number in bytes, and what they are.
  let weight = 1;
  let length = fraction !== 0 ? 6 : lower !== 0 ? 4 : 2;
  let first = upper | (lower << 16);
  let second = fraction;
  if (upper === 0) {
    if (lower === 0 && fraction === 0) {
      hashZero(seeds);
      return;
    }
    weight = lower !== 0 ? 0 : -1;
    length -= lower !== 0 ? 2 : 4;
    first = lower !== 0 ? lower | (fraction << 16) : fraction;
    second = 0;
  }
  const role = negative ? NEGATIVE : VALUE;
  hashWords(length, first, second, seeds[role]!, seeds[role + 1]!);
  finalise(hashed[0]! ^ (weight >> 31), hashed[1]! ^ weight);
};

/** The finaliser: hashint8extended(0, x). */
export const finalise = (high: number, low: number): void => hashUint32(0, high, low);

/** 0..15 of a hexadecimal digit in either case. */
const nibble = (unit: number): number => (unit & 15) + (unit >> 6) * 9;

/** Where the sixteen pairs of digits stand in 8-4-4-4-12. */
const uuidPlaces = Uint8Array.of(0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34);

/** uuid: from its canonical text. (From 16 bytes in memory: `hashBytesAt`.) */
export const hashUuid = (seeds: PackedSeeds, text: string): void => {
  for (let o = 0; o < 16; o++) {
    const i = uuidPlaces[o]!;
    buffer[o] = (nibble(text.charCodeAt(i)) << 4) | nibble(text.charCodeAt(i + 1));
  }
  hashView(view, 0, 16, seeds[VALUE]!, seeds[VALUE + 1]!);
};

const hexDigits = Buffer.from('0123456789abcdef');

/** `length` bytes of `memory` as the form says: as they are, or as the text of their hexadecimal digits. */
export const hashRaw = (
  seeds: PackedSeeds,
  form: 'bytes' | 'hex',
  memory: DataView,
  offset: number,
  length: number,
): void => {
  if (form === 'bytes') {
    hashView(memory, offset, length, seeds[VALUE]!, seeds[VALUE + 1]!);
    return;
  }
  reserve(length * 2);
  for (let i = 0; i < length; i++) {
    const byte = memory.getUint8(offset + i);
    buffer[2 * i] = hexDigits[byte >> 4]!;
    buffer[2 * i + 1] = hexDigits[byte & 15]!;
  }
  hashView(view, 0, length * 2, seeds[VALUE]!, seeds[VALUE + 1]!);
};

/** bytes: from the canonical hexadecimal text. */
export const hashHex = (seeds: PackedSeeds, form: 'bytes' | 'hex', hex: string): void => {
  if (form === 'hex') {
    hashText(seeds, hex);
    return;
  }
  const length = hex.length / 2;
  reserve(length);
  buffer.write(hex, 0, 'hex');
  hashView(view, 0, length, seeds[VALUE]!, seeds[VALUE + 1]!);
};

const big = new DataView(new ArrayBuffer(8));

/** The four bytes of a word in the other order. */
const swapped = (x: number): number => (x << 24) | ((x & 0xff00) << 8) | ((x >>> 8) & 0xff00) | (x >>> 24);

/** date: days since 2000-01-01; ±Infinity for the endless ones. */
export const hashDays = (seeds: PackedSeeds, form: 'bytes' | 'hex', days: number): void => {
  big.setInt32(0, Number.isFinite(days) ? days : days > 0 ? 0x7fffffff : -0x80000000);
  hashRaw(seeds, form, big, 0, 4);
};

/** time, timestamp, instant: microseconds as two halves (see `splitMicros`, `splitNumber`). */
export const hashMicros = (seeds: PackedSeeds, form: 'bytes' | 'hex', high: number, low: number): void => {
  if (form === 'bytes') {
    hashWords(8, swapped(high), swapped(low), seeds[VALUE]!, seeds[VALUE + 1]!);
    return;
  }
  big.setInt32(0, high);
  big.setInt32(4, low);
  hashRaw(seeds, form, big, 0, 8);
};

/** timestamp, instant: `infinity` (sign 1) and `-infinity` (sign -1). */
export const hashEndless = (seeds: PackedSeeds, form: 'bytes' | 'hex', sign: -1 | 1): void =>
  sign > 0 ? hashMicros(seeds, form, 0x7fffffff, -1) : hashMicros(seeds, form, -0x80000000, 0);
