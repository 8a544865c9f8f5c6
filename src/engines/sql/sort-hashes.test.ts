import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hashBatches, sortByKeyHash } from './sort-hashes.ts';

const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -3n, max: 3n }),
  fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, -(2n ** 32n), 2n ** 32n - 1n, 2n ** 32n),
);

test('rows are sorted by their key hash as a signed integer, each with its own row hash', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(int64, { maxLength: 40 }), { maxLength: 6 }),
      fc.integer({ min: 1, max: 7 }),
      (chunks, size) => {
        let row = 0;
        const packed = chunks.map((keys) =>
          Int32Array.from(
            keys.flatMap((k) => [Number(k >> 32n), Number(BigInt.asIntN(32, k)), Number(k & 0xffffn), ++row]),
          ),
        );
        const found: [bigint, number][] = [];
        const rows = new Set<number>();
        for (const batch of hashBatches(sortByKeyHash(packed), size)) {
          assert.ok(batch.count <= size && batch.keys.kind === 'int64');
          batch.keys.values.forEach((key, i) => {
            found.push([key, batch.hashes[2 * i]!]);
            rows.add(batch.hashes[2 * i + 1]!);
          });
        }
        assert.deepEqual(
          found.map(([key]) => key),
          chunks.flat().sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)),
        );
        for (const [key, hash] of found) assert.equal(hash, Number(key & 0xffffn));
        assert.equal(rows.size, chunks.flat().length);
      },
    ),
  );
});
