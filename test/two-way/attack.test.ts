import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { Text } from '../../src/model/row.ts';
import type { Store } from '../../src/model/store.ts';
import { applyTwoWay } from '../../src/work/two-way/apply-plan.ts';
import { makeTwoWayPlan } from '../../src/work/two-way/make-plan.ts';
import { openTwoWay } from '../../src/work/two-way/open.ts';
import { type Bench, bench } from '../apply/bench.ts';
import { both, policyOf, type TwoWayAsk, twoDatabases, twoWayInput } from './bench.ts';
import { fuse, fused, Gone } from './model/fuse.ts';

let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());
const { signal } = new AbortController();
const o = { signal };

const people = `create table people (id int primary key, name text, phone text unique);
  insert into people values (1, 'ann', '11'), (2, 'bob', '22'), (3, 'cid', '33')`;
const none = { insert: 0, update: 0, delete: 0, withheld: 0 };

const rows = async (p: Awaited<ReturnType<typeof twoDatabases>>): Promise<readonly [unknown, unknown]> => {
  const sql = 'select * from people order by id';
  return [(await p.left.query(sql)).rows, (await p.right.query(sql)).rows];
};

const open = async (sync: string) => b.store.conflicts.list({ sync, states: ['pending', 'decided'] }, o);

const how = { by: 'me', at: 1, why: null };

/** The process ends at the first call of this name, and nobody it asked for anything hears of it again. */
const killedAt = async (ask: TwoWayAsk, place: string): Promise<void> => {
  let gone = false;
  const f = {
    ...fuse('none', 0),
    at: (where: string) => {
      gone ||= where === place;
      if (gone) throw new Gone(where);
    },
  };
  const own = await b.again();
  const guarded = (endpoint: Endpoint, name: string): Endpoint => fused(endpoint, name, f);
  await assert.rejects(
    both(fused<Store>(own, 'store', f), {
      ...ask,
      source: guarded(ask.source, 'source'),
      target: guarded(ask.target, 'target'),
    }),
    (error: unknown) => error instanceof Gone || error instanceof AggregateError,
  );
  assert.ok(gone, `it never came to ${place}`);
  await own[Symbol.asyncDispose]();
};

test('what a person chose waits for another choice when a database refuses it', async () => {
  await using p = await twoDatabases(people);
  const ask = { ...p, sync: 'refused' };
  await both(b.store, ask);
  await p.left.query(`insert into people values (4, 'left', '44')`);
  await p.right.query(`insert into people values (5, 'right', '44')`);
  await both(b.store, ask);
  const four = (await open('refused')).find((c) => c.key[0] === '4')!;
  await b.store.conflicts.decide(four.id, { take: 'source', ...how }, o);
  const five = (await open('refused')).find((c) => c.key[0] === '5')!;
  await b.store.conflicts.decide(five.id, { take: 'target', ...how }, o);
  const done = await both(b.store, ask);
  assert.equal(done.exit, 26, 'nothing was agreed');
  assert.equal(done.sync.verdict, 'differs');
  assert.deepEqual(
    (await open('refused')).map((c) => [c.state, c.resolution]),
    [
      ['pending', null],
      ['pending', null],
    ],
  );
  const again = await open('refused');
  await b.store.conflicts.decide(
    again.find((c) => c.key[0] === '5')!.id,
    { take: 'target', cells: { phone: '55' as Text }, ...how },
    o,
  );
  const last = await both(b.store, ask);
  assert.equal((await both(b.store, ask)).exit, 0, JSON.stringify(last.sync));
  const [left, right] = await rows(p);
  assert.deepEqual(left, right);
});

test('what a person chose is on record when only one side took it', async () => {
  await using p = await twoDatabases(people);
  const ask = { ...p, sync: 'half' };
  await both(b.store, ask);
  await p.left.query(
    `update people set name = 'left', phone = '44' where id = 1; update people set phone = '77' where id = 2`,
  );
  await p.right.query(`update people set name = 'right', phone = '55' where id = 1; update people set phone = '66', name = 'x' where id = 2;
    update people set name = 'y' where id = 3`);
  await p.left.query(`update people set name = 'z' where id = 3`);
  await both(b.store, ask);
  const [one] = (await open('half')).filter((c) => c.key[0] === '1');
  // The source takes it; in the target row 2 has that number.
  await b.store.conflicts.decide(
    one!.id,
    { take: 'source', cells: { phone: '66' as Text, name: 'chosen' as Text }, ...how },
    o,
  );
  await both(b.store, ask);
  const record = (await b.store.conflicts.get(one!.id, o))!;
  assert.equal(record.state, 'resolved');
  assert.equal(record.resolution?.by, 'me');
  assert.deepEqual(record.source, ['1', 'left', '44']);
  assert.deepEqual(
    (await open('half')).filter((c) => c.key[0] === '1').map((c) => [c.type, c.state]),
    [['unique', 'pending']],
  );
});

