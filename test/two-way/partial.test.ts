import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Text } from '../../src/model/row.ts';
import { syncTwoWay } from '../../src/work/two-way/sync.ts';
import { type Bench, bench } from '../apply/bench.ts';
import { twoDatabases, twoWayInput } from './bench.ts';

let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());
const o = { signal: new AbortController().signal };

test('a run of some tables settles no half of what an interrupted run has written to others', async () => {
  await using p = await twoDatabases(
    'create table one (id int primary key); create table two (id int primary key); insert into one values (1); insert into two values (1)',
  );
  const whole = twoWayInput(b.store, { ...p, sync: 'parts' });
  assert.equal((await syncTwoWay(whole)).exit, 0);
  // What a process leaves that was killed while it wrote to `two`.
  const key = ['1' as Text];
  const writes = { source: false, target: true };
  await b.store.twoWayRuns.begin('r_dead', 'parts', Date.now(), o);
  await b.store.twoWayRuns.add(
    'r_dead',
    [{ pair: 'public.two', key, source: key, target: key, result: key, writes }],
    o,
  );
  await b.store.twoWayRuns.began('r_dead', 'target', 'r_child', o);
  const part = { ...whole, pairs: [{ source: 'one' }], partial: true };
  await assert.rejects(syncTwoWay(part), { code: 'USAGE', message: /r_dead .*public\.two/ });
  assert.equal((await b.store.twoWayRuns.open('parts', o)).length, 1);
  assert.equal((await syncTwoWay(whole)).exit, 0);
  assert.equal((await syncTwoWay(part)).exit, 0);
});
