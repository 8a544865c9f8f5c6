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
const ways = ['slow', 'text', 'bytes', 'int', 'bool', 'decimal', 'float', 'uuid', 'date', 'time', 'moment'] as const;

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

const look = (cell: Buffer): void => {
  if (cell.buffer === memory) return;
  memory = cell.buffer as ArrayBuffer;
  bytes = Buffer.from(memory);
  view = new DataView(memory);
};

/** XOR of the cells' hashes, finalised, into `hashed` of `lib/lookup3.ts`. */
export const hashCells = (h: CellHashing, cells: RawCells): void => {
  let high = 0;
  let low = 0;
  const count = h.ways.length;
  for (let i = 0; i < count; i++) {
    hashCell(h, i, cells[i]!);
    high ^= hashed[0]!;
    low ^= hashed[1]!;
  }
  finalise(high, low);
};

let days = 0;
let float = 0;

const hashCell = (h: CellHashing, i: number, cell: Buffer | null): void => {
  const seeds = h.seeds[i]!;
  if (cell === null) {
    hashNull(seeds);
    return;
  }
  const way = h.ways[i]!;
  if (way > 0) {
    look(cell);
    const start = cell.byteOffset;
    const length = cell.length;
    if (way === 1) {
      hashBytesAt(seeds, view, start, length);
      return;
    }
    if (way === 2) {
      hashRaw(seeds, h.form, view, start, length);
      return;
    }
    if (read(way, start, length) === start + length) {
      hashRead(way, seeds, h.form, start, length);
      return;
    }
  }
  h.slow[i]!(h.rendered[i]!.decode(cell));
};

/** Reads a value of this way in place; the place behind it, or -1 for what is not plain. */
const read = (way: number, start: number, length: number): number => {
  switch (way) {
    case 3:
      return readInteger(bytes, start);
    case 4:
      return bytes[start] === 48 || bytes[start] === 49 ? start + 1 : -1;
    case 5:
      return readDecimal(bytes, start, false);
    case 6:
      float = Number(bytes.toString('latin1', start, start + length));
      return Number.isFinite(float) ? start + length : -1;
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
const hashRead = (way: number, seeds: PackedSeeds, form: HashSpec['form'], start: number, length: number): void => {
  switch (way) {
    case 3:
      hashInt(seeds, halves[0]!, halves[1]!);
      break;
    case 4:
      if (bytes[start] === 49) hashTrue(seeds);
      else hashFalse(seeds);
      break;
    case 5:
      if (decimal.whole < 0) hashDecimalAt(seeds, bytes, start, start + length);
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

/** A 64-bit integer of a cell, into `halves`; false: it is none. */
export const readInt64 = (cell: Buffer | null): boolean => {
  if (cell === null) return false;
  look(cell);
  return readInteger(bytes, cell.byteOffset) === cell.byteOffset + cell.length;
};
