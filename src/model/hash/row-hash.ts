import { hashed } from '../../lib/lookup3.ts';
import { dateDays } from '../canon/date.ts';
import { isMisfit } from '../canon/misfit.ts';
import { timeMicros } from '../canon/time.ts';
import { parts, timestampParts } from '../canon/timestamp.ts';
import type { SelectedColumn } from '../endpoint.ts';
import type { Cell, Row, Text } from '../row.ts';
import type { ColumnType } from '../schema.ts';
import {
  finalise,
  halves,
  hashDays,
  hashDecimal,
  hashDouble,
  hashEndless,
  hashFalse,
  hashHex,
  hashInt,
  hashMicros,
  hashMisfit,
  hashNull,
  hashText,
  hashTrue,
  hashUuid,
  type PackedSeeds,
  packedSeeds,
  splitInt64,
  splitMicros,
  splitNumber,
} from './column-hash.ts';
import type { HashSpec } from './spec.ts';

/**
 * The row hash of `spec.ts` in JavaScript, from canonical cells. `hash` leaves [high, low] in `out`.
 * `bucket` is the key's hash (columns 0..keyWidth-1, purpose `key`, unsigned low bits) for a hash partition:
 * part = low 32 bits of the finalised key hash, unsigned, modulo count.
 */
export interface RowHasher {
  readonly out: Int32Array;
  hash(row: Row): void;
  bucket(row: Row, count: number): number;
}

/** Hashes one canonical cell into `hashed` of `lib/lookup3.ts`. */
export type CellHasher = (cell: Cell) => void;

export const rowHasher = (columns: readonly SelectedColumn[], keyWidth: number, hash: HashSpec): RowHasher => {
  const out = new Int32Array(2);
  const rowCells = columns.map((c, i) => cellHasher(c.as, packedSeeds(hash.seed, i, 'row'), hash.form));
  const keyCells = columns
    .slice(0, keyWidth)
    .map((c, i) => cellHasher(c.as, packedSeeds(hash.seed, i, 'key'), hash.form));
  return {
    out,
    hash: (row) => {
      combine(rowCells, row);
      out[0] = hashed[0]!;
      out[1] = hashed[1]!;
    },
    bucket: (row, count) => {
      combine(keyCells, row);
      return (hashed[1]! >>> 0) % count;
    },
  };
};

const combine = (cells: readonly CellHasher[], row: Row): void => {
  let high = 0;
  let low = 0;
  for (let i = 0; i < cells.length; i++) {
    cells[i]!(row[i]!);
    high ^= hashed[0]!;
    low ^= hashed[1]!;
  }
  finalise(high, low);
};

/** The hash of a column's canonical cells (NULL and misfits too). */
export const cellHasher = (type: ColumnType, seeds: PackedSeeds, form: 'bytes' | 'hex'): CellHasher => {
  const value = valueHasher(type, seeds, form);
  return (cell) => {
    if (cell === null) hashNull(seeds);
    else if (isMisfit(cell)) hashMisfit(seeds, cell[1] as 't' | 'n' | 'b', cell.slice(2));
    else value(cell);
  };
};

const valueHasher = (type: ColumnType, seeds: PackedSeeds, form: 'bytes' | 'hex'): ((cell: Text) => void) => {
  switch (type.kind) {
    case 'int':
      return (cell) => {
        splitInt64(cell);
        hashInt(seeds, halves[0]!, halves[1]!);
      };
    case 'decimal':
      return (cell) => hashDecimal(seeds, cell);
    case 'float':
      return (cell) => hashDouble(seeds, Number(cell));
    case 'bool':
      return (cell) => (cell === 'true' ? hashTrue(seeds) : hashFalse(seeds));
    case 'uuid':
      return (cell) => hashUuid(seeds, cell);
    case 'bytes':
      return (cell) => hashHex(seeds, form, cell);
    case 'date':
      return (cell) => hashDays(seeds, form, dateDays(cell));
    case 'time':
      return (cell) => {
        splitNumber(timeMicros(cell));
        hashMicros(seeds, form, halves[0]!, halves[1]!);
      };
    case 'timestamp':
    case 'instant':
      return (cell) => {
        const sign = timestampParts(cell);
        if (sign !== 0) return hashEndless(seeds, form, sign);
        splitMicros(parts.seconds, parts.micros);
        hashMicros(seeds, form, halves[0]!, halves[1]!);
      };
    default:
      return (cell) => hashText(seeds, cell);
  }
};
