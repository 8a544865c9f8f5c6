import { hashed } from '../../lib/lookup3.ts';
import { jsonbText } from '../../model/canon/jsonb-text.ts';
import { finalise, hashText, type PackedSeeds, packedSeeds } from '../../model/hash/column-hash.ts';
import { type CellHasher, cellHasher } from '../../model/hash/row-hash.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import type { Cell, Row } from '../../model/row.ts';
import type { ColumnSql } from './columns.ts';
import { hashSupport } from './hash-sql.ts';

/**
 * The hash of whole rows as PostgreSQL makes it of what it stores (`hash-sql.ts`), made here of canonical cells: so
 * a batch can be guarded and read back without its rows crossing the wire. Two rows that are not the same share their
 * 64 bits by chance only; the same row hashes apart only where the server keeps JSON numbers in another writing
 * (`1.0`), and then its cells are compared instead.
 */
export interface WriteHasher {
  row(row: Row): void;
  /** Goes on from the hash of `before`, the last row, to that of `after`: only cells that differ are hashed. */
  change(before: Row, after: Row): void;
  /** Leaves the hash of the row, [high half, low half], in `out`. */
  finish(): void;
  readonly out: Int32Array;
}

const cellHash = (c: ColumnSql, seeds: PackedSeeds, form: HashSpec['form']): CellHasher => {
  const { as } = c.column;
  const plain = cellHasher(as, seeds, form);
  if (as.kind !== 'json') return plain;
  return (cell) => {
    if (cell === null) plain(null);
    else hashText(seeds, jsonbText(cell));
  };
};

/**
 * Columns as they are hashed: what keeps its spelling (a number without a scale, text JSON) as the text it is.
 * Undefined: some column's hash cannot be made on our side.
 */
export const hashedColumns = (columns: readonly ColumnSql[]): readonly ColumnSql[] | undefined => {
  const hashed: ColumnSql[] = [];
  for (const c of columns) {
    const { stored, as, exact } = c.column;
    const spelled = exact === true && (stored.kind === 'decimal' || (stored.kind === 'json' && !stored.binary));
    if (spelled) {
      const text = { kind: 'text' } as const;
      hashed.push({
        ...c,
        column: { name: c.column.name, stored: text, as: text },
        value: `${c.value}::pg_catalog.text`,
      });
    } else if (
      hashSupport(c.column) === undefined ||
      (as.kind === 'json' && stored.kind === 'json' && !stored.binary)
    ) {
      return undefined;
    } else hashed.push(c);
  }
  return hashed;
};

/** The same for rows of `hashedColumns`, in JavaScript. */
export const writeHasher = (columns: readonly ColumnSql[], hash: HashSpec): WriteHasher => {
  const cells = columns.map((c, i) => cellHash(c, packedSeeds(hash.seed, i, 'row'), hash.form));
  const out = new Int32Array(2);
  let high = 0;
  let low = 0;
  const mix = (i: number, cell: Cell): void => {
    cells[i]!(cell);
    high ^= hashed[0]!;
    low ^= hashed[1]!;
  };
  return {
    out,
    row: (row) => {
      high = 0;
      low = 0;
      for (let i = 0; i < cells.length; i++) mix(i, row[i]!);
    },
    change: (before, after) => {
      for (let i = 0; i < cells.length; i++) {
        if (before[i] === after[i]) continue;
        mix(i, before[i]!);
        mix(i, after[i]!);
      }
    },
    finish: () => {
      finalise(high, low);
      out[0] = hashed[0]!;
      out[1] = hashed[1]!;
    },
  };
};

/** Count and sum modulo 2^64 of row hashes: what a set of rows must come to. */
export interface RowSum {
  add(high: number, low: number): void;
  /** 0 <= total < 2^64 */
  total(): bigint;
}

export const rowSum = (): RowSum => {
  // both sums stay exact: fewer than 2^21 rows of 32 bits
  let high = 0;
  let low = 0;
  return {
    add: (h, l) => {
      high += h >>> 0;
      low += l >>> 0;
    },
    total: () => BigInt.asUintN(64, (BigInt(high) << 32n) + BigInt(low)),
  };
};

/** An array of bigint in PostgreSQL's binary form (`array_send`), filled from the front. */
export interface Int64Array {
  add(high: number, low: number): void;
  readonly bytes: Buffer;
}

const int8Oid = 20;

export const int64Array = (length: number): Int64Array => {
  const bytes = Buffer.allocUnsafe(20 + 12 * length);
  for (const [i, word] of [1, 0, int8Oid, length, 1].entries()) bytes.writeInt32BE(word, 4 * i);
  let at = 20;
  return {
    bytes,
    add: (high, low) => {
      bytes.writeInt32BE(8, at);
      bytes.writeInt32BE(high, at + 4);
      bytes.writeInt32BE(low, at + 8);
      at += 12;
    },
  };
};
