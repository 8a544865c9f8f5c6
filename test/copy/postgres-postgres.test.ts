import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LockstepError } from '../../src/model/errors.ts';
import { testDatabase } from '../servers/postgres.ts';
import { freshStore } from '../store/fresh-store.ts';
import { copied } from './support.ts';

const { store } = await freshStore();

test('what only PostgreSQL has goes to PostgreSQL as it is; what does not go is told', async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  await source.query(`
    create type mood as enum ('sad', 'so "so"', 'it''s fine');
    create domain positive as integer check (value > 0);
    create table people (
      id bigint generated always as identity primary key, feels mood not null default 'sad', age positive,
      tags text[] not null default '{}', nets inet[], at inet, doc jsonb, raw bytea, span interval, bits bit varying(9),
      price numeric(12,4) default 1.5, money money, name text collate "C", slug varchar(20) unique,
      upper_name text generated always as (upper(name)) stored, made timestamptz(3) default now(), day date default current_date,
      uid uuid default gen_random_uuid(), check (price >= 0));
    create index people_lower on people (lower(name)) where price > 1;
    create index people_tags on people using gin (tags);
    create index people_made on people (made, name);
    create table nodes (id serial primary key, up integer references nodes (id) deferrable initially deferred, person bigint references people (id) on delete cascade);
    create table events (id bigint, day date not null, note text, primary key (id, day)) partition by range (day);
    create table events_1 partition of events for values from ('2024-01-01') to ('2025-01-01');
    create table events_2 partition of events for values from ('2025-01-01') to ('2026-01-01');
    create table base (a integer primary key, b text);
    create table heir (c text) inherits (base);
    create view seen as select * from people;
    create function nothing() returns trigger language plpgsql as 'begin return new; end';
    create trigger touch before update on people for each row execute function nothing();
    insert into people (feels, age, tags, nets, at, doc, raw, span, bits, money, name, slug, made)
      select (array['sad', 'so "so"', 'it''s fine'])[1 + i % 3]::mood, i + 1, array['a,b', 'x"y', null], array['10.0.0.1/8'::inet], '::1',
        jsonb_build_object('n', 1.50, 'i', i), decode('00ff', 'hex'), '1 mon -2 days 03:04:05.678', b'1010', '12.34', 'näme ' || i || E'\\t\\n\\\\', 's' || i, '2024-02-29 12:34:56.789+02'
      from generate_series(0, 999) i;
    insert into nodes (up, person) select case when i > 1 then i - 1 end, i from generate_series(1, 500) i;
    insert into events select i, date '2024-01-01' + i, 'x' from generate_series(0, 700) i;
    insert into base values (1, 'own'); insert into heir values (2, 'theirs', 'c');
    delete from people where id > 990; select setval('nodes_id_seq', 7000);`);
  const { certificate, exit } = await copied(store, source.url, target.url, { stepRows: 200 });
  assert.deepEqual(certificate.schema.differences, []);
  assert.equal(certificate.verdict, 'certified', JSON.stringify(certificate.coverage));
  assert.equal(exit, 0);
  const tables = new Map(certificate.tables.map((t) => [t.source, t]));
  assert.equal(tables.get('public.events')!.identical, 701);
  assert.equal(tables.get('public.people')!.identical, 990);
  // the domain becomes what it is made of, so these rows go as text made anew; the others as the server's own bytes
  assert.equal(tables.get('public.people')!.loaded.as, 'rows');
  assert.equal(tables.get('public.nodes')!.loaded.as, 'postgres binary');
  assert.equal(tables.get('public.base')!.identical, 1);
  assert.deepEqual(certificate.not_carried.map((n) => `${n.kind} ${n.name}`).sort(), [
    'check of domain positive (age)',
    'inheritance base',
    'partitioning events',
    'trigger touch',
    'view seen',
  ]);
  const shape = async (db: typeof source): Promise<unknown> =>
    (
      await db.query(
        `select c.relname, a.attname, case when a.attname = 'age' then 'integer' else format_type(a.atttypid, a.atttypmod) end as type, a.attnotnull, a.attgenerated,
           replace(pg_get_expr(d.adbin, d.adrelid), 'now()', 'CURRENT_TIMESTAMP') as def
         from pg_class c join pg_attribute a on a.attrelid = c.oid left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
         where c.relname in ('people', 'events', 'base') and c.relkind in ('r', 'p') and a.attnum > 0 order by 1, a.attnum`,
      )
    ).rows;
  assert.deepEqual(await shape(target), await shape(source));
  const made = await target.query(
    `select indexdef from pg_indexes where tablename = 'people' and indexname in ('people_lower', 'people_tags') order by 1`,
  );
  const own = await source.query(
    `select indexdef from pg_indexes where tablename = 'people' and indexname in ('people_lower', 'people_tags') order by 1`,
  );
  assert.deepEqual(made.rows, own.rows);
  // sequences go on where they were
  assert.equal((await target.query('insert into people default values returning id')).rows[0].id, '1001');
  assert.equal((await target.query('insert into nodes default values returning id')).rows[0].id, 7001);
  await assert.rejects(target.query(`insert into people (price) values (-1)`), /check constraint/);
  await assert.rejects(target.query(`insert into people (id) values (5)`), /non-DEFAULT value/);
});

