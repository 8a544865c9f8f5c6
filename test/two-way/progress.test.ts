import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Progress } from '../../src/model/report.ts';
import { syncTwoWay } from '../../src/work/two-way/sync.ts';
import { bench } from '../apply/bench.ts';
import { twoDatabases, twoWayInput } from './bench.ts';

test('a run tells how it fares to its very end: while it verifies, and keeps what both sides agree on', async () => {
  await using b = await bench();
  await using p = await twoDatabases('create table t (id int primary key)');
  await p.left.query('insert into t select generate_series(1, 300)');
  const said: Progress[] = [];
  await syncTwoWay({ ...twoWayInput(b.store, { ...p, sync: 'told' }), onProgress: (x) => said.push(x) });
  assert.deepEqual(
    said.findLast((x) => x.phase === 'verify'),
    { pair: '', phase: 'verify', rows: 300, total: 300 },
  );
  assert.deepEqual(said.at(-1), { pair: '', phase: 'agree', rows: 300 });
});
