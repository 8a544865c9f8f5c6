import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import { newId } from '../../src/lib/ids.ts';
import type { Conflict } from '../../src/model/conflicts.ts';
import type { Store } from '../../src/model/store.ts';
import { applyTwoWay } from '../../src/work/two-way/apply-plan.ts';
import { makeTwoWayPlan } from '../../src/work/two-way/make-plan.ts';
import { openTwoWay } from '../../src/work/two-way/open.ts';
import { resolveConflict, resolveConflicts } from '../../src/work/two-way/resolve.ts';
import { type Bench, bench } from '../apply/bench.ts';
import { both, type Pair, type TwoWayAsk, twoDatabases, twoWayInput } from './bench.ts';

/** What people decide, until it is written: guards, second thoughts, and runs that are at work. */

let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());
const { signal } = new AbortController();
const o = { signal };

const people = `create table people (id int primary key, name text);
  insert into people values (1, 'ann'), (2, 'bob'), (3, 'cid'), (4, 'dan')`;
const names = async (p: Pair): Promise<readonly unknown[]> =>
  Promise.all(
    [p.left, p.right].map(async (db) =>
      (await db.query('select name from people order by id')).rows.map((r) => r.name),
    ),
  );
const strict = { maxChanges: 500, maxChangeRatio: 0.01, maxDeletes: 0 };
const me = { actor: 'me', correlation: 'test', why: null };
const work = (store: Store = b.store) => ({
  store,
  clock: systemClock,
  signal,
  writes: { source: true, target: true },
});
const read = async ({ id }: Conflict): Promise<Conflict> => (await b.store.conflicts.get(id, o))!;

/** Two rows that the source deleted and the target changed, as conflicts of a sync that allows no deletes. */
const waiting = async (p: Pair, sync: string): Promise<{ ask: TwoWayAsk; met: readonly [Conflict, Conflict] }> => {
  const ask = { ...p, sync, guards: strict };
  await both(b.store, ask);
  await p.left.query('delete from people where id in (1, 2)');
  await p.right.query(`update people set name = 'edited' where id in (1, 2)`);
  assert.equal((await both(b.store, ask)).exit, 26);
  const met = await b.store.conflicts.list({ sync }, o);
  assert.deepEqual(
    met.map((c) => c.type),
    ['delete_update', 'delete_update'],
  );
  return { ask, met: met as unknown as readonly [Conflict, Conflict] };
};

test('what people decided stops no run: no guard counts it, and every guard counts the rest', async () => {
  await using p = await twoDatabases(people);
  const { ask, met } = await waiting(p, 'allowed');
  await resolveConflicts(work(), 'allowed', met, { take: 'source' }, { ...me, filter: {} });
  await p.left.query(`delete from people where id = 3; insert into people values (5, 'eve')`);
  await assert.rejects(both(b.store, ask), (error: Error & { code: string }) => {
    assert.equal(error.code, 'GUARD');
    assert.match(error.message, /1 delete planned, max_deletes is 0/);
    return true;
  });
  await p.left.query(`insert into people values (3, 'cid')`);
  const done = await both(b.store, ask);
  assert.deepEqual([done.exit, done.sync.decided.resolved], [0, 2]);
  assert.deepEqual(await names(p), [
    ['cid', 'dan', 'eve'],
    ['cid', 'dan', 'eve'],
  ]);
});

test('a decision that an empty table keeps from being written stops nothing else, and is not written', async () => {
  await using p = await twoDatabases(`${people}; create table other as select * from people`);
  for (const db of [p.left, p.right]) await db.query('alter table other add primary key (id)');
  const ask = { ...p, sync: 'emptied', guards: strict };
  await both(b.store, ask);
  await p.left.query(`delete from people; update other set name = 'Ann' where id = 1`);
  await p.right.query(`update people set name = 'edited'`);
  await both(b.store, ask);
  const met = await b.store.conflicts.list({ sync: 'emptied' }, o);
  assert.equal(met.length, 4);
  await p.left.query(`update other set name = 'Bob' where id = 2`);
  await resolveConflicts(work(), 'emptied', met, { take: 'source' }, { ...me, filter: {} });
  assert.equal((await both(b.store, ask)).exit, 2);
  assert.equal((await p.right.query(`select from people`)).rowCount, 4);
  assert.equal((await p.right.query(`select from other where name in ('Ann', 'Bob')`)).rowCount, 2);
  assert.equal((await read(met[0]!)).state, 'decided');
});

