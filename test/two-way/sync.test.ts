import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Text } from '../../src/model/row.ts';
import { type Bench, bench } from '../apply/bench.ts';
import { both, type Pair, policyOf, twoDatabases } from './bench.ts';

let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());
const { signal } = new AbortController();
const o = { signal };

const rowsOf = async (p: Pair, columns = 'id, name, phone'): Promise<readonly [unknown, unknown]> => {
  const sql = `select ${columns} from people order by id`;
  return [(await p.left.query(sql)).rows, (await p.right.query(sql)).rows];
};

const people = `create table people (id int primary key, name text, phone text);
  insert into people values (1, 'ann', '11'), (2, 'bob', '22'), (3, 'cid', '33')`;

const sync = 'both';

test('edits of either side reach the other, and edits of other columns of one row are merged', async () => {
  await using p = await twoDatabases(people);
  const first = await both(b.store, { ...p, sync: 'edits' });
  assert.equal(first.exit, 0);
  assert.equal(first.sync.verdict, 'agrees');
  assert.deepEqual(first.sync.decided, { agreed: 0, propagated: 0, ruled: 0, resolved: 0, waiting: 0 });
  await p.left.query(`update people set name = 'Ann' where id = 1; update people set name = 'Bob' where id = 2;
    insert into people values (4, 'dan', '44'); delete from people where id = 3`);
  await p.right.query(`update people set phone = '222' where id = 2; insert into people values (5, 'eve', null)`);
  const second = await both(b.store, { ...p, sync: 'edits' });
  assert.deepEqual(second.sync.sides.target?.applied, { insert: 1, update: 2, delete: 1 });
  assert.deepEqual(second.sync.sides.source?.applied, { insert: 1, update: 1, delete: 0 });
  assert.equal(second.exit, 0);
  const [left, right] = await rowsOf(p);
  assert.deepEqual(left, right);
  assert.deepEqual(left, [
    { id: 1, name: 'Ann', phone: '11' },
    { id: 2, name: 'Bob', phone: '222' },
    { id: 4, name: 'dan', phone: '44' },
    { id: 5, name: 'eve', phone: null },
  ]);
  const third = await both(b.store, { ...p, sync: 'edits' });
  assert.deepEqual(third.sync.planned, { insert: 0, update: 0, delete: 0, withheld: 0 });
  assert.equal(third.exit, 0);
});

test('what both sides changed waits, the rest goes on, and a person settles it', async () => {
  await using p = await twoDatabases(people);
  await both(b.store, { ...p, sync });
  await p.left.query(`update people set name = 'left' where id = 1; update people set phone = '9' where id = 2`);
  await p.right.query(`update people set name = 'right', phone = '1' where id = 1; delete from people where id = 3`);
  await p.left.query(`update people set name = 'Cid' where id = 3`);
  const met = await both(b.store, { ...p, sync });
  assert.equal(met.exit, 26);
  assert.equal(met.sync.waiting, 2);
  const waiting = await b.store.conflicts.list({ sync }, o);
  assert.deepEqual(waiting.map((c) => [c.key, c.type, c.state, c.base, c.source, c.target]).toSorted(), [
    [['1'], 'update_update', 'pending', ['1', 'ann', '11'], ['1', 'left', '11'], ['1', 'right', '1']],
    [['3'], 'update_delete', 'pending', ['3', 'cid', '33'], ['3', 'Cid', '33'], null],
  ]);
  assert.deepEqual((await p.right.query('select phone from people where id = 2')).rows, [{ phone: '9' }]);
  const again = await both(b.store, { ...p, sync });
  assert.equal(again.exit, 26);
  assert.equal((await b.store.conflicts.list({ sync }, o)).length, 2, 'the same rows are the same conflict');
  const how = { by: 'me', at: Date.now(), why: 'the phone call' };
  const one = waiting.find((c) => c.key[0] === '1')!;
  const three = waiting.find((c) => c.key[0] === '3')!;
  await b.store.conflicts.decide(one.id, { take: 'source', cells: { phone: '12' as Text }, ...how }, o);
  await b.store.conflicts.decide(three.id, { take: 'target', ...how }, o);
  const last = await both(b.store, { ...p, sync });
  assert.equal(last.exit, 0);
  assert.equal(last.sync.decided.resolved, 2);
  const [left, right] = await rowsOf(p);
  assert.deepEqual(left, right);
  assert.deepEqual(left, [
    { id: 1, name: 'left', phone: '12' },
    { id: 2, name: 'bob', phone: '9' },
  ]);
  assert.deepEqual(
    (await b.store.conflicts.list({ sync }, o)).map((c) => [c.state, c.resolution?.by, c.closedBy === last.run]),
    [
      ['resolved', 'me', true],
      ['resolved', 'me', true],
    ],
  );
});

