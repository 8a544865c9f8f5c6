import { LockstepError } from '../../model/errors.ts';
import { type RowHasher, rowHasher } from '../../model/hash/row-hash.ts';
import type { HashBatch, Hashing, Reader } from '../../model/reader.ts';
import type { Row } from '../../model/row.ts';

/** Leaves the hash of a row in `hasher.out`. A row that was found invalid has a cell more, and the hash of no valid one. */
export const hashRow = (hasher: RowHasher, row: Row, width: number): void => {
  hasher.hash(row);
  if (row.length === width) return;
  hasher.out[0] = ~hasher.out[0]!;
  hasher.out[1] = ~hasher.out[1]!;
};

/** The reader with row hashes that are made in this process, of the cells it reads. */
export const hashingHere = (reader: Reader): Reader => {
  const hashing: Hashing = {
    forms: ['bytes', 'hex'],
    supports: () => 'exact',
    // Whoever reads all rows to hash them compares them one by one at once.
    digest: () => {
      throw new LockstepError('INTERNAL', 'rows that are hashed here are not digested');
    },
    hashes: async function* (selection, segment, hash, o): AsyncGenerator<HashBatch> {
      const hasher = rowHasher(selection.columns, selection.keyWidth, hash);
      const width = selection.columns.length;
      for await (const rows of reader.scan(selection, segment, o)) {
        const hashes = new Int32Array(2 * rows.length);
        rows.forEach((row, i) => {
          hashRow(hasher, row, width);
          hashes.set(hasher.out, 2 * i);
        });
        const values = rows.map((row) => row.slice(0, selection.keyWidth));
        yield { count: rows.length, keys: { kind: 'keys', values }, hashes };
      }
    },
  };
  return {
    scan: (selection, segment, o) => reader.scan(selection, segment, o),
    count: (selection, o) => reader.count(selection, o),
    sample: (selection, rows, o) => reader.sample(selection, rows, o),
    keyBounds: (selection, o) => reader.keyBounds(selection, o),
    hashing,
    [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
  };
};