test('a row that is to be kept under a key that is taken waits', async () => {
  await using p = await twoDatabases(people);
  const policy = policyOf({ kind: 'keep_both', newKey: { add: '10' }, where: 'test' });
  const ask = { ...p, sync: 'taken', policy };
  await both(b.store, ask);
  await p.left.query(`insert into people values (4, 'left', null), (14, 'other', null), (5, 'left five', null)`);
  await p.right.query(`insert into people values (4, 'right', null), (5, 'right five', null)`);
  const done = await both(b.store, ask);
  assert.equal(done.exit, 26);
  const [waits] = await open('taken');
  assert.deepEqual([waits!.key, waits!.type, waits!.target], [['4'], 'insert_insert', ['4', 'right', null]]);
  assert.match(waits!.reason, /14 is taken/);
  const [left, right] = (await rows(p)) as unknown as readonly { id: number; name: string }[][];
  const of = (all: readonly { id: number; name: string }[] | undefined) => all!.filter((r) => r.id !== 4);
  assert.deepEqual(of(left), of(right));
  assert.deepEqual(
    of(left)
      .slice(3)
      .map((r) => [r.id, r.name]),
    [
      [5, 'left five'],
      [14, 'other'],
      [15, 'right five'],
    ],
  );
});

test('two rows that share a unique value are not both kept: they wait, and both are there', async () => {
  await using p = await twoDatabases(people);
  const policy = policyOf({ kind: 'keep_both', newKey: { add: '10' }, where: 'test' });
  const ask = { ...p, sync: 'shared', policy };
  await both(b.store, ask);
  await p.left.query(`insert into people values (4, 'left', '44'), (5, 'left five', null)`);
  await p.right.query(`insert into people values (4, 'right', '44'), (5, 'right five', null)`);
  const done = await both(b.store, ask);
  assert.equal(done.exit, 26);
  const [waits] = await open('shared');
  assert.deepEqual([waits!.key, waits!.type, waits!.state], [['4'], 'insert_insert', 'pending']);
  assert.match(waits!.reason, /both rows have the same phone, which is unique/);
  const [left, right] = (await rows(p)) as unknown as readonly { id: number; name: string }[][];
  const names = (all: readonly { id: number; name: string }[] | undefined) => all!.slice(3).map((r) => [r.id, r.name]);
  const fives = [
    [5, 'left five'],
    [15, 'right five'],
  ];
  assert.deepEqual(
    [names(left), names(right)],
    [
      [[4, 'left'], ...fives],
      [[4, 'right'], ...fives],
    ],
  );
});

test('a run that was killed between its sides is finished although a column came meanwhile', async () => {
  await using p = await twoDatabases(people);
  const ask = { ...p, sync: 'grown' };
  await both(b.store, ask);
  await p.left.query(`update people set name = 'left' where id = 1`);
  await p.right.query(`update people set name = 'right' where id = 2; insert into people values (4, 'dan', null)`);
  await killedAt(ask, 'before store.journal.settle');
  assert.deepEqual((await p.right.query('select name from people where id = 1')).rows, [{ name: 'left' }]);
  for (const db of [p.left, p.right]) await db.query(`alter table people add column more text default 'm'`);
  await p.left.query(`update people set more = 'new' where id = 3`);
  const done = await both(b.store, ask);
  assert.ok(done.exit === 0 || done.exit === 26, JSON.stringify(done.sync));
  const waiting = await open('grown');
  const [left, right] = (await rows(p)) as unknown as readonly { id: number }[][];
  const of = (all: readonly { id: number }[] | undefined) =>
    all!.filter((r) => !waiting.some((c) => c.key[0] === String(r.id)));
  assert.deepEqual(of(left), of(right));
  assert.deepEqual(waiting.map((c) => [c.key[0], c.type]).toSorted(), [
    ['2', 'insert_insert'],
    ['3', 'insert_insert'],
  ]);
});