test('a decision about a row that has moved again is not written', async () => {
  await using p = await twoDatabases(people);
  const ask = { ...p, sync: 'moved' };
  await both(b.store, ask);
  await p.left.query(`update people set name = 'left' where id = 1`);
  await p.right.query(`update people set name = 'right' where id = 1`);
  await both(b.store, ask);
  const [waits] = await b.store.conflicts.list({ sync: 'moved' }, o);
  await b.store.conflicts.decide(waits!.id, { take: 'source', by: 'me', at: Date.now(), why: null }, o);
  await p.right.query(`update people set name = 'righter' where id = 1`);
  const done = await both(b.store, ask);
  assert.equal(done.exit, 26);
  const [now] = await b.store.conflicts.list({ sync: 'moved' }, o);
  assert.equal(now!.id, waits!.id);
  assert.equal(now!.state, 'pending');
  assert.deepEqual(now!.target, ['1', 'righter', '11']);
  assert.equal(now!.resolution, null);
  assert.deepEqual((await p.right.query('select name from people where id = 1')).rows, [{ name: 'righter' }]);
});

test('a side that a person takes leaves the other one its edits of other columns', async () => {
  await using p = await twoDatabases(people);
  const ask = { ...p, sync: 'taken' };
  await both(b.store, ask);
  await p.left.query(`update people set name = 'left' where id = 1`);
  await p.right.query(`update people set name = 'right', phone = '1' where id = 1`);
  await both(b.store, ask);
  const [waits] = await b.store.conflicts.list({ sync: 'taken' }, o);
  await b.store.conflicts.decide(waits!.id, { take: 'source', by: 'me', at: Date.now(), why: null }, o);
  assert.equal((await both(b.store, { ...ask, onlyDecided: true })).exit, 0);
  const [left, right] = await rowsOf(p);
  assert.deepEqual(left, right);
  assert.deepEqual((left as unknown[])[0], { id: 1, name: 'left', phone: '1' });
});

test('a policy settles what both changed, and its ruling is kept with both edits', async () => {
  await using p = await twoDatabases(people);
  const policy = policyOf({ kind: 'prefer', side: 'source', where: 'test' });
  const ask = { ...p, sync: 'ruled', policy };
  await both(b.store, ask);
  await p.left.query(`update people set name = 'left' where id = 1`);
  await p.right.query(`update people set name = 'right', phone = '1' where id = 1`);
  const done = await both(b.store, ask);
  assert.equal(done.exit, 0);
  const [left, right] = await rowsOf(p);
  assert.deepEqual(left, right);
  assert.deepEqual((left as unknown[])[0], { id: 1, name: 'left', phone: '1' });
  const [ruled] = await b.store.conflicts.list({ sync: 'ruled' }, o);
  assert.equal(ruled!.state, 'ruled');
  assert.deepEqual(ruled!.target, ['1', 'right', '1']);
  assert.deepEqual(ruled!.result, ['1', 'left', '1']);
  assert.ok(ruled!.reason.length > 0 && ruled!.policy !== undefined);
});

