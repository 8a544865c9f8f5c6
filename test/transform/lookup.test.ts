import assert from 'node:assert/strict';
import { test } from 'node:test';
import { project } from './project.ts';

test('values are looked up in the source and in the target; missing and ambiguous ones make a row invalid', async () => {
  await using p = await project('postgres', 'postgres');
  await p.source.run(`
    create table country (code text primary key, name text);
    insert into country values ('DE', 'Germany'), ('FR', null);
    create table region (code text, label text);
    insert into region values ('N', 'North'), ('S', 'South'), ('S', 'South again');
    create table customer (id bigint primary key, country text, region text, account text);
    insert into customer values
      (1, 'DE', 'N', 'A-1'), (2, 'FR', 'N', 'A-2'), (3, 'XX', 'N', 'A-1'), (4, 'DE', 'S', 'A-1'), (5, null, null, null),
      (6, 'DE', 'N', 'A-9')`);
  await p.target.run(`
    create table account (id bigint generated always as identity (start with 500) primary key, external_id text unique);
    insert into account (external_id) values ('A-1'), ('A-2');
    create table customer (id bigint primary key, country text, region text, account_id bigint references account);
    insert into customer values (3, 'kept', 'kept', 500), (4, 'kept', 'kept', 501), (6, 'kept', 'kept', 501)`);
  p.pairs(`
- source: customer
  columns:
    country: { lookup: { table: country, by: { code: country }, value: name } }
    region: { lookup: { table: region, by: { code: region }, value: label } }
    account: { to: account_id, lookup: { endpoint: target, table: account, by: { external_id: account }, value: id } }
`);
  const synced = await p.json('sync', 's', '--yes');
  assert.equal(synced.code, 25, synced.stderr);
  assert.equal(synced.json.quarantined, 3);
  assert.deepEqual(await p.target.rows('select id, country, region, account_id from customer order by id'), [
    ['1', 'Germany', 'North', '500'],
    ['2', null, 'North', '501'],
    ['3', 'kept', 'kept', '500'],
    ['4', 'kept', 'kept', '501'],
    ['5', null, null, null],
    ['6', 'kept', 'kept', '501'],
  ]);
  const { json } = await p.json('quarantine', 'list', 's/customer');
  assert.deepEqual(
    json.rows.map((r: { reasons: string[] }) => r.reasons.join()),
    [
      "country: public.country has no row with code 'XX'",
      "region: public.region has more than one row with code 'S'",
      "account: public.account has no row with external_id 'A-9'",
    ],
  );
  await p.source.run(`insert into country values ('XX', 'Nowhere'); delete from region where label = 'South again'`);
  await p.target.run(`insert into account (external_id) values ('A-9')`);
  const mended = await p.json('sync', 's', '--yes');
  assert.equal(mended.code, 0, mended.stderr);
  assert.deepEqual(mended.json.applied, { insert: 0, update: 3, delete: 0 });
  assert.equal((await p.json('quarantine', 'list')).json.total, 0);

  p.pairs(`
- source: customer
  columns:
    country: { lookup: { table: country, by: { code: country }, value: name, missing: "null" } }
  only: [country]
`);
  await p.source.run(`delete from country where code = 'XX'`);
  const nulled = await p.json('diff', 's');
  assert.deepEqual(nulled.json.differences, [
    {
      pair: 'public.customer',
      key: { id: '3' },
      kind: 'different',
      cells: [{ column: 'country', source: null, target: 'Nowhere' }],
    },
  ]);
});

test('a key that the other table cannot hold is a row that is missing there', async () => {
  await using p = await project('sqlite', 'postgres');
  await p.source.run(`create table t (id integer primary key, ref text)`);
  await p.source.run(`insert into t values (1, '7'), (2, 'abc'), (3, '99999999999999999999'), (4, '70000'), (5, '07')`);
  await p.target.run(`create table word (n smallint primary key, text text); insert into word values (7, 'seven');
    create table t (id bigint primary key, ref text); insert into t values (1, 'seven'), (5, 'seven')`);
  p.pairs(`
- source: t
  columns: { ref: { lookup: { endpoint: target, table: word, by: { n: ref }, value: text } } }
`);
  const { code, json, stderr } = await p.json('diff', 's');
  assert.equal(code, 25, stderr);
  assert.deepEqual([json.pairs[0].identical, json.pairs[0].quarantined], [2, 3]);
});

test('look-ups of many rows, with more keys than are asked for at once', async () => {
  await using p = await project('sqlite', 'postgres');
  await p.source.run(
    'create table word (n integer primary key, text text); create table t (id integer primary key, n integer)',
  );
  await p.source.run(`with recursive i(n) as (select 1 union all select n + 1 from i where n < 12000)
    insert into word select n, 'word ' || n from i`);
  await p.source.run(`insert into t select n, 12001 - n from word`);
  await p.target.run(`create table t (id bigint primary key, n text);
    insert into t select i, 'word ' || (12001 - i) from generate_series(1, 12000) i`);
  p.pairs(`
- source: t
  columns: { n: { lookup: { table: word, by: { n: n }, value: text } } }
`);
  const { code, json, stderr } = await p.json('diff', 's');
  assert.equal(code, 0, stderr);
  assert.equal(json.pairs[0].identical, 12_000);
});
