import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { QuarantinedRow, QuarantineFilter } from '../../src/model/quarantine.ts';
import type { Key } from '../../src/model/row.ts';
import type { Rejected } from '../../src/model/transform.ts';
import { freshStore } from './fresh-store.ts';
import { o } from './plain.ts';

const key = (...cells: string[]): Key => cells as unknown as Key;
const row = (k: Key, reason = 'status is odd'): Rejected => ({
  key: k,
  reasons: [reason],
  row: { id: k[0]!, note: null },
});
const at = (run: string | undefined, time: number, pair = 'p') => ({ sync: 's', pair, columns: ['id'], run, at: time });

test('an entry is kept per key with what was last seen of it, until it is dropped', async () => {
  const { store } = await freshStore();
  const { quarantine } = store;
  const all = async (filter: QuarantineFilter = {}): Promise<readonly QuarantinedRow[]> => {
    const rows: QuarantinedRow[] = [];
    for await (const batch of quarantine.list(filter, o)) rows.push(...batch);
    return rows;
  };
  const odd = key('\0\udc80 "x"');
  const long = key('k'.repeat(10_000));
  await quarantine.record(at('r_1', 1000), [row(key('1')), row(odd), row(long)], o);
  await quarantine.record(at('r_1', 1000, 'q'), [row(key('1'))], o);
  await quarantine.record(at('r_2', 2000), [row(key('1'), 'other reason'), row(key('1'), 'last reason')], o);
  await quarantine.record(at('r_2', 2500), [row(key('1'), 'last reason')], o);
  await quarantine.record(at(undefined, 3000), [row(key('1'), 'last reason')], o);
  const found = await all({ sync: 's', pair: 'p' });
  assert.deepEqual(
    found.map((r) => r.key[0]),
    ['1', odd[0], long[0]],
  );
  assert.deepEqual(
    found.find((r) => r.key[0] === '1'),
    {
      sync: 's',
      pair: 'p',
      columns: ['id'],
      key: key('1'),
      reasons: ['last reason'],
      row: row(key('1')).row,
      firstRun: 'r_1',
      firstSeen: 1000,
      lastRun: 'r_2',
      lastSeen: 3000,
      attempts: 3,
    },
    'two runs and one retry saw it',
  );
  assert.equal((await all({ keys: [odd, key('2')] })).length, 1);
  assert.equal(await quarantine.count({}, o), 4);
  assert.equal(await quarantine.drop({ sync: 's', pair: 'p', except: 'r_2' }, o), 2, 'those that r_2 did not see');
  assert.equal(await quarantine.drop({ sync: 't' }, o), 0);
  assert.equal(await quarantine.drop({ sync: 's', keys: [key('1')] }, o), 2);
  assert.deepEqual(await all(), []);
});

test('many entries are listed once each', async () => {
  const { store } = await freshStore();
  const rows = Array.from({ length: 1234 }, (_, i) => row(key(String(i))));
  await store.quarantine.record(at('r_1', 1000), rows, o);
  const seen: string[] = [];
  for await (const batch of store.quarantine.list({}, o)) seen.push(...batch.map((r) => r.key[0]!));
  assert.deepEqual(
    seen,
    rows.map((_, i) => String(i)),
    'in the order they came',
  );
});