test('bytes go only where the types are the same to the letter: nothing is rounded on the way', async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  await source.query(
    `create table t (id integer primary key, n numeric(10,4)); insert into t values (1, 1.5), (2, 1.2345)`,
  );
  await target.query(`create table t (id integer primary key, n numeric(12,4))`);
  const { certificate } = await copied(store, source.url, target.url);
  assert.equal(certificate.verdict, 'certified');
  assert.equal(certificate.tables[0]!.loaded.as, 'rows');
  await using other = await testDatabase();
  await other.query(`create table t (id integer primary key, n numeric(10,2))`);
  await assert.rejects(copied(store, source.url, other.url), { code: 'SCHEMA_DRIFT' });
});

test('a constraint of a table that was there refuses rows one by one, of a byte pipe too', async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  await source.query(
    `create table t (id integer primary key, n integer); insert into t select i, i from generate_series(1, 2000) i`,
  );
  await target.query(`create table t (id integer primary key, n integer check (n <> 77 and n <> 1500))`);
  const { certificate, exit } = await copied(store, source.url, target.url, { stepRows: 500 });
  assert.equal(exit, 2);
  assert.equal(certificate.tables[0]!.identical, 1998);
  assert.deepEqual(certificate.refused[0]!.examples.map((e) => e.key['id']).sort(), ['1500', '77']);
  assert.match(certificate.refused[0]!.examples[0]!.reason, /check constraint/);
});

test('without the right to keep marks a copy into tables that are there works, and cannot be resumed', async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  await source.query(
    `create table t (id integer primary key, v text); insert into t select i, 'v' from generate_series(1, 50) i`,
  );
  const role = `loader_${target.name}`;
  await target.query(`create table t (id integer primary key, v text); revoke create on schema public from public;
    create role ${role} login password 'pw'; grant select, insert on t to ${role}`);
  const url = new URL(target.url);
  url.username = role;
  url.password = 'pw';
  try {
    const { certificate, run } = await copied(store, source.url, url.href);
    assert.equal(certificate.verdict, 'certified');
    await assert.rejects(copied(store, source.url, url.href, { resume: run }), {
      code: 'PRIVILEGE',
      message: /what run .* has loaded cannot be told/,
    });
    assert.equal((await target.query('select count(*) as n from t')).rows[0].n, '50');
  } finally {
    await target.query(`drop owned by ${role}; drop role ${role}`);
  }
});

test('a type of the user’s own that the target lacks is told before anything is made; enums of other tables are there in time', async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  await source.query(`
    create type mood as enum ('sad', 'happy');
    create type address as (street text, no integer);
    create table a_list (id integer primary key, moods mood[]);
    create table b_place (id integer primary key, home address, others address[]);
    create table z_one (id integer primary key, feels mood);
    insert into a_list values (1, '{sad,happy}'), (2, '{}');
    insert into b_place values (1, row('x "y"', 1), array[row(null, 2)::address]);
    insert into z_one values (1, 'happy');`);
  await assert.rejects(
    copied(store, source.url, target.url),
    (error: LockstepError) =>
      error.code === 'SCHEMA_DRIFT' &&
      /no type address, which public\.b_place\.home is of, and 1 more/.test(error.message),
  );
  assert.equal((await target.query(`select from pg_class where relnamespace = 'public'::regnamespace`)).rowCount, 0);
  await target.query('create type address as (street text, no integer)');
  const { certificate, exit } = await copied(store, source.url, target.url);
  assert.deepEqual([certificate.verdict, exit], ['certified', 0], JSON.stringify(certificate.schema));
});
