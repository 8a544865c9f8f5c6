import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Standing } from '../../src/model/incremental.ts';
import type { Key } from '../../src/model/row.ts';
import { freshStore } from './fresh-store.ts';
import { o } from './plain.ts';

const key = (...cells: (string | null)[]): Key => cells as unknown as Key;

const standing: Standing = {
  settings: 'a1',
  marks: { source: '7:8', target: null },
  open: [key('1', 'x\0\udc80'), key('2', '')],
  rows: { source: 12, target: 13 },
  run: 'r_2',
  at: 1_700_000_000_123,
  full: { run: 'r_1', at: 1_600_000_000_456 },
  runs: 3,
};

test('a standing comes back as it was put, per sync, pair and settings, and is replaced by the next', async () => {
  const { store } = await freshStore();
  const { standings } = store;
  assert.equal(await standings.get('s', 'p', 'a1', o), undefined);
  await standings.put(
    's',
    [
      { ...standing, pair: 'p' },
      { ...standing, pair: 'q', runs: 9 },
    ],
    o,
  );
  assert.deepEqual(await standings.get('s', 'p', 'a1', o), standing);
  assert.equal((await standings.get('s', 'q', 'a1', o))?.runs, 9);
  for (const [sync, pair, settings] of [
    ['t', 'p', 'a1'],
    ['s', 'r', 'a1'],
    ['s', 'p', 'b2'],
  ] as const)
    assert.equal(await standings.get(sync, pair, settings, o), undefined);
  await standings.put('s', [{ ...standing, pair: 'p', settings: 'b2', open: [] }], o);
  assert.deepEqual(await standings.get('s', 'p', 'a1', o), standing, 'other settings have a standing of their own');
  await standings.put('s', [{ ...standing, pair: 'p', open: [], runs: 4 }], o);
  assert.deepEqual(await standings.get('s', 'p', 'a1', o), { ...standing, open: [], runs: 4 });
  await standings.put('s', [], o);
});
