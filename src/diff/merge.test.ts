import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeRuns } from './merge.ts';
import type { Run } from './runs.ts';

test('every bit of a hash counts', async () => {
  for (let bit = 0; bit < 64; bit++) {
    const hashes = new Int32Array([5, 6]);
    hashes[bit >> 5]! ^= 1 << (bit & 31);
    async function* one(run: Run): AsyncGenerator<Run> {
      yield run;
    }
    const side = (h: Int32Array): Run => ({ start: 0, end: 1, int64: BigInt64Array.of(1n), hashes: h });
    let unequal = 0;
    const met = await mergeRuns(
      [{ kind: 'int', bits: 64 }],
      (which) => one(side(which === 'source' ? new Int32Array([5, 6]) : hashes)),
      {
        same: () => assert.fail('not asked for hashes'),
        unequal: () => {
          unequal++;
        },
        duplicate: () => assert.fail('no key repeats'),
        breathe: () => undefined,
      },
      new AbortController().signal,
    );
    assert.deepEqual([unequal, met.identical, met.source, met.target], [1, 0, 1, 1]);
  }
});
