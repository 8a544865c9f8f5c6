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
import type { ColumnSql } from './columns.ts';
import { type Rendered, render } from './render.ts';
import type { RawCells } from './row-stream.ts';
import { isOpaqueBytes, isTinyBool } from './types.ts';

/**
 * How a cell is hashed from the bytes that the server sent. One number per column and one switch: calls that differ per
 * column would not be inlined. `slow`: by way of its canonical cell.
 */
const ways = [
  'slow',
  'text',
  'bytes',
  'int',
  'bool',
  'decimal',
  'float',
  'uuid',
  'date',
  'time',
  'moment',
  'padded',
] as const;

const wayOf = (c: ColumnSql): (typeof ways)[number] => {
  const { stored, as } = c.column;
  const isText = stored.kind === 'enum' || (stored.kind === 'text' && !stored.padded);
  switch (as.kind) {
    case 'int':
      return stored.kind === 'int' ? 'int' : 'slow';
    case 'decimal':
      return stored.kind === 'int' || stored.kind === 'decimal' ? 'decimal' : 'slow';
    case 'float':
      return stored.kind === 'float' && as.bits >= stored.bits ? 'float' : 'slow';
    case 'bool':
      return isTinyBool(c.facts) ? 'bool' : 'slow';
    case 'text':
      if (stored.kind === 'text' && (stored.padded || as.padded)) return 'padded';
      return isText && !as.padded ? 'text' : 'slow';
    case 'enum':
      return isText ? 'text' : 'slow';
    case 'opaque':
      return isOpaqueBytes(c.facts) ? 'slow' : 'text';
    case 'bytes':
    case 'uuid':
    case 'date':
    case 'time':
      return stored.kind === as.kind ? as.kind : 'slow';
    case 'timestamp':
    case 'instant':
      return stored.kind === 'timestamp' || stored.kind === 'instant' ? 'moment' : 'slow';
    default:
      return 'slow';
  }
};

/** What hashes rows, or their keys, from raw cells. */
export interface CellHashing {
  readonly ways: readonly number[];
  readonly seeds: readonly PackedSeeds[];
  readonly slow: readonly CellHasher[];
  readonly rendered: readonly Rendered[];
  readonly form: HashSpec['form'];
}

/** `columns`: of a row, or the key's, which come first. */
export const cellHashing = (columns: readonly ColumnSql[], purpose: 'row' | 'key', hash: HashSpec): CellHashing => {
  const seeds = columns.map((_, i) => packedSeeds(hash.seed, i, purpose));
  return {
    ways: columns.map((c) => ways.indexOf(wayOf(c))),
    seeds,
    slow: columns.map((c, i) => cellHasher(c.column.as, seeds[i]!, hash.form)),
    rendered: columns.map(render),
    form: hash.form,
  };
};

/** The memory that a cell lies in: cells of many rows share it. */
let memory = new ArrayBuffer(0);
let bytes = Buffer.from(memory);
let view = new DataView(memory);

/** Looks into the memory of these cells; their places count from the start of the whole of it: by how much. */
const look = (cells: RawCells): number => {
  if (cells.bytes.buffer !== memory) {
    memory = cells.bytes.buffer as ArrayBuffer;
    bytes = Buffer.from(memory);
    view = new DataView(memory);
  }
  return cells.bytes.byteOffset;
};

/** XOR of the cells' hashes, finalised, into `hashed` of `lib/lookup3.ts`. */
export const hashCells = (h: CellHashing, cells: RawCells): void => {
  let high = 0;
  let low = 0;
  const count = h.ways.length;
  const offset = look(cells);
  for (let i = 0; i < count; i++) {
    const end = cells.ends[i]!;
    if (end < 0) hashNull(h.seeds[i]!);
    else hashCell(h, i, cells.starts[i]! + offset, end + offset);
    high ^= hashed[0]!;
    low ^= hashed[1]!;
  }
  finalise(high, low);
};

let days = 0;
let float = 0;

const hashCell = (h: CellHashing, i: number, start: number, end: number): void => {
  const seeds = h.seeds[i]!;
  const way = h.ways[i]!;
  if (way === 1) hashBytesAt(seeds, view, start, end - start);
  else if (way === 11) {
    let last = end;
    while (last > start && bytes[last - 1] === 32) last--;
    hashBytesAt(seeds, view, start, last - start);
  } else if (way === 2) hashRaw(seeds, h.form, view, start, end - start);
  else if (way > 2 && read(way, start, end) === end) hashRead(way, seeds, h.form, start, end);
  else h.slow[i]!(h.rendered[i]!.decode(bytes, start, end));
};

/** Reads a value of this way in place; the place behind it, or -1 for what is not plain. */
const read = (way: number, start: number, end: number): number => {
  switch (way) {
    case 3:
      return readInteger(bytes, start);
    case 4:
      return bytes[start] === 48 || bytes[start] === 49 ? start + 1 : -1;
    case 5:
      return readDecimal(bytes, start, false);
    case 6:
      float = Number(bytes.toString('latin1', start, end));
      return Number.isFinite(float) ? end : -1;
    case 7:
      return readUuid(bytes, start);
    case 8:
      days = dayAt(bytes, view, start);
      return Number.isNaN(days) ? -1 : start + 10;
    case 9:
      return readTime(bytes, start);
    default:
      return readMoment(bytes, view, start);
  }
};

/** Hashes what `read` has read. */
const hashRead = (way: number, seeds: PackedSeeds, form: HashSpec['form'], start: number, end: number): void => {
  switch (way) {
    case 3:
      hashInt(seeds, halves[0]!, halves[1]!);
      break;
    case 4:
      if (bytes[start] === 49) hashTrue(seeds);
      else hashFalse(seeds);
      break;
    case 5:
      if (decimal.whole < 0) hashDecimalAt(seeds, bytes, start, end);
      else hashSmallDecimal(seeds, decimal.negative, decimal.whole, decimal.fraction);
      break;
    case 6:
      hashDouble(seeds, float);
      break;
    case 7:
      hashBytesAt(seeds, uuidView, 0, 16);
      break;
    case 8:
      hashDays(seeds, form, days);
      break;
    default:
      hashMicros(seeds, form, halves[0]!, halves[1]!);
  }
};

/** A 64-bit integer of the first cell, into `halves`; false: it is none. */
export const readFirst = (cells: RawCells): boolean => {
  const end = cells.ends[0]!;
  if (end < 0) return false;
  const offset = look(cells);
  return readInteger(bytes, cells.starts[0]! + offset) === end + offset;
};
