import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { Text } from '../../src/model/row.ts';
import { openTwoWay } from '../../src/work/two-way/open.ts';
import { refusePart, revertTwoWay } from '../../src/work/two-way/revert.ts';
import { syncTwoWay } from '../../src/work/two-way/sync.ts';
import { type Bench, bench } from '../apply/bench.ts';
import { both, type Pair, policyOf, twoDatabases, twoWayInput } from '../two-way/bench.ts';

let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());
const { signal } = new AbortController();
const o = { signal };

const people = `create table people (id int primary key, name text, phone text);
  insert into people values (1, 'ann', '11'), (2, 'bob', '22'), (3, 'cid', '33'), (4, 'dan', '44')`;

const rows = async (p: Pair, table = 'people'): Promise<readonly [unknown, unknown]> => {
  const sql = `select * from ${table} order by id`;
  return [(await p.left.query(sql)).rows, (await p.right.query(sql)).rows];
};

const how = { by: 'me', at: 1, why: null };

test('a condition of one run makes nobody forget what was agreed of other rows', async () => {
  await using p = await twoDatabases(people);
  const ask = { ...p, sync: 'where' };
  await both(b.store, ask);
  await p.left.query(`delete from people where id = 4; update people set name = 'Cid' where id = 3`);
  await p.right.query(`delete from people where id = 2`);
  const filter = { source: 'id = 1', target: 'id = 1' };
  const some = await syncTwoWay({ ...twoWayInput(b.store, ask), defaults: { filter } });
  assert.deepEqual(some.sync.decided, { agreed: 0, propagated: 0, ruled: 0, resolved: 0, waiting: 0 });
  const whole = await both(b.store, ask);
  assert.equal(whole.exit, 0);
  assert.equal(whole.sync.decided.propagated, 3);
  const [left, right] = await rows(p);
  assert.deepEqual(left, right);
  assert.deepEqual(left, [
    { id: 1, name: 'ann', phone: '11' },
    { id: 3, name: 'Cid', phone: '33' },
  ]);
});

test('columns of one run alone are refused: they would be a first contact, which brings back what was deleted', async () => {
  await using p = await twoDatabases(people);
  const ask = { ...p, sync: 'columns' };
  await both(b.store, ask);
  const input = twoWayInput(b.store, ask);
  for (const [name, defaults] of Object.entries({
    exclude: { exclude: ['phone'] },
    columns: { columns: ['id', 'name'] },
    key: { key: ['id'] },
    map: { map: { name: 'name' } },
    tolerances: { tolerances: { id: { any: true as const } } },
  })) {
    await assert.rejects(syncTwoWay({ ...input, defaults }), { code: 'USAGE', message: new RegExp(name) });
  }
});

test('a conflict whose row is in motion, invalid or outside the filter stays as it is', async () => {
  await using p = await twoDatabases(people);
  const ask = { ...p, sync: 'motion', pairs: [{ source: 'people', filter: { source: `phone <> 'x'` } }] };
  await both(b.store, ask);
  await p.left.query(`update people set name = 'left' where id < 3`);
  await p.right.query(`update people set name = 'right' where id < 3`);
  await both(b.store, ask);
  const [two, one] = await b.store.conflicts.list({ sync: 'motion', states: ['pending'] }, o);
  await b.store.conflicts.decide(one!.id, { take: 'source', ...how }, o);
  // 2 leaves the filter, and 1 moves whenever it is looked at
  await p.left.query(`update people set phone = 'x' where id = 2`);
  let turn = 0;
  let now = systemClock.elapsed();
  const sleep = async (ms: number): Promise<void> => {
    now += ms;
    await p.left.query(`update people set phone = $1 where id = 1`, [`moved ${turn++}`]);
  };
  const clock = { ...systemClock, elapsed: () => now, sleep };
  const moving = await syncTwoWay({ ...twoWayInput(b.store, ask), clock, settleMs: 1 });
  assert.equal(moving.sync.in_flight, 1);
  assert.equal(moving.exit, 26);
  assert.equal((await b.store.conflicts.get(one!.id, o))!.state, 'decided');
  assert.equal((await b.store.conflicts.get(two!.id, o))!.state, 'pending');
});

test('a value by hand goes to the column that was named, where sides call columns crosswise', async () => {
  await using p = await twoDatabases('select 1');
  await p.left.query(`create table people (id int primary key, name text, title text);
    insert into people values (1, 'n', 't')`);
  await p.right.query(`create table people (id int primary key, title text, headline text);
    insert into people values (1, 'n', 't')`);
  const pairs = [{ source: 'people', map: { name: 'title', title: 'headline' } }];
  const ask = { ...p, sync: 'crosswise', pairs };
  await both(b.store, ask);
  await p.left.query(`update people set title = 'left'`);
  await p.right.query(`update people set headline = 'right'`);
  await both(b.store, ask);
  const [c] = await b.store.conflicts.list({ sync: 'crosswise' }, o);
  await b.store.conflicts.decide(c!.id, { take: 'source', cells: { title: 'by hand' as Text }, ...how }, o);
  assert.equal((await both(b.store, ask)).exit, 0);
  assert.deepEqual(await rows(p), [
    [{ id: 1, name: 'n', title: 'by hand' }],
    [{ id: 1, title: 'n', headline: 'by hand' }],
  ]);
});

