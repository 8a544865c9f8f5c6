import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testDatabase } from '../servers/postgres.ts';
import { freshStore } from '../store/fresh-store.ts';
import { copied, sqliteFile } from './support.ts';

const { store } = await freshStore();

test('a copy that goes on loads into no table that somebody has filled meanwhile', async () => {
  const source = sqliteFile(`create table a (x text); create table b (x text); create table c (x text);
    insert into a values ('a'); insert into b values ('b'); insert into c values ('c')`);
  await using target = await testDatabase();
  const stop = new AbortController();
  const first = await copied(store, source.url, target.url, {
    stop: stop.signal,
    tables: [{ source: 'a' }, { source: 'b' }],
    onProgress: ({ phase, pair }) => {
      if (phase === 'load' && pair === 'a') stop.abort();
    },
  });
  assert.equal(first.exit, 130);
  const goOn = (...tables: string[]) =>
    copied(store, source.url, target.url, { resume: first.run, tables: tables.map((t) => ({ source: t })) });
  // one that the run made and has not begun, and one that it has never heard of
  await target.query(`insert into b values ('theirs'); create table c (x text); insert into c values ('theirs')`);
  await assert.rejects(goOn('a', 'b'), { code: 'GUARD' });
  await target.query('truncate b');
  await assert.rejects(goOn('a', 'b', 'c'), { code: 'GUARD' });
  assert.deepEqual((await target.query('select x from c')).rows, [{ x: 'theirs' }]);
  assert.equal((await goOn('a', 'b')).certificate.verdict, 'certified');
  assert.deepEqual((await target.query('select x from b')).rows, [{ x: 'b' }]);
});

test('PostgreSQL: what decides which rows a table takes later goes along, or is told', async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  await source.query(`
    create type "Mood" as enum ('sad', 'happy'); create collation ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    create sequence shared increment 5; create table nowhere (id int primary key);
    create table p (id int generated always as identity (increment 10) primary key, m "Mood", name text collate ci unique,
                    n int default nextval('shared'), k text, a int, b int, unique (k) deferrable initially deferred, unique (a, b));
    create table c (id int primary key, p int references p deferrable initially deferred, a int, b int, foreign key (a, b) references p (a, b) match full);
    create index back on c (a desc nulls last);
    insert into p (m, name, k, n) values ('sad', 'x', 'k', null)`);
  const { certificate, exit } = await copied(store, source.url, target.url);
  assert.equal(exit, 0, JSON.stringify(certificate.schema));
  const told = certificate.not_carried.map((n) => `${n.kind} ${n.name}`).sort();
  assert.deepEqual(told, [
    'collation ci (name)',
    'default n',
    'sequence public.p_id_seq (id)',
    'sequence public.shared (n)',
  ]);
  const shape = async (db: typeof source) =>
    (
      await db.query(`select conname, pg_get_constraintdef(oid) from pg_constraint where connamespace = 'public'::regnamespace
        union all select indexname, indexdef from pg_indexes where schemaname = 'public'
        union all select typname, typnamespace::regnamespace::text from pg_type where typname = 'Mood' order by 1, 2`)
    ).rows;
  assert.deepEqual(await shape(target), await shape(source));
});

test('a table or type that was there is held to every part of its source', async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  await source.query(
    `create type mood as enum ('a', 'b'); create table e (id int primary key, m mood); create table t (id int primary key, n int not null)`,
  );
  await target.query(`create type mood as enum ('b', 'a'); create table t (id int primary key, n int)`);
  const { certificate, exit } = await copied(store, source.url, target.url);
  assert.equal(exit, 2);
  assert.deepEqual(
    certificate.schema.differences.map((d) => d.what),
    ['public.e.m has the labels b, a, its source a, b', 'public.t.n may be NULL, its source may not'],
  );
});

test('PostgreSQL: tables of a schema that nobody asked for are told, and one that is asked for can be gone on with', async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  await source.query(`create schema sales; create table sales.orders (id int primary key); insert into sales.orders values (1);
    create table t (id int primary key); create table u (id int); insert into t values (1)`);
  const seen = await copied(store, source.url, target.url, { excludeTables: ['u'] });
  assert.equal(seen.certificate.verdict, 'incomplete');
  assert.equal(seen.exit, 25);
  assert.deepEqual(
    seen.certificate.coverage.not_compared.map((n) => n.what),
    ['sales'],
  );
  assert.deepEqual(
    seen.certificate.not_carried.map((n) => `${n.kind} ${n.name}`),
    ['table public.u'],
  );
  const stop = new AbortController();
  const both = `${source.url}?schema=sales`;
  await target.query('drop table t');
  const first = await copied(store, both, target.url, {
    stop: stop.signal,
    onProgress: ({ phase }) => void (phase === 'load' && stop.abort()),
  });
  assert.equal(first.exit, 130);
  const { certificate } = await copied(store, both, target.url, { resume: first.run });
  assert.equal(certificate.verdict, 'certified', JSON.stringify(certificate));
  assert.deepEqual((await target.query('select id from sales.orders')).rows, [{ id: 1 }]);
});
