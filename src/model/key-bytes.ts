import { dateDays } from './canon/date.ts';
import { canonicalDouble } from './canon/float.ts';
import { isMisfit, misfit, misfitContent } from './canon/misfit.ts';
import { parts, timestampParts } from './canon/timestamp.ts';
import { decodeUtf8, encodeUtf8 } from './canon/utf8.ts';
import type { Cell, Key, Text } from './row.ts';
import type { ColumnType } from './schema.ts';

/**
 * Keys as bytes that a database puts in our order: comparing two of them byte by byte gives what `compareKeys` gives for
 * the keys, and the key can be had back. A cell is a letter (0 NULL, 1 a value, 2 a misfit) and
 *
 *   int                8 bytes, the sign turned          float   8 bytes of the double, turned so that they ascend
 *   decimal            a letter for its rank, the length of its whole part (4 bytes), its text; all turned below zero
 *   date               days as a float, its text         timestamp, instant   seconds as a float, microseconds, its text
 *   uuid               16 bytes                          all others, misfits  its bytes
 *
 * Texts end in 00 01; a 00 inside is 00 FF. One whose UTF-8 is not its own alone is followed by its UTF-16 units.
 */
export const keyBytes = (types: readonly ColumnType[], key: Key): Buffer => {
  used = 0;
  for (let i = 0; i < types.length; i++) writeCell(types[i]!, key[i]!);
  return Buffer.from(scratch.subarray(0, used));
};

/** The key of `keyBytes`. */
export const keyOfBytes = (types: readonly ColumnType[], bytes: Buffer): Key => {
  const from = { bytes, at: 0 };
  return types.map((type) => readCell(type, from));
};

let scratch = Buffer.alloc(4096);
let used = 0;

const room = (bytes: number): void => {
  if (used + bytes <= scratch.length) return;
  const more = Buffer.alloc(Math.max(scratch.length * 2, used + bytes));
  scratch.copy(more, 0, 0, used);
  scratch = more;
};

const byte = (value: number): void => {
  room(1);
  scratch[used++] = value;
};

const number = (x: number): void => {
  room(8);
  scratch.writeDoubleBE(x, used);
  // Negative numbers descend in magnitude.
  if (scratch[used]! & 128) for (let i = 0; i < 8; i++) scratch[used + i]! ^= 255;
  else scratch[used]! ^= 128;
  used += 8;
};

const unsigned = (x: number): void => {
  room(4);
  scratch.writeUInt32BE(x, used);
  used += 4;
};

const escaped = (bytes: Uint8Array): void => {
  room(2 * bytes.length + 2);
  for (const b of bytes) {
    scratch[used++] = b;
    if (b === 0) scratch[used++] = 255;
  }
  scratch[used++] = 0;
  scratch[used++] = 1;
};

const text = (value: string): void => {
  const bytes = encodeUtf8(value);
  escaped(bytes);
  if (value.isWellFormed() || decodeUtf8(bytes) === value) byte(0);
  else {
    byte(1);
    // In the order of the units, as a tie of texts is broken.
    escaped(Buffer.from(value, 'utf16le').swap16());
  }
};

const special: Readonly<Record<string, number>> = { NaN: 255, Infinity: 254, '-Infinity': 1 };
const plainRank = 129;

const decimal = (value: string): void => {
  const start = used;
  const rank = special[value];
  if (rank !== undefined) {
    byte(rank);
    return;
  }
  const negative = value.charCodeAt(0) === 45;
  const point = value.indexOf('.');
  byte(plainRank);
  unsigned((point < 0 ? value.length : point) - (negative ? 1 : 0));
  room(value.length + 1);
  used += scratch.write(value, used, 'latin1');
  byte(0);
  if (negative) for (let i = start; i < used; i++) scratch[i]! ^= 255;
};

