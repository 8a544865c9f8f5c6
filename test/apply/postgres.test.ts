import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { totalOf } from '../../src/apply/numbers.ts';
import { postgres } from '../../src/engines/postgres/index.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { LockstepError } from '../../src/model/errors.ts';
import { testDatabase } from '../servers/postgres.ts';
import { applied, type Bench, bench, planned, synced } from './bench.ts';

let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());
const { signal } = new AbortController();
const open = (url: string, writable: boolean): Promise<Endpoint> =>
  postgres.connect(postgres.parse(url), { name: writable ? 'target' : 'source', writable, signal });

test('writers beside the apply lose nothing: each row is ours or told as moved', { timeout: 120_000 }, async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  const rows = 3000;
  await source.query(`create table t (id bigint primary key, a text, b text);
    insert into t select i, 'new' || i, 'b' from generate_series(1, ${rows}) i`);
  await target.query(`create table t (id bigint primary key, hits int not null default 0, a text, b text);
    insert into t (id, a, b) select i, 'old' || i, 'b' from generate_series(1, ${rows}) i`);
  await using left = await open(source.url, false);
  await using right = await open(target.url, true);
  const { plan } = await planned(b.store, { source: left, target: right });
  let strangers = 0;
  let ended = false;
  const stranger = (async () => {
    for (let i = 1; !ended; i++) {
      await target.query('update t set hits = hits + 1 where id = $1', [((i * 7919) % rows) + 1]);
      strangers++;
    }
  })();
  const settings = { batchSize: 50, concurrency: 4 };
  const done = await applied(b.store, plan.header.id, { target: right, settings });
  ended = true;
  await stranger;
  const n = done.result.numbers;
  assert.equal(n.applied.update + n.moved, rows);
  assert.ok(strangers > 0);
  const found = await target.query(
    `select sum(hits)::int as hits, count(*) filter (where a = 'new' || id)::int as ours, count(*) filter (where a = 'old' || id)::int as old from t`,
  );
  assert.deepEqual(found.rows[0], { hits: strangers, ours: n.applied.update, old: n.moved });
});

test('two applies at once: the second is told who holds the lock, and its plan is not used up', async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  await source.query("create table t (id bigint primary key, a text); insert into t values (1, 'x')");
  await target.query('create table t (id bigint primary key, a text)');
  await using left = await open(source.url, false);
  await using right = await open(target.url, true);
  const { plan } = await planned(b.store, { source: left, target: right });
  await using other = await open(target.url, true);
  await other.writer!.prepare({ signal });
  {
    await using _lock = await other.writer!.lock({ run: 'r_other', pair: '*' }, { signal });
    await assert.rejects(applied(b.store, plan.header.id, { target: right }), (e: LockstepError) => {
      assert.equal(e.code, 'LOCK_HELD');
      assert.equal(e.exit, 24);
      assert.match(e.message, /r_other/);
      return true;
    });
  }
  const done = await applied(b.store, plan.header.id, { target: right });
  assert.equal(done.exit, 0);
});

test('circles with deferred checks, trees, identities, computed columns and cascades', async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  const ddl = `
    create table dept (id bigint primary key, boss bigint not null);
    create table emp (id int generated always as identity primary key, dept_id bigint not null references dept deferrable,
      manager int references emp, salary numeric(10,2), yearly numeric generated always as (salary * 12) stored, code char(4));
    alter table dept add foreign key (boss) references emp deferrable;
    create table badge (id uuid primary key, emp_id int not null references emp on delete cascade, valid daterange);`;
  await source.query(ddl);
  await target.query(ddl);
  await source.query(`begin; set constraints all deferred;
    insert into dept values (1, 10), (2, 20);
    insert into emp (id, dept_id, manager, salary, code) overriding system value values (10, 1, 30, 5, 'a'), (20, 2, 10, 7.5, 'b'), (30, 2, null, 9.99, null);
    insert into badge values ('00000000-0000-0000-0000-000000000001', 10, '[2020-01-01,2021-01-01)');
    commit`);
  await target.query(`begin; set constraints all deferred;
    insert into dept values (2, 20), (3, 40);
    insert into emp (id, dept_id, manager, salary, code) overriding system value values (20, 2, 40, 7, 'b'), (40, 3, null, 1, 'z'), (41, 3, 40, 1, 'y');
    insert into badge values ('00000000-0000-0000-0000-000000000002', 41, null);
    commit`);
  await using left = await open(source.url, false);
  await using right = await open(target.url, true);
  const done = await synced(b.store, { source: left, target: right, settings: { batchSize: 1 } });
  assert.equal(done.sync.rejected, 0, JSON.stringify(done.sync));
  assert.equal(done.sync.verdict, 'agrees');
  assert.equal(done.exit, 0);
  assert.equal(totalOf(done.result!.numbers.applied), totalOf(done.result!.numbers.planned));
  const next = await target.query('insert into emp (dept_id) values (1) returning id');
  assert.equal(next.rows[0].id > 30, true, 'the identity stands past what was written');
});

test('a trigger that only one partition has is known, and what it changes after the write is told', async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  const create = `create table t (id int primary key, a text) partition by range (id);
    create table low partition of t for values from (0) to (10); create table high partition of t default;`;
  await source.query(`${create} insert into t values (1, 'new'), (11, 'new')`);
  await target.query(`${create} insert into t values (1, 'old'), (11, 'old');
    create function shout() returns trigger language plpgsql as $$ begin
      update public.t set a = upper(new.a) where id = new.id and a <> upper(new.a); return null; end $$;
    create trigger only_here after update on low for each row execute function shout();
    create trigger statement after update on low for each statement execute function shout();
    create trigger everywhere before insert on t for each row execute function shout();
    alter table t disable trigger everywhere`);
  await using left = await open(source.url, false);
  await using right = await open(target.url, true);
  const { tables } = await right.inspect({ signal });
  assert.deepEqual(tables[0]!.triggers, ['only_here of public.low']);
  const done = await synced(b.store, { source: left, target: right });
  assert.equal(done.sync.changed_by_target, 1);
  assert.deepEqual(
    done.result!.altered.map((x) => [x.key, x.column, x.written, x.stored]),
    [[['1'], 'a', 'new', 'NEW']],
  );
  assert.equal(done.exit, 2);
  await target.query('alter table t enable trigger everywhere');
  const again = await right.inspect({ signal });
  assert.deepEqual(again.tables[0]!.triggers, ['everywhere', 'only_here of public.low']);
});
