import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rateCounter } from './rate-limit.ts';

const limit = { requests: 3, perMs: 1000 };

test('requests are counted in windows that begin with the first, whichever way they come', () => {
  let now = 5;
  const counter = rateCounter({ elapsed: () => now });
  const turn = counter.turn('a', limit);
  assert.deepEqual(turn?.headers, ['ratelimit-limit', '3', 'ratelimit-remaining', '2', 'ratelimit-reset', '1']);
  now = 505;
  assert.deepEqual(counter.count('a', limit), { count: 2, waitMs: 500 });
  assert.deepEqual(counter.count('b', limit), { count: 1, waitMs: 1000 });
  // what is counted elsewhere after all leaves room for one more
  turn!.giveBack();
  assert.equal(counter.count('a', limit).count, 2);
  assert.deepEqual(counter.turn('a', limit)?.headers.slice(2, 4), ['ratelimit-remaining', '0']);
  assert.equal(counter.turn('a', limit), undefined);
  assert.equal(counter.count('a', limit).count, 4);
  // the next window; what began in the last one gives nothing back here
  now = 1005;
  const next = counter.turn('a', limit)!;
  turn!.giveBack();
  assert.deepEqual(counter.count('a', limit), { count: 2, waitMs: 1000 });
  next.giveBack();
  assert.equal(counter.count('a', limit).count, 2);
});

test('who asks all the time is not forgotten for thousands that come once', () => {
  const counter = rateCounter({ elapsed: () => 0 });
  let count = 0;
  for (let i = 0; i < 12_000; i++) {
    counter.count(`once ${i}`, limit);
    if (i % 100 === 0) count = counter.count('often', limit).count;
  }
  assert.equal(count, 120);
  assert.equal(counter.count('once 1', limit).count, 1);
});