test('a decision that is not written yet is replaced, by who says so and saw it, and the audit has both', async () => {
  await using p = await twoDatabases(people);
  const { ask, met } = await waiting(p, 'anew');
  // As an earlier version took decisions down: guards count them.
  const earlier = { take: 'source', by: 'ann', at: Date.now(), why: 'gone' } as const;
  for (const c of met) await b.store.conflicts.decide(c.id, earlier, o);
  await assert.rejects(both(b.store, ask), /2 deletes planned, max_deletes is 0/);
  const decided = await read(met[0]);
  const other = { take: 'target' } as const;
  await assert.rejects(resolveConflict(work(), decided, other, me), (error: Error & { code: string; hint: string }) => {
    assert.equal(error.code, 'CONFLICT_RESOLVED');
    assert.match(error.hint, /--replace/);
    return true;
  });
  const anew = { ...work(), replace: true };
  await assert.rejects(resolveConflict(anew, { ...decided, version: 1 }, other, me), { code: 'CONFLICT_MOVED' });
  const now = await resolveConflict(anew, decided, other, me);
  assert.deepEqual([now.state, now.resolution?.take, now.resolution?.by], ['decided', 'target', 'me']);
  // The same again, by whom it was: from now on it is allowed.
  const same = await resolveConflict(anew, await read(met[1]), { take: 'source' }, { ...me, actor: 'ann' });
  assert.equal(same.resolution?.allowed, true);
  const done = await both(b.store, ask);
  assert.equal(done.exit, 0);
  const row = met[0].key[0] === '1' ? 1 : 2;
  assert.deepEqual((await p.left.query('select id from people where id < 3')).rows, [{ id: row }]);
  assert.deepEqual((await p.right.query('select id from people where id < 3')).rows, [{ id: row }]);
  await assert.rejects(resolveConflict(anew, await read(met[0]), { take: 'source' }, me), {
    code: 'CONFLICT_RESOLVED',
  });
  const told = await b.store.audit.list({ object: `conflicts/${met[0].id}`, limit: 50 }, o);
  const entry = told.find((e) => e.outcome === 'done') as { after: { replaces: unknown } } | undefined;
  assert.deepEqual(entry?.after.replaces, { take: 'source', why: 'gone', by: 'ann' });
});

test('a plan that was made with a decision is not applied once that was replaced', async () => {
  await using p = await twoDatabases(people);
  const { ask, met } = await waiting(p, 'planned');
  const decided = await resolveConflict(work(), met[0], { take: 'source' }, me);
  const input = twoWayInput(b.store, ask);
  const { planned } = await makeTwoWayPlan(input);
  await resolveConflict({ ...work(), replace: true }, decided, { take: 'target' }, me);
  const plan = planned.plans.target!;
  await assert.rejects(applyTwoWay({ ...input, plan, two: await openTwoWay(input) }), { code: 'PLAN_STALE' });
  assert.equal((await p.right.query('select from people')).rowCount, 4);
  assert.equal((await both(b.store, ask)).sync.applied.insert, 1);
});

test('nothing is replaced that a run is about to write, or may have written', async () => {
  await using p = await twoDatabases(people);
  const { ask, met } = await waiting(p, 'busy');
  const decided = await resolveConflict(work(), met[0], { take: 'source' }, me);
  const elsewhere = await b.again();
  const id = newId('r', Date.now());
  const facts = { source: null, target: null, correlation: 'test', actor: 'bob@desk', started: Date.now() };
  await elsewhere.twoWayRuns.hold('busy', o);
  await elsewhere.runs.create({ id, kind: 'sync', sync: 'busy', ...facts }, o);
  const held = (error: Error & { code: string; hint: string }): boolean => {
    assert.equal(error.code, 'LOCK_HELD');
    assert.match(error.message, new RegExp(`Run ${id} \\(bob@desk, since \\S+\\) is at work on sync busy`));
    assert.match(error.hint, new RegExp(`lockstep show ${id}`));
    return true;
  };
  const anew = { ...work(), replace: true };
  await assert.rejects(resolveConflict(anew, decided, { take: 'target' }, me), held);
  await assert.rejects(both(b.store, ask), held);
  // A server and its workers may share a process, which then holds the sync already.
  await assert.rejects(resolveConflict({ ...anew, store: elsewhere }, decided, { take: 'target' }, me), held);
  assert.equal(await b.store.twoWayRuns.hold('busy', o), false, 'the run still has it');
  await elsewhere[Symbol.asyncDispose]();

  const { planned, run } = await makeTwoWayPlan(twoWayInput(b.store, ask));
  assert.equal(planned.counts.resolved, 1);
  await b.store.twoWayRuns.began(run, 'target', newId('r', Date.now()), o);
  await assert.rejects(resolveConflict(anew, decided, { take: 'target' }, me), { code: 'CONFLICT' });
  assert.equal((await read(decided)).resolution?.take, 'source');
});
