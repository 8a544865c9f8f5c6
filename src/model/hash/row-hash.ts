import { hashed } from '../../lib/lookup3.ts';
import { dateDays } from '../canon/date.ts';
import { jsonbText } from '../canon/jsonb-text.ts';
import { isMisfit } from '../canon/misfit.ts';
import { timeMicros } from '../canon/time.ts';
import { parts, timestampParts } from '../canon/timestamp.ts';
import type { Cell, Row, Text } from '../row.ts';
import type { ColumnType, Kind } from '../schema.ts';
import type { SelectedColumn } from '../selected.ts';
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
  hashSentJson,
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
  /** The whole 64-bit hash of the key, signed. */
  key(row: Row): bigint;
}

/** Hashes one canonical cell into `hashed` of `lib/lookup3.ts`. */
export type CellHasher = (cell: Cell) => void;

export const rowHasher = (columns: readonly SelectedColumn[], keyWidth: number, hash: HashSpec): RowHasher => {
  const out = new Int32Array(2);
  const row = plan(columns, hash, 'row');
  const key = plan(columns.slice(0, keyWidth), hash, 'key');
  return {
    out,
    hash: (cells) => {
      combine(row, cells);
      out[0] = hashed[0]!;
      out[1] = hashed[1]!;
    },
    bucket: (cells, count) => {
      combine(key, cells);
      return (hashed[1]! >>> 0) % count;
    },
    key: (cells) => {
      combine(key, cells);
      return (BigInt(hashed[0]!) << 32n) | BigInt(hashed[1]! >>> 0);
    },
  };
};

/** The hash of a column's canonical cells (NULL and misfits too). */
export const cellHasher = (type: ColumnType, seeds: PackedSeeds, form: 'bytes' | 'hex'): CellHasher => {
  const way = ways.indexOf(wayOf(type.kind));
  return (cell) => hashCell(way, seeds, form, cell);
};

/** How a kind is hashed. One number per column and one switch: calls that differ per column would not be inlined. */
const ways = [
  'text',
  'int',
  'decimal',
  'float',
  'bool',
  'uuid',
  'bytes',
  'date',
  'time',
  'timestamp',
  'json',
  'sent',
] as const;

const wayOf = (kind: Kind): (typeof ways)[number] => {
  if (kind === 'instant') return 'timestamp';
  return (ways as readonly string[]).includes(kind) ? (kind as (typeof ways)[number]) : 'text';
};

interface Plan {
  readonly ways: readonly number[];
  readonly seeds: readonly PackedSeeds[];
  readonly form: 'bytes' | 'hex';
}

const plan = (columns: readonly SelectedColumn[], hash: HashSpec, purpose: 'row' | 'key'): Plan => ({
  ways: columns.map(({ as }) => ways.indexOf(as.kind === 'json' && hash.json === 'sent' ? 'sent' : wayOf(as.kind))),
  seeds: columns.map((_, i) => packedSeeds(hash.seed, i, purpose)),
  form: hash.form,
});

const combine = (p: Plan, row: Row): void => {
  let high = 0;
  let low = 0;
  for (let i = 0; i < p.ways.length; i++) {
    hashCell(p.ways[i]!, p.seeds[i]!, p.form, row[i]!);
    high ^= hashed[0]!;
    low ^= hashed[1]!;
  }
  finalise(high, low);
};

const hashCell = (way: number, seeds: PackedSeeds, form: 'bytes' | 'hex', cell: Cell): void => {
  if (cell === null) {
    hashNull(seeds);
    return;
  }
  if (isMisfit(cell)) {
    hashMisfit(seeds, cell[1] as 't' | 'n' | 'b', cell.slice(2));
    return;
  }
  switch (way) {
    case 0:
      hashText(seeds, cell);
      break;
    case 1:
      splitInt64(cell);
      hashInt(seeds, halves[0]!, halves[1]!);
      break;
    case 2:
      hashDecimal(seeds, cell);
      break;
    case 3:
      hashDouble(seeds, Number(cell));
      break;
    case 4:
      if (cell === 'true') hashTrue(seeds);
      else hashFalse(seeds);
      break;
    case 5:
      hashUuid(seeds, cell);
      break;
    case 6:
      hashHex(seeds, form, cell);
      break;
    case 7:
      hashDays(seeds, form, dateDays(cell));
      break;
    case 8:
      splitNumber(timeMicros(cell));
      hashMicros(seeds, form, halves[0]!, halves[1]!);
      break;
    case 9:
      hashTimestamp(seeds, form, cell);
      break;
    case 10:
      hashText(seeds, jsonbText(cell));
      break;
    default:
      hashSentJson(seeds, jsonbText(cell));
      break;
  }
};

const hashTimestamp = (seeds: PackedSeeds, form: 'bytes' | 'hex', cell: Text): void => {
  const sign = timestampParts(cell);
  if (sign === 0) {
    splitMicros(parts.seconds, parts.micros);
    hashMicros(seeds, form, halves[0]!, halves[1]!);
  } else hashEndless(seeds, form, sign);
};
