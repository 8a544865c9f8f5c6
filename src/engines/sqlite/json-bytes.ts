import { isUtf8 } from 'node:buffer';

/**
 * Plain JSON, byte by byte, as PostgreSQL writes the jsonb that it is: what `jsonbText` makes of the canonical text,
 * without making texts. Plain is what needs no second look: no escapes, no name twice, numbers that are canonical as
 * they stand, not nested deeply. For all else the answer is -1, and the slow way is taken.
 */

const QUOTE = 34;
const COMMA = 44;
const MINUS = 45;
const POINT = 46;
const ZERO = 48;
const COLON = 58;
const OPEN_ARRAY = 91;
const BACKSLASH = 92;
const CLOSE_ARRAY = 93;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;
const deepest = 32;

/** What was written by the last call, from its start. */
export let written = Buffer.allocUnsafeSlow(4096);
export let writtenView = new DataView(written.buffer);

/** Reading and writing is synchronous, so one of each is enough. */
let source: Buffer = written;
let at = 0;
let end = 0;
let n = 0;
let hasWide = false;
/** Bytes that may still be read a second time: objects in objects, all out of order, would double the work at each level. */
let patience = 0;

/** Writes the cell's bytes into `written`; how many they are, or -1. */
export const writeJsonb = (bytes: Buffer, from: number, to: number): number => {
  // a blank more for each comma and colon
  const room = (to - from) * 2;
  if (room > written.length) {
    written = Buffer.allocUnsafeSlow(room * 2);
    writtenView = new DataView(written.buffer);
  }
  source = bytes;
  at = from;
  end = to;
  n = 0;
  hasWide = false;
  patience = 4 * (to - from);
  skipBlanks();
  if (!writeValue(0)) return -1;
  skipBlanks();
  return at === end && !(hasWide && !isUtf8(bytes.subarray(from, to))) ? n : -1;
};

/** The next byte that is no blank; -1 at the end. */
const skipBlanks = (): number => {
  while (at < end) {
    const b = source[at]!;
    if (b !== 32 && b !== 10 && b !== 13 && b !== 9) return b;
    at++;
  }
  return -1;
};

const copy = (from: number, to: number): void => {
  for (let i = from; i < to; i++) written[n++] = source[i]!;
};

/** Moves behind the string that begins here. */
const passString = (): boolean => {
  for (let i = at + 1; i < end; i++) {
    const b = source[i]!;
    if (b === QUOTE) {
      at = i + 1;
      return true;
    }
    if (b < 32 || b === BACKSLASH) return false;
    if (b > 127) hasWide = true;
  }
  return false;
};

const isDigit = (b: number): boolean => b >= 48 && b <= 57;

/** Moves behind the number that begins here, if it is canonical. */
const passNumber = (): boolean => {
  let i = source[at] === MINUS ? at + 1 : at;
  const first = i;
  while (i < end && isDigit(source[i]!)) i++;
  const whole = i - first;
  if (whole === 0 || whole > 100 || (whole > 1 && source[first] === ZERO)) return false;
  if (i < end && source[i] === POINT) {
    const point = i++;
    while (i < end && isDigit(source[i]!)) i++;
    if (i === point + 1 || i > point + 100 || source[i - 1] === ZERO) return false;
  } else if (source[first] === ZERO && first > at) return false;
  if (i < end && (source[i]! | 32) === 101) return false;
  at = i;
  return true;
};

const words = ['true', 'false', 'null'].map((word) => Buffer.from(word));

const passWord = (): boolean => {
  const word = words.find((w) => w[0] === source[at]);
  if (!word || at + word.length > end) return false;
  for (let i = 0; i < word.length; i++) if (source[at + i] !== word[i]) return false;
  at += word.length;
  return true;
};

const writeValue = (depth: number): boolean => {
  if (at >= end || depth > deepest) return false;
  const b = source[at]!;
  if (b === OPEN_OBJECT) return writeObject(depth + 1);
  if (b === OPEN_ARRAY) return writeArray(depth + 1);
  const start = at;
  const passed = b === QUOTE ? passString() : b === MINUS || isDigit(b) ? passNumber() : passWord();
  if (passed) copy(start, at);
  return passed;
};

