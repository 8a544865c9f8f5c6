import { hashed } from '../../lib/lookup3.ts';
import {
  finalise,
  halves,
  hashBytesAt,
  hashDays,
  hashDecimalAt,
  hashDouble,
  hashFalse,
  hashInt,
  hashMicros,
  hashNull,
  hashRaw,
  hashSmallDecimal,
  hashTrue,
  type PackedSeeds,
  packedSeeds,
} from '../../model/hash/column-hash.ts';
import { type CellHasher, cellHasher } from '../../model/hash/row-hash.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import type { SelectedColumn } from '../../model/selected.ts';
import {
  dayAt,
  decimal,
  readDecimal,
  readInteger,
  readMoment,
  readTime,
  readUuid,
  uuidView,
} from '../sql/read-bytes.ts';
import { type FrameColumn, nullMark, oddMark, separator } from './frame.ts';
import { BrokenFrame, type Cursor, cellAt, isToken, locateSized, separatorAfter } from './frame-cursor.ts';
import { writeJsonb, writtenView } from './json-bytes.ts';
import { JsonMemo } from './json-memo.ts';

/**
 * How a framed cell is hashed in place. One number per column and one switch: calls that differ per column would not
 * be inlined. `slow`: by way of its canonical cell.
 */
const ways = [
  'slow',
  'text',
  'padded',
  'int',
  'bool',
  'decimal',
  'float',
  'bytes',
  'uuid',
  'date',
  'time',
  'moment',
  'json',
];

const wayOf = ({ as, stored }: SelectedColumn, frame: FrameColumn): string => {
  const isPadded = stored.kind === 'text' && stored.padded === true;
  switch (as.kind) {
    case 'int':
    case 'decimal':
    case 'uuid':
    case 'date':
    case 'time':
    case 'bytes':
      return as.kind;
    case 'bool':
      return frame.kind === 'number' ? 'bool' : 'slow';
    case 'float':
      return frame.kind === 'number' && as.bits === 64 ? 'float' : 'slow';
    case 'text':
      return as.padded || isPadded ? 'padded' : 'text';
    case 'enum':
    case 'interval':
    case 'opaque':
      return isPadded ? 'slow' : 'text';
    case 'timestamp':
    case 'instant':
      return 'moment';
    case 'json':
      return frame.kind !== 'number' && !frame.blob && !isPadded ? 'json' : 'slow';
    default:
      return 'slow';
  }
};

/** What hashes the first columns of a frame. */
export interface FrameHashing {
  readonly columns: readonly SelectedColumn[];
  readonly frames: readonly FrameColumn[];
  readonly sized: readonly boolean[];
  readonly numeric: readonly boolean[];
  readonly ways: readonly number[];
  readonly seeds: readonly PackedSeeds[];
  readonly slow: readonly CellHasher[];
  /** Of the columns that hold JSON. */
  readonly memos: readonly (JsonMemo | undefined)[];
  readonly form: HashSpec['form'];
}

export const frameHashing = (
  columns: readonly SelectedColumn[],
  frames: readonly FrameColumn[],
  purpose: 'row' | 'key',
  hash: HashSpec,
): FrameHashing => {
  const seeds = columns.map((_, i) => packedSeeds(hash.seed, i, purpose));
  const all = columns.map((c, i) => wayOf(c, frames[i]!));
  return {
    columns,
    frames: frames.slice(0, columns.length),
    sized: columns.map((_, i) => frames[i]!.kind === 'sized'),
    numeric: columns.map((_, i) => frames[i]!.kind === 'number'),
    ways: all.map((way) => ways.indexOf(way)),
    memos: all.map((way) => (way === 'json' ? new JsonMemo() : undefined)),
    seeds,
    slow: columns.map((c, i) => cellHasher(c.as, seeds[i]!, hash.form)),
    form: hash.form,
  };
};

/** XOR of the cells' hashes, finalised, into `hashed` of `lib/lookup3.ts`; moves the cursor over the cells. */
export const hashFrame = (c: Cursor, h: FrameHashing): void => {
  let high = 0;
  let low = 0;
  const count = h.ways.length;
  for (let i = 0; i < count; i++) {
    if (h.sized[i]!) hashSized(c, h, i);
    else hashEnded(c, h, i);
    high ^= hashed[0]!;
    low ^= hashed[1]!;
  }
  finalise(high, low);
};