test('a column that is added means a first comparison, and loses nothing', async () => {
  await using p = await twoDatabases(people);
  const ask = { ...p, sync: 'column' };
  await both(b.store, ask);
  for (const db of [p.left, p.right]) await db.query(`alter table people add column more text`);
  await p.left.query(`update people set more = 'l' where id = 1; update people set name = 'left' where id = 2`);
  await p.right.query(`delete from people where id = 3`);
  const done = await both(b.store, ask);
  assert.equal(done.exit, 26);
  assert.deepEqual((await open('column')).map((c) => [c.key[0], c.type]).toSorted(), [
    ['1', 'insert_insert'],
    ['2', 'insert_insert'],
    ['3', 'update_delete'],
  ]);
  // Both had it, and what it was is not known any more: it is neither deleted nor brought back.
  for (const [db, count] of [
    [p.left, 1],
    [p.right, 0],
  ] as const)
    assert.equal((await db.query('select from people where id = 3')).rowCount, count);
});

test('another policy settles what had waited, and what is agreed stays so', async () => {
  await using p = await twoDatabases(people);
  const ask = { ...p, sync: 'policy' };
  await both(b.store, ask);
  await p.left.query(`update people set name = 'left' where id = 1`);
  await p.right.query(`update people set name = 'right' where id = 1; delete from people where id = 2`);
  await p.left.query(`update people set name = 'l2' where id = 2`);
  assert.equal((await both(b.store, ask)).sync.waiting, 2);
  const policy = {
    ...policyOf({ kind: 'prefer' as const, side: 'target' as const, where: 'test' }),
    on: { update_delete: [{ kind: 'prefer' as const, side: 'target' as const, where: 'test' }] },
  };
  const done = await both(b.store, { ...ask, policy });
  assert.equal(done.exit, 0, JSON.stringify(done.sync));
  assert.equal((await open('policy')).length, 0);
  const [left, right] = await rows(p);
  assert.deepEqual(left, right);
  assert.deepEqual(left, [
    { id: 1, name: 'right', phone: '11' },
    { id: 3, name: 'cid', phone: '33' },
  ]);
  assert.deepEqual((await both(b.store, ask)).sync.planned, none);
});

test('of two people who choose one is told that the other was first', async () => {
  await using p = await twoDatabases(people);
  const ask = { ...p, sync: 'twice' };
  await both(b.store, ask);
  await p.left.query(`update people set name = 'left' where id = 1`);
  await p.right.query(`update people set name = 'right' where id = 1`);
  await both(b.store, ask);
  const [one] = await open('twice');
  const both_ = await Promise.allSettled(
    ['me', 'you'].map((by, i) =>
      b.store.conflicts.decide(
        one!.id,
        { take: i === 0 ? 'source' : 'target', ...how, by },
        { ...o, version: one!.version },
      ),
    ),
  );
  assert.deepEqual(both_.map((r) => r.status).toSorted(), ['fulfilled', 'rejected']);
  const refused = both_.find((r) => r.status === 'rejected');
  assert.equal((refused as PromiseRejectedResult).reason.code, 'CONFLICT_RESOLVED');
  assert.equal((await both(b.store, ask)).exit, 0);
  await assert.rejects(b.store.conflicts.decide(one!.id, { take: 'source', ...how }, o), { code: 'CONFLICT_RESOLVED' });
});

test('plans of a two-way sync are used together, once, in time, and not after another run', async () => {
  await using p = await twoDatabases(people);
  const ask = { ...p, sync: 'plans' };
  await both(b.store, ask);
  const edit = async (name: string): Promise<void> => {
    await p.left.query(`update people set name = '${name}' where id = 1`);
    await p.right.query(`update people set name = '${name}' where id = 2`);
  };
  const input = twoWayInput(b.store, ask);
  const use = async (
    side: 'source' | 'target',
    plans: Awaited<ReturnType<typeof makeTwoWayPlan>>['planned']['plans'],
    later = 0,
  ) =>
    applyTwoWay({
      ...input,
      clock: { ...input.clock, now: () => input.clock.now() + later },
      plan: plans[side]!,
      two: await openTwoWay(input),
    });
  await edit('planned');
  const made = await makeTwoWayPlan(input);
  assert.equal(made.exit, 2);
  assert.notDeepEqual(...(await rows(p)), 'a plan writes nothing');
  await assert.rejects(use('source', made.planned.plans, 2 * 3_600_000), { code: 'PLAN_EXPIRED' });
  const done = await use('source', made.planned.plans);
  assert.equal(done.exit, 0);
  assert.deepEqual(...(await rows(p)));
  for (const side of ['source', 'target'] as const) {
    await assert.rejects(
      use(side, made.planned.plans),
      (e: { code?: string }) => e.code === 'PLAN_USED' || e.code === 'PLAN_STALE',
    );
  }
  await edit('stale');
  const old = await makeTwoWayPlan(input);
  await p.left.query(`update people set name = 'later' where id = 1`);
  assert.equal((await both(b.store, ask)).exit, 0);
  await edit('newer');
  await assert.rejects(use('target', old.planned.plans), { code: 'PLAN_STALE' });
  assert.deepEqual((await p.right.query('select name from people where id = 1')).rows, [{ name: 'later' }]);
  assert.equal((await both(b.store, ask)).exit, 0);
  assert.deepEqual(...(await rows(p)));
});

