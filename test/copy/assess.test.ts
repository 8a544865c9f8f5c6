import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import { assess } from '../../src/work/assess.ts';
import { testDatabase } from '../servers/postgres.ts';
import { freshStore } from '../store/fresh-store.ts';
import { copied, open, signal, sqliteFile } from './support.ts';

const { store } = await freshStore();

const schema = `
  create table t (id integer primary key, n integer, day date, at datetime, short varchar(3), words text,
    flag integer, born text, seen text, made integer, plain integer, free text);
  insert into t with recursive i(n) as (select 1 union all select n + 1 from i where n < 10)
    select n, n, '2024-01-01', '2024-01-01 10:00:00', 'abc', 'x', n % 2, '2024-01-0' || (1 + n % 9), '2024-01-01 10:00:0' || (n % 10), 1700000000 + n, n * 7, 'text ' || n from i;
  update t set n = 'two' where id = 2;
  update t set n = 3.5 where id = 3;
  update t set day = '31.01.2024' where id = 4;
  update t set at = 1706695200 where id = 5;
  update t set short = 'abcd' where id in (6, 7);
  update t set words = 'nul' || char(0) where id = 8;
  update t set words = cast(x'ff41' as text) where id = 9;
  create table child (id integer primary key, t integer references t (id));
  insert into child values (1, 1), (2, 99), (3, 98);
  create view v as select 1;`;

test('what lies, what would be refused and what looks like something else is told with counts and keys', async () => {
  const { url } = sqliteFile(schema);
  await using source = await open(url, 'old', false);
  await using database = await testDatabase();
  await using target = await open(database.url, 'new', true);
  const o = { source, clock: systemClock, signal, excludeTables: [], types: new Map() };
  const { name, engine, builder } = target;
  const into = { name, engine, builder: builder!, inspect: target.inspect };
  for (const found of [await assess(o), await assess({ ...o, target: into })]) {
    const t = found.tables.find((x) => x.table === 't')!;
    assert.equal(t.rows, 10);
    assert.deepEqual(t.key, ['id']);
    assert.deepEqual(t.refused.map((r) => [r.column, r.count, r.examples.map((e) => e.key['id'])]).sort(), [
      ['at', 1, ['5']],
      ['day', 1, ['4']],
      ['n', 2, ['2', '3']],
      ['short', 2, ['6', '7']],
      ['words', 2, ['8', '9']],
    ]);
    assert.deepEqual(
      t.hints.map((h) => [h.column, h.looks, h.count, h.fix]),
      [
        ['flag', 'flags', 10, '--type t.flag=bool'],
        ['born', 'dates', 10, '--type t.born=date'],
        ['seen', 'times', 10, '--type t.seen=timestamp'],
        ['made', 'seconds since 1970', 10, undefined],
      ],
    );
    const dangling = found.findings.find((f) => f.code === 'sqlite_dangling');
    assert.match(dangling!.message, /child \(t\): 2 row\(s\) refer to rows of t that are not there, e\.g\. rowid 2, 3/);
    assert.deepEqual(
      found.not_carried.map((n) => `${n.kind} ${n.name}`),
      ['view v'],
    );
  }
  // nothing was written
  const tables = await database.query(`select 1 from pg_class where relnamespace = 'public'::regnamespace`);
  assert.equal(tables.rowCount, 0);
  // the copy refuses just these rows
  const { certificate } = await copied(store, url, database.url);
  assert.equal(certificate.refused[0]!.count, 8);
});