test('a row is not replaced where it cannot go on under its new key', async () => {
  const keepBoth = (add: string) => policyOf({ kind: 'keep_both', newKey: { add }, where: 'test' });
  await using p = await twoDatabases('create table people (id int primary key check (id < 1000), name text unique)');
  const ask = { ...p, sync: 'both-kept' };
  await both(b.store, ask);
  await p.left.query(`insert into people values (1, 'left')`);
  await p.right.query(`insert into people values (1, 'right')`);
  // one that the columns cannot hold, and one that the table refuses
  for (const add of ['2147483647', '1000']) {
    const refused = await both(b.store, { ...ask, policy: keepBoth(add) });
    assert.notEqual(refused.exit, 0);
    assert.deepEqual(await rows(p), [[{ id: 1, name: 'left' }], [{ id: 1, name: 'right' }]], add);
    assert.equal(await b.store.conflicts.count({ sync: 'both-kept', states: ['ruled'] }, o), 0);
  }
  // the unique name is free for the second row, once the first one has given it up
  const kept = await both(b.store, { ...ask, policy: keepBoth('500') });
  assert.equal(kept.exit, 0);
  const all = [
    { id: 1, name: 'left' },
    { id: 501, name: 'right' },
  ];
  assert.deepEqual(await rows(p), [all, all]);
  assert.equal((await both(b.store, { ...ask, policy: keepBoth('500') })).sync.verdict, 'agrees');
});

test('what a run wrote to one side alone is not taken back: the other one would get it as an edit', async () => {
  await using p = await twoDatabases(people);
  const ask = { ...p, sync: 'halves' };
  await both(b.store, ask);
  await p.left.query(`update people set name = 'left' where id = 1`);
  await p.right.query(`update people set name = 'right' where id = 2`);
  const run = await both(b.store, ask);
  const { store } = b;
  for (const side of Object.values(run.sync.sides)) {
    const part = (await store.runs.get(side.run!, o))!;
    await assert.rejects(refusePart(store, part, o), { code: 'CONFLICT', message: new RegExp(run.run) });
  }
  await refusePart(store, (await store.runs.get(run.run, o))!, o);
  // and so is what took it back, whose undoing would count sums twice
  const input = twoWayInput(store, ask);
  const { settings: _, guards: __, rules: ___, ...rest } = input;
  const whole = (await store.runs.get(run.run, o))!;
  const back = await revertTwoWay({ ...rest, run: whole, two: await openTwoWay(input), confirm: async () => true });
  for (const { run: id } of Object.values(back.sides)) {
    await assert.rejects(refusePart(store, (await store.runs.get(id, o))!, o), { code: 'CONFLICT' });
  }
});

test('what was deleted stays deleted until somebody has looked, where the columns have become others', async () => {
  for (const table of ['id int', 'id text collate "C"']) {
    await using p = await twoDatabases(`create table people (${table} primary key, name text);
      insert into people values ('1', 'ann'), ('2', 'bob'), ('3', 'cid')`);
    const ask = { ...p, sync: `others ${table}` };
    await both(b.store, ask);
    await p.left.query(`delete from people where id = '1'; insert into people values ('4', 'new')`);
    await p.right.query(`delete from people where id = '2'`);
    for (const side of [p.left, p.right]) await side.query('alter table people add column phone text');
    const filter = { source: `name = 'cid'`, target: `name = 'cid'` };
    const some = await syncTwoWay({ ...twoWayInput(b.store, ask), defaults: { filter } });
    assert.deepEqual([some.exit, some.sync.waiting], [0, 0], 'it looked at one row, and knows of no other');
    for (let turn = 0; turn < 2; turn++) {
      const run = await both(b.store, ask);
      assert.equal(run.exit, 26);
      const waiting = await b.store.conflicts.list({ sync: ask.sync, states: ['pending'] }, o);
      assert.deepEqual(waiting.map((c) => [c.key[0], c.type]).toSorted(), [
        ['1', 'delete_update'],
        ['2', 'update_delete'],
      ]);
    }
    const names = async () =>
      Promise.all(
        [p.left, p.right].map(async (d) =>
          (await d.query('select name from people order by id')).rows.map((r) => r.name),
        ),
      );
    assert.deepEqual(await names(), [
      ['bob', 'cid', 'new'],
      ['ann', 'cid', 'new'],
    ]);
    for (const c of await b.store.conflicts.list({ sync: ask.sync, states: ['pending'] }, o))
      await b.store.conflicts.decide(c.id, { take: c.source === null ? 'source' : 'target', ...how }, o);
    assert.equal((await both(b.store, ask)).exit, 0);
    assert.deepEqual(await names(), [
      ['cid', 'new'],
      ['cid', 'new'],
    ]);
    assert.equal((await both(b.store, ask)).sync.verdict, 'agrees');
  }
});

