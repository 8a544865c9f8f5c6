import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { postgres } from '../../src/engines/postgres/index.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { factsOf } from '../../src/work/recorded.ts';
import { revert } from '../../src/work/revert.ts';
import { type Bench, bench, open, synced } from '../apply/bench.ts';
import { compareAll } from '../diff/tables.ts';
import { type TestDatabase, testDatabase } from '../servers/postgres.ts';

/** PostgreSQL's inheritance: each table is compared and written with its own rows only, as `pg_dump` and `copy` see it. */

const { signal } = new AbortController();
let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());

const tables = `create table parent (id int primary key, v text);
  create table child (extra text, primary key (id)) inherits (parent);
  create schema other; create table other.grandchild (primary key (id)) inherits (child);`;
const was = `insert into parent values (1, 'a'), (3, 'z'), (4, 'old'), (10, 'same key as a child''s');
  insert into child values (10, 'c', 'x'), (11, 'old', 'y'), (12, 'gone', 'q');
  insert into other.grandchild values (20, 'g', 'x');`;
const is = `insert into parent values (1, 'a'), (2, 'b'), (4, 'new'), (10, 'same key as a child''s');
  insert into child values (10, 'c', 'x'), (11, 'new', 'y'), (13, 'come', 'q');
  insert into other.grandchild values (20, 'h', 'x');`;

const connect = (db: TestDatabase, writable = false): Promise<Endpoint> =>
  postgres.connect(postgres.parse(db.url), { name: writable ? 'target' : 'source', writable, signal });
const rows = async (db: TestDatabase): Promise<unknown> =>
  (await db.query('select tableoid::regclass::text as of, * from parent order by id, 1')).rows;
const pairs = ['parent', 'child', 'other.grandchild'].map((source) => ({ source }));
const schemas = { source: ['public', 'other'], target: ['public', 'other'] };

test('each row is a difference of its own table, once, in every way of comparing', async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  await source.query(tables + is);
  await target.query(tables + was);
  await using left = await connect(source);
  await using right = await connect(target);
  for (const force of ['digest', 'hashes', 'rows'] as const) {
    const { report } = await compareAll(left, right, { force, pairs, schemas });
    assert.deepEqual(
      report.pairs.map((p) => [
        p.source,
        p.identical,
        p.different,
        p.only_in_source,
        p.only_in_target,
        p.duplicate_key,
      ]),
      [
        ['public.parent', 2, 1, 1, 1, 0],
        ['public.child', 1, 1, 1, 1, 0],
        ['other.grandchild', 0, 1, 0, 0, 0],
      ],
      force,
    );
    assert.ok(report.coverage.complete);
  }
});

test('each row is planned once, written in its own table, and taken back', async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  await source.query(tables + is);
  await target.query(tables + was);
  await using left = await connect(source);
  await using right = await connect(target, true);
  const before = await rows(target);
  const done = await synced(b.store, { source: left, target: right, pairs, schemas });
  assert.deepEqual([done.exit, done.sync.verdict, done.sync.rejected], [0, 'agrees', 0]);
  assert.deepEqual(done.sync.applied, { insert: 2, update: 3, delete: 2 });
  assert.deepEqual(await rows(target), await rows(source));
  const back = await revert({
    actor: 'tester',
    correlation: 'test',
    store: b.store,
    run: done.run,
    target: right,
    facts: factsOf(right, 'target'),
    guards: open,
    clock: systemClock,
    random: () => 0,
    signal,
  });
  assert.equal(back.exit, 0);
  assert.deepEqual(await rows(target), before);
});

test('heirs that are not compared are named, and the run is not green', async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  await source.query(tables + was);
  await target.query(`${tables}${was} delete from child where id = 12`);
  await using left = await connect(source);
  await using right = await connect(target);
  const { report } = await compareAll(left, right, { pairs: [{ source: 'parent' }] });
  assert.equal(report.verdict, 'incomplete');
  assert.deepEqual(
    report.coverage.not_compared.map((n) => n.what),
    ['other.grandchild', 'public.child'],
  );
  assert.match(report.coverage.not_compared[0]!.reason, /inherits from public\.parent/);
});
