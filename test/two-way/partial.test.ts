import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import type { Text } from '../../src/model/row.ts';
import { resolveConflict } from '../../src/work/two-way/resolve.ts';
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

test('conflicts of a table that the sync has no more are named in every run, until they are decided', async () => {
  await using p = await twoDatabases(
    'create table one (id int primary key, v text); create table two (id int primary key, v text)',
  );
  for (const table of ['one', 'two'])
    for (const [side, v] of [
      [p.left, 'left'],
      [p.right, 'right'],
    ] as const)
      await side.query(`insert into ${table} values (1, '${v}')`);
  const whole = twoWayInput(b.store, { ...p, sync: 'shrunk' });
  const both = await syncTwoWay(whole);
  assert.deepEqual([both.exit, both.sync.waiting, both.sync.warnings], [26, 2, []]);
  const less = { ...whole, pairs: [{ source: 'one' }] };
  const part = await syncTwoWay({ ...less, partial: true });
  assert.deepEqual([part.exit, part.sync.warnings], [26, []]);
  const shrunk = await syncTwoWay(less);
  assert.equal(shrunk.exit, 26);
  assert.match(shrunk.sync.warnings.join(), /^1 conflict that waits is of tables that this sync does not compare now/);
  const [gone] = await b.store.conflicts.list({ sync: 'shrunk', pair: 'public.two' }, o);
  await resolveConflict(
    { ...o, store: b.store, clock: systemClock, writes: { source: true, target: true } },
    gone!,
    { take: 'target' },
    { actor: 'me', correlation: 'c', why: null },
  );
  const after = await syncTwoWay(less);
  assert.deepEqual([after.exit, after.sync.waiting, after.sync.warnings], [26, 1, []]);
});