test('first contact: equal rows are agreed, those of one side go over, others wait', async () => {
  await using p = await twoDatabases(people);
  await p.left.query(`insert into people values (4, 'only left', null); update people set name = 'x' where id = 2`);
  await p.right.query(`insert into people values (5, 'only right', null)`);
  const done = await both(b.store, { ...p, sync: 'first' });
  assert.equal(done.exit, 26);
  const [waits] = await b.store.conflicts.list({ sync: 'first' }, o);
  assert.deepEqual([waits!.type, waits!.key, waits!.base], ['insert_insert', ['2'], null]);
  const [left, right] = await rowsOf(p, 'id');
  assert.deepEqual(left, right);
  assert.deepEqual(left, [{ id: 1 }, { id: 2 }, { id: 3 }, { id: 4 }, { id: 5 }]);
});

test('deletes are guarded on either side, and an emptied table deletes nothing', async () => {
  await using p = await twoDatabases(people);
  const ask = { ...p, sync: 'guards' };
  await both(b.store, ask);
  await p.right.query('delete from people where id = 1');
  await assert.rejects(both(b.store, { ...ask, guards: { maxDeletes: 0 } }), { code: 'GUARD' });
  assert.equal((await p.left.query('select from people')).rowCount, 3);
  await p.right.query('delete from people');
  const emptied = await both(b.store, ask).catch((e: unknown) => e);
  assert.equal((await p.left.query('select from people')).rowCount, 3, String(emptied));
});

test('sums of counters come out right when the other side moves between decision and write', async () => {
  await using p = await twoDatabases(
    'create table people (id int primary key, n int); insert into people values (1, 10)',
  );
  const rule = { kind: 'take', take: 'sum', column: 'n', where: 'test' } as const;
  const policy = policyOf({ kind: 'rules', rules: [rule], where: 'test' });
  const ask = { ...p, sync: 'sums', policy };
  await both(b.store, ask);
  await p.left.query('update people set n = 13');
  await p.right.query('update people set n = 15');
  // The source moves on while the target has been written already.
  const target = p.target.writer!;
  let moved = false;
  const moving: typeof p.target = {
    ...p.target,
    inspect: p.target.inspect.bind(p.target),
    snapshot: p.target.snapshot.bind(p.target),
    writer: {
      maxBatch: target.maxBatch,
      ...(target.hashing === undefined ? {} : { hashing: target.hashing }),
      prepare: (c) => target.prepare(c),
      lock: (h, c) => target.lock(h, c),
      applied: (m, c) => target.applied(m, c),
      advanceSequences: (t, c) => target.advanceSequences(t, c),
      apply: async (...args) => {
        const done = await target.apply(...args);
        if (!moved) await p.left.query('update people set n = n + 1');
        moved = true;
        return done;
      },
    },
  };
  const met = await both(b.store, { ...ask, target: moving });
  assert.deepEqual(await rowsOf(p, 'n'), [[{ n: 14 }], [{ n: 18 }]]);
  assert.equal(met.exit, 26);
  const done = await both(b.store, ask);
  assert.deepEqual(await rowsOf(p, 'n'), [[{ n: 19 }], [{ n: 19 }]]);
  assert.equal(done.exit, 0);
});

