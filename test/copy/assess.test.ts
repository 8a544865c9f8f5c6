import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
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
        ['made', 'seconds since 1970', 10, 'columns: { "made": { type: timestamptz, from: epoch_s } }'],
      ],
    );
    const dangling = found.findings.find((f) => f.code === 'sqlite_dangling');
    assert.match(dangling!.message, /child \(t\): 2 row\(s\) refer to rows of t that are not there, e\.g\. rowid 2, 3/);
    assert.deepEqual(
      found.not_carried.map((n) => `${n.kind} ${n.name}`),
      ['view v'],
    );
  }
  // what is declared needs no hint any more
  const types = new Map([['t.born', { kind: 'date' } as const]]);
  const declared = (await assess({ ...o, target: into, types })).tables.find((x) => x.table === 't')!;
  assert.deepEqual(
    declared.hints.map((h) => h.column),
    ['flag', 'seen', 'made'],
  );
  // nothing was written
  const tables = await database.query(`select 1 from pg_class where relnamespace = 'public'::regnamespace`);
  assert.equal(tables.rowCount, 0);
  // the copy refuses just these rows
  const { certificate } = await copied(store, url, database.url);
  assert.equal(certificate.refused[0]!.count, 8);
});

test('how often rows are written is told with what it is known by, or that it is not', async () => {
  const now = Date.parse('2026-01-10T12:00:00Z');
  const clock = { ...systemClock, now: () => now };
  const { url } = sqliteFile(`
    create table a (id integer primary key, updated_at datetime);
    insert into a values (1, '2026-01-10 11:30:00'), (2, '2026-01-10T01:00:00Z'), (3, '2026-01-09 11:00:00'), (4, null);
    create table b (id integer primary key, created integer);
    insert into b values (1, ${now / 1000 - 60}), (2, ${now / 1000 - 7200}), (3, 5);
    create table c (id integer primary key, n integer);`);
  const o = { clock, signal, excludeTables: [], types: new Map() };
  {
    await using source = await open(url, 'old', false);
    const { tables, baseline } = await assess({ ...o, source });
    assert.deepEqual(
      tables.map((t) => t.changes),
      [
        {
          by: 'column',
          column: 'updated_at',
          sees: 'writes',
          last_hour: 1,
          last_day: 2,
          latest: '2026-01-10 11:30:00',
        },
        {
          by: 'column',
          column: 'created',
          sees: 'inserts',
          last_hour: 1,
          last_day: 2,
          latest: String(now / 1000 - 60),
        },
        { by: null, reason: 'no column says when a row was written, and sqlite keeps no counters of it' },
      ],
    );
    assert.equal(baseline.rows, 7);
  }
  await using database = await testDatabase();
  await database.query(
    'create table d (id int primary key, v int); insert into d select i, i from generate_series(1, 50) i; select pg_stat_force_next_flush()',
  );
  await database.query(
    'update d set v = 0 where id <= 10; delete from d where id = 50; select pg_stat_force_next_flush()',
  );
  await using source = await open(database.url, 'old', false);
  const [activity] = await source.activity!({ signal, tables: (await source.inspect({ signal })).tables });
  assert.deepEqual([activity!.inserted, activity!.updated, activity!.deleted], [50, 10, 1]);
  const [table] = (await assess({ ...o, clock: systemClock, source })).tables;
  assert.equal(table!.changes.by, 'counters');
  // without counters, what is written while it looks shows by the rows' versions
  const { activity: _, ...plain } = source;
  const began = {
    ...plain,
    inspect: async (c: { signal: AbortSignal }) => {
      const schema = await source.inspect(c);
      return { ...schema, tables: schema.tables.map((t) => ({ ...t, columns: t.columns.slice(0, 1) })) };
    },
    snapshot: async (c: { signal: AbortSignal }) => {
      const reader = await source.snapshot(c);
      looked++;
      if (looked === 2) await database.query('update d set v = 7 where id in (3, 4, 5)');
      return reader;
    },
  } as Endpoint;
  let looked = 0;
  const { changes } = (await assess({ ...o, clock: systemClock, source: began })).tables[0]!;
  assert.ok(
    changes.by === 'versions' && changes.name === 'xmin' && changes.rows >= 3 && changes.rows <= 49,
    JSON.stringify(changes),
  );
});
