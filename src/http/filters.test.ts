import assert from 'node:assert/strict';
import { test } from 'node:test';
import { equalFilter, textFilter, timeFilter, wordFilter } from './filters.ts';

test('filters take their own words and no others', () => {
  const state = wordFilter(['queued', 'done']);
  assert.deepEqual(state.parse('eq.done'), ['done']);
  assert.deepEqual(state.parse('in.(done,queued)'), ['done', 'queued']);
  for (const wrong of ['done', 'eq.', 'eq.ended', 'in.()', 'in.(done', 'in.(done,)', 'neq.done', 'eq.done,queued'])
    assert.equal(state.safeParse(wrong).success, false, wrong);
  assert.deepEqual(textFilter.parse('eq.in.(a,b)'), ['in.(a,b)']);
  assert.deepEqual(textFilter.parse('in.(a b,c.d)'), ['a b', 'c.d']);
  assert.equal(equalFilter.parse('eq.x=y\n'), 'x=y\n');
});

test('times are bounds: from this moment on, and before that one', () => {
  const day = Date.UTC(2026, 0, 1);
  assert.deepEqual(timeFilter.parse('gte.2026-01-01'), { from: day });
  assert.deepEqual(timeFilter.parse('gt.2026-01-01'), { from: day + 1 });
  assert.deepEqual(timeFilter.parse('lte.2026-01-01T01:00:00+01:00'), { until: day + 1 });
  assert.deepEqual(timeFilter.parse(['gte.2026-01-01', 'lt.2026-01-02']), { from: day, until: day + 86_400_000 });
  for (const wrong of ['2026-01-01', 'gte.now', 'gte.2026-13-01', 'gte.2026-01-01T00:00', 'eq.2026-01-01', []])
    assert.equal(timeFilter.safeParse(wrong).success, false, String(wrong));
});
