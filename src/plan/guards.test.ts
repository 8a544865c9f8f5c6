import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkGuards, defaultGuards, type PairPlanned } from './guards.ts';

const planned = (rows: PairPlanned['rows'], counts: PairPlanned['counts']): PairPlanned => ({
  pair: 'public.t',
  target: 'public.t',
  counts,
  rows,
  columns: {},
  emptySourceDeletes: 0,
});
const broken = (pair: PairPlanned, maxChangeRatio: number): readonly string[] =>
  checkGuards([pair], { ...defaultGuards, maxChanges: 1e6, maxDeletes: 1e6, maxChangeRatio }).map((v) => v.message);

test('a ratio of 100 % allows a plan that changes each row of both sides', () => {
  const all = planned({ source: 1000, target: 1000 }, { insert: 900, update: 100, delete: 900 });
  assert.deepEqual(broken(all, 1), []);
  assert.deepEqual(broken(all, 0.99), ['1,900 changes planned are 100 % of 1,900 rows, max_change_ratio is 99 %']);
});

test('a ratio is taken of the rows of the larger side', () => {
  const some = planned({ source: 10_000, target: 9_900 }, { insert: 100, update: 1, delete: 0 });
  assert.deepEqual(broken(some, 0.02), []);
  assert.deepEqual(broken(some, 0.01), ['101 changes planned are 1.01 % of 10,000 rows, max_change_ratio is 1 %']);
});

test('the ratio is not looked at up to a hundred changes', () => {
  assert.deepEqual(broken(planned({ source: 100, target: 0 }, { insert: 100, update: 0, delete: 0 }), 0.01), []);
});
