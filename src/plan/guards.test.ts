import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkGuards, defaultGuards, guardError, type PairPlanned } from './guards.ts';

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

test('what people had allowed is counted by no limit, and hides nothing of another table', () => {
  const allowed = { insert: 0, update: 0, delete: 3 };
  const some = { ...planned({ source: 200, target: 203 }, { insert: 0, update: 0, delete: 4 }), allowed };
  // Its deletes are not written, since its source is empty.
  const empty = {
    ...planned({ source: 0, target: 3 }, { insert: 0, update: 0, delete: 0 }),
    allowed,
    emptySourceDeletes: 3,
  };
  const told = (pair: PairPlanned, guards = {}): readonly string[] =>
    checkGuards([pair, empty], { ...defaultGuards, ...guards }).map((v) => v.message);
  assert.deepEqual(told(some), ['1 delete planned, max_deletes is 0']);
  assert.deepEqual(told(some, { maxDeletes: 1, maxChanges: 1 }), []);
  const more = { ...empty, emptySourceDeletes: 4 };
  assert.deepEqual(
    checkGuards([more], defaultGuards).map((v) => v.guard),
    ['empty_source'],
  );
});

test('where the share of the rows stops it, the guard that allows more in every run is named', () => {
  const many = planned({ source: 1000, target: 1000 }, { insert: 0, update: 350, delete: 0 });
  const hint = (guards: object) =>
    guardError([many], { ...defaultGuards, ...guards }, (flags) => `run it with ${flags}`)?.hint;
  assert.match(
    hint({ maxChanges: 1000 })!,
    /run it with --max-changes 350 \(in every run: guards\.max_change_ratio of the sync\)$/,
  );
  assert.doesNotMatch(hint({ maxChanges: 300, maxChangeRatio: null })!, /max_change_ratio/);
});