test('a plan is not applied over what moved since: the archive follows what was written', async () => {
  await using p = await twoDatabases(people);
  const ask = { ...p, sync: 'moved-plan' };
  await both(b.store, ask);
  await p.left.query(`update people set name = 'left' where id = 1; update people set name = 'left' where id = 3`);
  const input = twoWayInput(b.store, ask);
  const made = await makeTwoWayPlan(input);
  await p.right.query(`update people set phone = 'moved' where id = 1`);
  await p.left.query(`update people set name = 'later' where id = 3`);
  const done = await applyTwoWay({ ...input, plan: made.planned.plans.target!, two: await openTwoWay(input) });
  assert.notEqual(done.exit, 0);
  const last = await both(b.store, ask);
  assert.equal(last.exit, 0, JSON.stringify(last.sync));
  const [left, right] = await rows(p);
  assert.deepEqual(left, right);
  assert.deepEqual(left, [
    { id: 1, name: 'left', phone: 'moved' },
    { id: 2, name: 'bob', phone: '22' },
    { id: 3, name: 'later', phone: '33' },
  ]);
});

test('one process at a time has a sync', async () => {
  await using p = await twoDatabases(people);
  const ask = { ...p, sync: 'held' };
  await using other = await b.again();
  assert.ok(await other.twoWayRuns.hold('held', o));
  await assert.rejects(both(b.store, ask), { code: 'LOCK_HELD' });
  await assert.rejects(makeTwoWayPlan(twoWayInput(b.store, ask)), { code: 'LOCK_HELD' });
  assert.equal((await both(b.store, { ...ask, sync: 'another' })).exit, 0);
  await other.twoWayRuns.letGo('held', o);
  assert.equal((await both(b.store, ask)).exit, 0);
});

test('a side that was emptied empties nothing, nor does one that fails while it is read', async () => {
  await using p = await twoDatabases(people);
  for (const side of ['left', 'right'] as const) {
    const ask = { ...p, sync: `emptied-${side}` };
    await both(b.store, ask);
    const [before] = await rows(p);
    await p[side].query('create table kept as select * from people; truncate people');
    for (let i = 0; i < 2; i++) await both(b.store, ask).catch(() => {});
    assert.deepEqual((await rows(p))[side === 'left' ? 1 : 0], before);
    await p[side].query('truncate people; insert into people select * from kept; drop table kept');
    assert.equal((await both(b.store, ask)).exit, 0);
    assert.deepEqual(...(await rows(p)));
  }
  const ask = { ...p, sync: 'fails' };
  for (const contact of ['first', 'later']) {
    await p.left.query(`update people set name = '${contact}' where id = 1`);
    for (const side of ['source', 'target'] as const) {
      for (const at of [1, 2, 3, 4, 5]) {
        const f = fuse('error', Number.POSITIVE_INFINITY);
        let seen = 0;
        const failing = fused(p[side], side, {
          ...f,
          at: (where) => {
            if (!where.includes('reader')) return;
            if (++seen === at) throw new Error('broken while it was read');
          },
        });
        await assert.rejects(both(b.store, { ...ask, [side]: failing }), /broken/);
      }
    }
    const [left, right] = (await rows(p)) as unknown as readonly { id: number; name: string }[][];
    assert.deepEqual(left!.slice(1), right!.slice(1));
    assert.equal(left!.length, 3);
    const policy = policyOf({ kind: 'prefer', side: 'source', where: 'test' });
    assert.equal((await both(b.store, { ...ask, policy })).exit, 0);
    assert.deepEqual(...(await rows(p)));
  }
});