/** A cell that ends in a separator. */
const hashEnded = (c: Cursor, h: FrameHashing, i: number): void => {
  const { bytes } = c;
  const start = c.at;
  const seeds = h.seeds[i]!;
  const first = bytes[start]!;
  if (first === oddMark) throw new BrokenFrame();
  if (h.numeric[i]! ? first === separator : first === nullMark && isToken(c, start)) {
    c.at = start + (h.numeric[i]! ? 1 : c.token.length + 1);
    hashNull(seeds);
    return;
  }
  const way = h.ways[i]!;
  // Texts first: they end where the next separator is.
  if (way > 2 && way !== 12) {
    const end = read(way, c, start, h.numeric[i]!);
    if (end >= 0 && bytes[end] === separator) {
      c.at = end + 1;
      hashRead(way, c, seeds, h.form, start, end);
      return;
    }
  }
  const end = separatorAfter(c, start);
  c.at = end + 1;
  if (way === 1) hashBytesAt(seeds, c.view, start, end - start);
  else if (way === 2) hashPadded(c, seeds, start, end);
  else if (way !== 12 || !hashJson(c, h, i, start, end)) hashSlow(c, h, i, start, end);
};

/** A cell behind its length. */
const hashSized = (c: Cursor, h: FrameHashing, i: number): void => {
  const seeds = h.seeds[i]!;
  locateSized(c);
  const { start, end } = c;
  const way = h.ways[i]!;
  if (start < 0) hashNull(seeds);
  else if (way === 1) hashBytesAt(seeds, c.view, start, end - start);
  else if (way === 2) hashPadded(c, seeds, start, end);
  else if (way === 7) hashRaw(seeds, h.form, c.view, start, end - start);
  else if (way === 12) {
    if (!hashJson(c, h, i, start, end)) hashSlow(c, h, i, start, end);
  } else if (way > 2 && read(way, c, start, false) === end) hashRead(way, c, seeds, h.form, start, end);
  else hashSlow(c, h, i, start, end);
};

const hashSlow = (c: Cursor, h: FrameHashing, i: number, start: number, end: number): void => {
  c.start = start;
  c.end = end;
  h.slow[i]!(cellAt(h.columns[i]!, h.frames[i]!, c));
};

/** JSON that is plain. */
const hashJson = (c: Cursor, h: FrameHashing, i: number, start: number, end: number): boolean => {
  const memo = h.memos[i]!;
  if (memo.find(c.view, start, end)) return true;
  const length = writeJsonb(c.bytes, start, end);
  if (length < 0) return false;
  hashBytesAt(h.seeds[i]!, writtenView, 0, length);
  memo.keep(c.view, start, end);
  return true;
};

const hashPadded = (c: Cursor, seeds: PackedSeeds, start: number, last: number): void => {
  let end = last;
  while (end > start && c.bytes[end - 1] === 32) end--;
  hashBytesAt(seeds, c.view, start, end - start);
};

/** The days or the float that `read` found. */
let days = 0;
let float = 0;

/** A real as SQLite prints it, with or without exponent. */
const readFloat = (bytes: Buffer, start: number): number => {
  let p = start;
  for (let b = bytes[p]!; (b >= 43 && b <= 57) || b === 101; ) b = bytes[++p]!;
  float = Number(bytes.toString('latin1', start, p));
  // An integer beyond 2^53, and `Inf`, are judged with care.
  return Math.abs(float) < 9e15 ? p : -1;
};

/** Reads a value of this way in place; the place behind it, or -1 for what is not plain. */
const read = (way: number, { bytes, view }: Cursor, start: number, numeric: boolean): number => {
  switch (way) {
    case 3:
      return readInteger(bytes, start);
    case 4:
      return bytes[start] === 48 || bytes[start] === 49 ? start + 1 : -1;
    case 5:
      return readDecimal(bytes, start, numeric);
    case 6:
      return readFloat(bytes, start);
    case 8:
      return readUuid(bytes, start);
    case 9:
      days = dayAt(bytes, view, start);
      return Number.isNaN(days) ? -1 : start + 10;
    case 10:
      return readTime(bytes, start);
    case 11:
      return readMoment(bytes, view, start);
    default:
      return -1;
  }
};

/** Hashes what `read` has read. */
const hashRead = (
  way: number,
  c: Cursor,
  seeds: PackedSeeds,
  form: HashSpec['form'],
  start: number,
  end: number,
): void => {
  switch (way) {
    case 3:
      hashInt(seeds, halves[0]!, halves[1]!);
      break;
    case 4:
      if (c.bytes[start] === 49) hashTrue(seeds);
      else hashFalse(seeds);
      break;
    case 5:
      if (decimal.whole < 0) hashDecimalAt(seeds, c.bytes, start, end);
      else hashSmallDecimal(seeds, decimal.negative, decimal.whole, decimal.fraction);
      break;
    case 6:
      hashDouble(seeds, float);
      break;
    case 8:
      hashBytesAt(seeds, uuidView, 0, 16);
      break;
    case 9:
      hashDays(seeds, form, days);
      break;
    default:
      hashMicros(seeds, form, halves[0]!, halves[1]!);
  }
};