const writeValue = (type: ColumnType, cell: Text): void => {
  switch (type.kind) {
    case 'int':
      room(8);
      scratch.writeBigInt64BE(BigInt(cell), used);
      scratch[used]! ^= 128;
      used += 8;
      break;
    case 'decimal':
      decimal(cell);
      break;
    case 'float':
      if (cell !== 'NaN') number(Number(cell));
      else {
        // after every number
        unsigned(0xffffffff);
        unsigned(0xffffffff);
      }
      break;
    case 'date':
      number(dateDays(cell));
      text(cell);
      break;
    case 'timestamp':
    case 'instant': {
      const sign = timestampParts(cell);
      number(sign === 0 ? parts.seconds : sign * Number.POSITIVE_INFINITY);
      unsigned(sign === 0 ? parts.micros : 0);
      text(cell);
      break;
    }
    case 'uuid':
      room(16);
      used += scratch.write(cell.replaceAll('-', ''), used, 'hex');
      break;
    default:
      text(cell);
  }
};

const writeCell = (type: ColumnType, cell: Cell): void => {
  if (cell === null) byte(0);
  else if (isMisfit(cell)) {
    const { stored, content } = misfitContent(cell);
    byte(2);
    text(stored + content);
  } else {
    byte(1);
    writeValue(type, cell);
  }
};

interface From {
  readonly bytes: Buffer;
  at: number;
}

const unescaped = (from: From): Buffer => {
  const { bytes } = from;
  const start = from.at;
  let end = bytes.indexOf(0, start);
  if (bytes[end + 1] === 1) {
    from.at = end + 2;
    return bytes.subarray(start, end);
  }
  const out: number[] = [];
  for (end = start; !(bytes[end] === 0 && bytes[end + 1] === 1); end++) {
    out.push(bytes[end]!);
    if (bytes[end] === 0) end++;
  }
  from.at = end + 2;
  return Buffer.from(out);
};

const readText = (from: From): string => {
  const bytes = unescaped(from);
  return from.bytes[from.at++] === 0 ? decodeUtf8(bytes) : Buffer.from(unescaped(from)).swap16().toString('utf16le');
};

const readNumber = (from: From): number => {
  const bytes = Buffer.from(from.bytes.subarray(from.at, from.at + 8));
  from.at += 8;
  if (bytes.every((b) => b === 255)) return Number.NaN;
  if (bytes[0]! & 128) bytes[0]! ^= 128;
  else for (let i = 0; i < 8; i++) bytes[i]! ^= 255;
  return bytes.readDoubleBE();
};

const readDecimal = (from: From): string => {
  const rank = from.bytes[from.at++]!;
  const name = Object.keys(special).find((n) => special[n] === rank);
  if (name !== undefined) return name;
  const start = from.at + 4;
  const negative = rank !== plainRank;
  const end = from.bytes.indexOf(negative ? 255 : 0, start);
  from.at = end + 1;
  const digits = Buffer.from(from.bytes.subarray(start, end));
  if (negative) for (let i = 0; i < digits.length; i++) digits[i]! ^= 255;
  return digits.toString('latin1');
};

const readCell = (type: ColumnType, from: From): Cell => {
  const letter = from.bytes[from.at++];
  if (letter === 0) return null;
  if (letter === 2) {
    const stored = readText(from);
    return misfit(stored[0] as 't' | 'n' | 'b', stored.slice(1));
  }
  switch (type.kind) {
    case 'int': {
      const value = from.bytes.readBigUInt64BE(from.at) - (1n << 63n);
      from.at += 8;
      return String(value) as Text;
    }
    case 'decimal':
      return readDecimal(from) as Text;
    case 'float':
      return canonicalDouble(readNumber(from)) as Text;
    case 'date':
      from.at += 8;
      return readText(from) as Text;
    case 'timestamp':
    case 'instant':
      from.at += 12;
      return readText(from) as Text;
    case 'uuid': {
      const hex = from.bytes.toString('hex', from.at, from.at + 16);
      from.at += 16;
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` as Text;
    }
    default:
      return readText(from) as Text;
  }
};
