import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashedInt64 } from '../../lib/lookup3.ts';
import { hashDecimal, hashDecimalAt, hashSmallDecimal, packedSeeds } from './column-hash.ts';

test('a decimal hashes alike from its text, its bytes and its two numbers', () => {
  const seeds = packedSeeds(42n, 3, 'row');
  const seen = new Map<bigint, string>();
  for (const whole of [0, 1, 9, 10, 4999, 9999, 10_000, 10_001, 120_000, 99_990_000, 99_999_999])
    for (const fraction of [0, 1, 10, 100, 1000, 5000, 9900, 9999])
      for (const negative of [false, true]) {
        const text = `${negative ? '-' : ''}${whole}.${String(fraction).padStart(4, '0')}`;
        hashDecimal(seeds, text);
        const wanted = hashedInt64();
        hashSmallDecimal(seeds, negative, whole, fraction);
        assert.equal(hashedInt64(), wanted, text);
        hashDecimalAt(seeds, Buffer.from(`00${text}00`), 2, text.length + 4);
        assert.equal(hashedInt64(), wanted, text);
        const other = seen.get(wanted);
        assert.ok(other === undefined || Number(other) === Number(text), `${other} and ${text}`);
        seen.set(wanted, text);
      }
});