test('whoever chooses gets what was shown, also when the archive has been begun anew', async () => {
  await using p = await twoDatabases(people);
  const ask = { ...p, sync: 'base' };
  await both(b.store, ask);
  await p.left.query(`update people set name = 'left' where id = 1`);
  await p.right.query(`update people set name = 'right' where id = 1; delete from people where id = 2`);
  await p.left.query(`update people set name = 'left' where id = 2`);
  await both(b.store, ask);
  for (const c of await b.store.conflicts.list({ sync: 'base' }, o))
    await b.store.conflicts.decide(c.id, { take: c.key[0] === '1' ? 'base' : 'target', ...how }, o);
  await b.store.archives.forget({ sync: 'base' }, o);
  assert.equal((await both(b.store, ask)).exit, 0);
  const [left, right] = await rows(p);
  assert.deepEqual(left, right);
  assert.deepEqual((left as unknown[])[0], { id: 1, name: 'ann', phone: '11' });
  assert.equal((left as unknown[]).length, 3, 'who takes the side that has deleted the row deletes it');
});

test('a key that goes to and fro waits for a person, however long that takes', async () => {
  await using p = await twoDatabases(people);
  const ask = { ...p, sync: 'flaps', flapping: { writes: 3, withinMs: 600_000 } };
  let later = 0;
  const run = async () => {
    later += 1000;
    const shift = later;
    const clock = { ...systemClock, now: () => systemClock.now() + shift };
    return await syncTwoWay({ ...twoWayInput(b.store, ask), clock });
  };
  await run();
  // somebody on either side writes back what the other one wrote
  let waits = 0;
  for (let turn = 0; turn < 8 && waits === 0; turn++) {
    await p[turn % 2 === 0 ? 'left' : 'right'].query('update people set name = $1 where id = 1', [`turn ${turn}`]);
    waits = (await run()).sync.waiting;
  }
  assert.equal(waits, 1, 'nobody was asked');
  const shown = await rows(p);
  later += 3_600_000;
  const next = await run();
  assert.deepEqual([next.exit, next.sync.waiting], [26, 1]);
  assert.deepEqual(await rows(p), shown);
  const [c] = await b.store.conflicts.list({ sync: 'flaps', states: ['pending'] }, o);
  assert.equal(c!.type, 'flapping');
  await b.store.conflicts.decide(c!.id, { take: 'source', ...how }, o);
  assert.equal((await run()).exit, 0);
  const [left, right] = await rows(p);
  assert.deepEqual(left, right);
});

test('half of a sum is no edit where only some rows have ever been looked at', async () => {
  await using p = await twoDatabases(
    'create table people (id int primary key, n int); insert into people values (1, 10)',
  );
  const rule = { kind: 'take', take: 'sum', column: 'n', where: 'test' } as const;
  const ask = { ...p, sync: 'half', policy: policyOf({ kind: 'rules', rules: [rule], where: 'test' }) };
  const some = (source: Endpoint) =>
    syncTwoWay({
      ...twoWayInput(b.store, { ...ask, source }),
      defaults: { filter: { source: 'id = 1', target: 'id = 1' } },
    });
  await some(p.source);
  await p.left.query('update people set n = 13');
  await p.right.query('update people set n = 15');
  const broken = new Proxy(p.source, {
    get: (of, name) => {
      if (name === 'writer')
        return new Proxy(of.writer!, {
          get: (w, what) => (what === 'lock' ? () => Promise.reject(new Error('gone')) : Reflect.get(w, what)),
        });
      const value = Reflect.get(of, name);
      return typeof value === 'function' ? value.bind(of) : value;
    },
  });
  await assert.rejects(some(broken), /gone/);
  assert.deepEqual(await rows(p), [[{ id: 1, n: 13 }], [{ id: 1, n: 18 }]]);
  assert.equal((await both(b.store, ask)).exit, 0);
  assert.deepEqual(await rows(p), [[{ id: 1, n: 18 }], [{ id: 1, n: 18 }]]);
});

test('in a restored control store nothing is taken for agreed that both sides have gone on from', async () => {
  await using p = await twoDatabases(people);
  const ask = { ...p, sync: 'restored' };
  await both(b.store, ask);
  // what a backup does not know: both sides agreed on more, and one went back to what they had
  for (const side of [p.left, p.right])
    await side.query(`update people set name = 'new' where id = 1; delete from people where id = 3`);
  await p.right.query(`update people set name = 'ann' where id = 1; delete from people where id = 2`);
  assert.ok((await b.store.archives.outdate(o)) > 0);
  const run = await both(b.store, ask);
  assert.equal(run.exit, 26);
  const waiting = await b.store.conflicts.list({ sync: 'restored' }, o);
  assert.deepEqual(waiting.map((c) => [c.key[0], c.type]).toSorted(), [
    ['1', 'insert_insert'],
    ['2', 'update_delete'],
  ]);
  assert.deepEqual(run.sync.planned, { insert: 0, update: 0, delete: 0, withheld: 0 });
});