test('values that are mapped are mapped back when the source is written', async () => {
  await using p = await twoDatabases('');
  await p.left.query(`create table subs (id int primary key, status text, amount int, label text);
    insert into subs values (1, 'past_due', 5, 'a'), (2, 'active', 6, 'b')`);
  await p.right.query(`create table subs (id int primary key, state text, amount int, label text);
    insert into subs values (1, 'dunning', 5, 'A'), (2, 'active', 6, 'B')`);
  const columns = {
    status: {
      map: new Map([
        ['past_due', 'dunning'],
        ['active', 'active'],
      ]),
      unmapped: 'quarantine' as const,
    },
    label: { expr: 'label == null ? null : label.upper()' },
  };
  const policy = { ...policyOf(), columns: { label: { owner: 'source' as const, where: 'test' } } };
  const pairs = [{ source: 'subs', map: { status: 'state' }, transform: { columns, validate: {} } }];
  const ask = { ...p, sync: 'mapped', policy, pairs };
  assert.equal((await both(b.store, ask)).exit, 0);
  await p.right.query(
    `update subs set state = 'dunning' where id = 2; insert into subs values (3, 'dunning', 7, null)`,
  );
  await p.left.query(`update subs set status = 'active', label = 'z' where id = 1`);
  const done = await both(b.store, ask);
  assert.deepEqual((await p.left.query('select * from subs order by id')).rows, [
    { id: 1, status: 'active', amount: 5, label: 'z' },
    { id: 2, status: 'past_due', amount: 6, label: 'b' },
    { id: 3, status: 'past_due', amount: 7, label: null },
  ]);
  assert.deepEqual((await p.right.query('select * from subs order by id')).rows, [
    { id: 1, state: 'active', amount: 5, label: 'Z' },
    { id: 2, state: 'dunning', amount: 6, label: 'B' },
    { id: 3, state: 'dunning', amount: 7, label: null },
  ]);
  assert.equal(done.exit, 0);
  assert.deepEqual((await both(b.store, ask)).sync.planned, { insert: 0, update: 0, delete: 0, withheld: 0 });
});

test('a row that a database refuses because of others waits as one conflict until it gets through', async () => {
  await using p = await twoDatabases(
    `create table people (id int primary key, name text unique, phone text); insert into people values (1, 'ann', '11')`,
  );
  const ask = { ...p, sync: 'unique' };
  await both(b.store, ask);
  await p.left.query(`insert into people values (2, 'same', 'left')`);
  await p.right.query(`insert into people values (3, 'same', 'right')`);
  const refused = await both(b.store, ask);
  assert.equal(refused.exit, 26);
  const open = { sync: 'unique', states: ['pending'] as const };
  const waiting = await b.store.conflicts.list(open, o);
  assert.deepEqual(waiting.map((c) => [c.key[0], c.type]).toSorted(), [
    ['2', 'unique'],
    ['3', 'unique'],
  ]);
  await both(b.store, ask);
  const again = await b.store.conflicts.list(open, o);
  assert.deepEqual(
    again.map((c) => c.id),
    waiting.map((c) => c.id),
    'refused again is the same conflict',
  );
  await p.right.query(`update people set name = 'other' where id = 3`);
  const done = await both(b.store, ask);
  assert.equal(done.exit, 0, JSON.stringify(done.sync));
  const [left, right] = await rowsOf(p);
  assert.deepEqual(left, right);
  assert.equal((left as unknown[]).length, 3);
});

test('in a one-way sync a target that was edited on its own is a conflict, and the source is never written', async () => {
  await using p = await twoDatabases(people);
  const ask = { ...p, sync: 'one-way', mode: 'mirror' as const };
  await both(b.store, ask);
  await p.left.query(`update people set name = 'left' where id in (1, 2)`);
  await p.right.query(`update people set name = 'right' where id in (1, 3)`);
  const met = await both(b.store, ask);
  assert.equal(met.exit, 26);
  assert.deepEqual(met.sync.sides.source, undefined);
  const names = async () => (await rowsOf(p, 'name')).map((rows) => (rows as { name: string }[]).map((r) => r.name));
  assert.deepEqual(await names(), [
    ['left', 'left', 'cid'],
    ['right', 'left', 'right'],
  ]);
  assert.equal(met.sync.waiting, 2);
  const kept = await both(b.store, { ...ask, policy: policyOf({ kind: 'prefer', side: 'target', where: 'test' }) });
  assert.deepEqual(await names(), [
    ['left', 'left', 'cid'],
    ['right', 'left', 'right'],
  ]);
  assert.equal(kept.sync.waiting, 0);
  assert.equal(kept.exit, 0, JSON.stringify(kept.sync));
  await p.left.query(`update people set phone = 'new' where id = 1`);
  const last = await both(b.store, ask);
  assert.equal(last.exit, 0, JSON.stringify(last.sync));
  assert.deepEqual((await p.right.query('select * from people where id = 1')).rows, [
    { id: 1, name: 'right', phone: 'new' },
  ]);
});