const writeArray = (depth: number): boolean => {
  at++;
  written[n++] = OPEN_ARRAY;
  if (skipBlanks() === CLOSE_ARRAY) {
    at++;
    written[n++] = CLOSE_ARRAY;
    return true;
  }
  for (;;) {
    if (!writeValue(depth)) return false;
    const b = skipBlanks();
    at++;
    written[n++] = b;
    if (b === CLOSE_ARRAY) return true;
    if (b !== COMMA) return false;
    written[n++] = 32;
    skipBlanks();
  }
};

/** jsonb orders names by their length, then by their bytes. Quotes at the ends of both change nothing. */
const order = (a: number, aEnd: number, b: number, bEnd: number): number => {
  const length = aEnd - a;
  if (length !== bEnd - b) return length - (bEnd - b);
  for (let i = 0; i < length; i++) {
    const d = source[a + i]! - source[b + i]!;
    if (d !== 0) return d;
  }
  return 0;
};

/** Moves behind a name and its colon, to the value; the place behind the name, or -1. */
const passName = (): number => {
  if (skipBlanks() !== QUOTE || !passString()) return -1;
  const behind = at;
  if (skipBlanks() !== COLON) return -1;
  at++;
  skipBlanks();
  return behind;
};

/** An object whose names stand in order is written as it is read. */
const writeObject = (depth: number): boolean => {
  const opened = at;
  const from = n;
  at++;
  written[n++] = OPEN_OBJECT;
  if (skipBlanks() === CLOSE_OBJECT) {
    at++;
    written[n++] = CLOSE_OBJECT;
    return true;
  }
  let last = -1;
  let lastEnd = -1;
  for (;;) {
    skipBlanks();
    const name = at;
    const nameEnd = passName();
    if (nameEnd < 0) return false;
    if (last >= 0) {
      const step = order(last, lastEnd, name, nameEnd);
      if (step === 0) return false;
      if (step > 0) {
        patience -= at - opened;
        if (patience < 0) return false;
        at = opened;
        n = from;
        return writeSorted(depth);
      }
    }
    last = name;
    lastEnd = nameEnd;
    copy(name, nameEnd);
    written[n++] = COLON;
    written[n++] = 32;
    if (!writeValue(depth)) return false;
    const b = skipBlanks();
    at++;
    written[n++] = b;
    if (b === CLOSE_OBJECT) return true;
    if (b !== COMMA) return false;
    written[n++] = 32;
  }
};

/** Moves behind a value, whatever is in it: whether it is one, writing it shows. */
const passValue = (): boolean => {
  let open = 0;
  while (at < end) {
    const b = source[at]!;
    if (b === QUOTE) {
      if (!passString()) return false;
      if (open === 0) return true;
      continue;
    }
    if (open === 0 && (b === COMMA || b === CLOSE_OBJECT)) return true;
    if (b === OPEN_ARRAY || b === OPEN_OBJECT) open++;
    at++;
    if (b === CLOSE_ARRAY || b === CLOSE_OBJECT) {
      open--;
      if (open <= 0) return open === 0;
    }
  }
  return false;
};

interface Member {
  readonly name: number;
  readonly nameEnd: number;
  readonly value: number;
}

const writeSorted = (depth: number): boolean => {
  at++;
  const members: Member[] = [];
  for (;;) {
    skipBlanks();
    const name = at;
    const nameEnd = passName();
    if (nameEnd < 0) return false;
    members.push({ name, nameEnd, value: at });
    if (!passValue()) return false;
    const b = skipBlanks();
    at++;
    if (b === CLOSE_OBJECT) break;
    if (b !== COMMA) return false;
  }
  const behind = at;
  members.sort((a, b) => order(a.name, a.nameEnd, b.name, b.nameEnd));
  written[n++] = OPEN_OBJECT;
  for (let i = 0; i < members.length; i++) {
    const { name, nameEnd, value } = members[i]!;
    if (i > 0) {
      const { name: before, nameEnd: beforeEnd } = members[i - 1]!;
      if (order(before, beforeEnd, name, nameEnd) === 0) return false;
      written[n++] = COMMA;
      written[n++] = 32;
    }
    copy(name, nameEnd);
    written[n++] = COLON;
    written[n++] = 32;
    at = value;
    if (!writeValue(depth)) return false;
    const b = skipBlanks();
    if (b !== COMMA && b !== CLOSE_OBJECT) return false;
  }
  written[n++] = CLOSE_OBJECT;
  at = behind;
  return true;
};
