import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Sections } from './sections.ts';
import { fairShares } from './shares.ts';

test('a limit is shared: everyone shows something, and what one leaves goes to the others', () => {
  assert.deepEqual(fairShares([500, 2, 500], 100), [49, 2, 49]);
  assert.deepEqual(fairShares([86, 31], 100), [69, 31]);
  assert.deepEqual(fairShares([5, 5, 5], 2), [1, 1, 0]);
  assert.deepEqual(fairShares([5, 5], 0), [0, 0]);
  assert.deepEqual(fairShares([5, 7], Number.POSITIVE_INFINITY), [5, 7]);
  assert.deepEqual(fairShares([3, Number.POSITIVE_INFINITY], 10), [3, 7]);
  assert.deepEqual(fairShares([], 10), []);
});

test('shares use the limit up, give nobody more than it has, and nobody less than another with room', () => {
  const counts = fc.array(fc.nat(50), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(counts, fc.nat(200), (all, limit) => {
      const shares = fairShares(all, limit);
      const total = all.reduce((a, b) => a + b, 0);
      assert.equal(
        shares.reduce((a, b) => a + b, 0),
        Math.min(limit, total),
      );
      const most = Math.max(...shares);
      for (const [i, share] of shares.entries()) {
        assert.ok(share >= 0 && share <= all[i]!);
        assert.ok(share === all[i] || share >= most - 1);
      }
    }),
  );
});

test('sections give back the first pieces of each, also when they went to a file', () => {
  using sections = new Sections();
  const piece = (n: number): string => `${n}é${'x'.repeat(1000)}\n`;
  for (let n = 0; n < 10_000; n++) sections.add(n % 3 ? 'often' : 'seldom', piece(n));
  const often = [...Array(10_000).keys()].filter((n) => n % 3).map(piece);
  assert.equal([...sections.read('often', 5000)].join(''), often.slice(0, 5000).join(''));
  assert.equal([...sections.read('often', Number.POSITIVE_INFINITY)].join(''), often.join(''));
  assert.equal([...sections.read('seldom', 1)].join(''), piece(0));
  assert.equal([...sections.read('seldom', 0)].join(''), '');
  assert.equal([...sections.read('never', 5)].join(''), '');
});
