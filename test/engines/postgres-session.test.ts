import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import { parseConfig } from '../../src/engines/postgres/config.ts';
import { openClient } from '../../src/engines/postgres/connect.ts';
import { connectPostgres } from '../../src/engines/postgres/endpoint.ts';
import { Session } from '../../src/engines/postgres/session.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import type { QueryReport } from '../../src/model/endpoint.ts';
import type { HashSpec } from '../../src/model/hash/spec.ts';
import type { Selection } from '../../src/model/selected.ts';

import { nativeSelection } from '../../src/model/selection.ts';
import { testDatabase } from '../servers/postgres.ts';
import { batchOf, connect, insert, never, readAll, row, tableOf } from './postgres-support.ts';

const signal = never;
const spec = (form: HashSpec['form'] = 'hex'): HashSpec => ({ seed: 0x1234_5678_9abc_def1n, form });

test('a reader stops early, fails or is filtered wrongly, and still shows the same snapshot', async () => {
  await using db = await testDatabase();
  await db.query(
    `create table a (id int primary key, t text); insert into a select g, repeat('x', 200) from generate_series(1, 20000) g`,
  );
  await using endpoint = await connect(db.url, { statementTimeoutMs: 60_000 });
  const selection = nativeSelection(await tableOf(endpoint, 'a'), ['id']);
  await using reader = await endpoint.snapshot({ signal });
  assert.equal(await reader.count(selection, { signal }), 20_000);
  await db.query('delete from a where id > 100');
  for await (const batch of reader.scan(selection, { kind: 'all' }, { signal })) {
    assert.equal(batch[0]![0], '1');
    break;
  }
  await assert.rejects(readAll(reader, { ...selection, filter: 'idd > 1' }), { code: 'FILTER' });
  await assert.rejects(readAll(reader, { ...selection, filter: 'id / 0 > 1' }), { code: 'FILTER' });
  assert.equal((await readAll(reader, { ...selection, filter: 'id > 10 -- the rest' })).length, 19_990);
  assert.equal((await readAll(reader, selection)).length, 20_000);
  await using later = await endpoint.snapshot({ signal });
  assert.equal(await later.count(selection, { signal }), 100);
});

test('a source session cannot write, not even through a condition', async () => {
  await using db = await testDatabase();
  await db.query(
    `create table a (id int primary key); create function sneak() returns bool language plpgsql as $$ begin insert into a values (99); return true; end $$; insert into a values (1)`,
  );
  await using endpoint = await connect(db.url);
  assert.equal(endpoint.writer, undefined);
  const selection = nativeSelection(await tableOf(endpoint, 'a'), ['id']);
  await using reader = await endpoint.snapshot({ signal });
  await assert.rejects(reader.count({ ...selection, filter: 'sneak()' }, { signal }), { code: 'NOT_WRITABLE' });
  assert.deepEqual((await db.query('select * from a')).rows, [{ id: 1 }]);
});

const runningIn = async (watch: pg.Client): Promise<number> =>
  (
    await watch.query(
      `select count(*)::int as n from pg_stat_activity where datname = current_database() and state = 'active' and pid <> pg_backend_pid() and query like '%pg_sleep%'`,
    )
  ).rows[0].n as number;

test('an abort cancels the running statement at the server, in a scan, a count and a digest', async () => {
  await using db = await testDatabase();
  await db.query('create table a (id int primary key); insert into a values (1)');
  await using endpoint = await connect(db.url);
  const selection: Selection = {
    ...nativeSelection(await tableOf(endpoint, 'a'), ['id']),
    filter: 'pg_sleep(600) is not null',
  };
  const watch = new pg.Client({ connectionString: db.url });
  await watch.connect();
  try {
    for (const work of ['scan', 'count', 'digest'] as const) {
      await using reader = await endpoint.snapshot({ signal });
      const stop = new AbortController();
      const o = { signal: stop.signal };
      const running =
        work === 'scan'
          ? reader.scan(selection, { kind: 'all' }, o)[Symbol.asyncIterator]().next()
          : work === 'count'
            ? reader.count(selection, o)
            : reader.hashing!.digest(selection, undefined, spec(), o);
      const rejected = assert.rejects(running as Promise<unknown>, { code: 'ABORTED' });
      while ((await runningIn(watch)) === 0);
      stop.abort();
      await rejected;
      // the server says so to us a moment before it does to its own statistics
      for (const began = performance.now(); (await runningIn(watch)) > 0; )
        assert.ok(performance.now() - began < 20_000, `${work} is still running`);
      assert.equal(
        await reader.count({ ...selection, filter: 'true' }, { signal }).catch((e) => e.code),
        work === 'scan' ? 1 : 'DATABASE',
      );
    }
    await assert.rejects(endpoint.snapshot({ signal: AbortSignal.abort() }), { code: 'ABORTED' });
  } finally {
    await watch.end();
  }
});

test('a statement that takes too long, and a connection that breaks, are told apart', async () => {
  await using db = await testDatabase();
  await db.query('create table a (id int primary key); insert into a values (1)');
  await using endpoint = await connect(db.url, { statementTimeoutMs: 100 });
  const selection: Selection = {
    ...nativeSelection(await tableOf(endpoint, 'a'), ['id']),
    filter: 'pg_sleep(600) is not null',
  };
  {
    await using reader = await endpoint.snapshot({ signal });
    await assert.rejects(
      reader.count(selection, { signal }),
      (e: Error & { code?: string }) => e.code === 'STATEMENT_TIMEOUT' && e.message.includes('100 ms'),
    );
  }
  await using patient = await connect(db.url);
  await using reader = await patient.snapshot({ signal });
  const scanning = assert.rejects(readAll(reader, selection), { code: 'CONNECTION_LOST' });
  while (
    ((
      await db.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and query like '%pg_sleep%' and state = 'active'`,
      )
    ).rowCount ?? 0) === 0
  );
  await scanning;
  await assert.rejects(reader.count(selection, { signal }), { code: 'CONNECTION_LOST' });
});

test('rows are held back to the rate that was asked for', async () => {
  await using db = await testDatabase();
  await db.query('create table a (id int primary key); insert into a select generate_series(1, 10000)');
  let now = 0;
  const waits: number[] = [];
  const clock: Clock = {
    now: () => now,
    elapsed: () => now,
    sleep: async (ms) => {
      waits.push(ms);
      now += ms;
    },
  };
  await using endpoint = await connectPostgres(
    parseConfig(db.url),
    { name: 'db', writable: false, signal, rowsPerSecond: 500 },
    clock,
  );
  const selection = nativeSelection(await tableOf(endpoint, 'a'), ['id']);
  await using reader = await endpoint.snapshot({ signal });
  const from = now;
  assert.equal((await readAll(reader, selection)).length, 10_000);
  assert.equal(Math.round(now - from), 20_000, '10,000 rows at 500 a second are 20 seconds on the clock');
  assert.ok(waits.length > 1);
});

test('a session that has read is taken for the next one, by one at a time, and is not kept for long', async () => {
  await using db = await testDatabase();
  const resting = new Set<() => void>();
  const clock: Clock = {
    now: () => 0,
    elapsed: () => 0,
    sleep: (_ms, stop) =>
      new Promise((resolve, reject) => {
        resting.add(resolve);
        stop.addEventListener('abort', () => reject(stop.reason), { once: true });
      }),
  };
  const wake = async (): Promise<void> => {
    for (const resolve of resting) resolve();
    resting.clear();
    await new Promise((resolve) => setImmediate(resolve));
  };
  await using endpoint = await connectPostgres(parseConfig(db.url), { name: 'db', writable: false, signal }, clock);
  const open = (): number => endpoint.connections!().open;
  await endpoint.inspect({ signal });
  assert.equal(open(), 1);
  const reader = await endpoint.snapshot({ signal });
  assert.equal(open(), 1, 'the session that connected is the one that reads');
  await wake();
  assert.equal(open(), 1, 'one that is at work again is not closed');
  await using second = await endpoint.snapshot({ signal });
  assert.equal(open(), 2, 'two snapshots are never of one session');
  await reader[Symbol.asyncDispose]();
  assert.equal(open(), 2);
  await wake();
  while (open() === 2) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(open(), 1);
  await endpoint.inspect({ signal });
  await second[Symbol.asyncDispose]();
});

test('what was asked of the server is reported, with what came back', async () => {
  await using db = await testDatabase();
  await db
    .query(
      'create table a (id int primary key, t text); insert into a select g, repeat($1, 10) from generate_series(1, 3000) g',
      ['x'],
    )
    .catch(() => {});
  await db.query('create table if not exists a (id int primary key, t text)');
  await db.query(`insert into a select g, 'xxxxxxxxxx' from generate_series(1, 3000) g on conflict do nothing`);
  await using endpoint = await connect(db.url, { name: 'billing' });
  const selection = nativeSelection(await tableOf(endpoint, 'a'), ['id']);
  const reports: QueryReport[] = [];
  await using reader = await endpoint.snapshot({ signal, onQuery: (q) => reports.push(q) });
  await readAll(reader, selection);
  assert.equal(reports.length, 1);
  const [report] = reports;
  assert.deepEqual([report!.side, report!.rows], ['billing', 3000]);
  assert.match(report!.sql, /^copy \(select/);
  assert.ok(report!.bytes > 3000 * 12 && report!.elapsedMs > 0);
});

test('names of any kind, hostile text, and rows longer than a network packet come through', async () => {
  await using db = await testDatabase();
  const name = `Tä"b'le; drop 😀 ${'x'.repeat(30)}`;
  const q = (s: string): string => `"${s.replaceAll('"', '""')}"`;
  await db.query(
    `create schema "My ""Schema"; create table "My ""Schema".${q(name)} ("ID" int primary key, "select" text, ${q("k0'\\")} text)`,
  );
  const long = `${'ä\t\\\n'.repeat(300_000)}end`;
  await db.query(`insert into "My ""Schema".${q(name)} values (1, $1, $2), (2, null, '\\N'), (3, '\\', E'\\\\.')`, [
    long,
    'it\'s "quoted" \\ {}',
  ]);
  await using endpoint = await connect(`${db.url}?schema=${encodeURIComponent('My "Schema')}`);
  const { tables } = await endpoint.inspect({ signal });
  assert.deepEqual(
    tables.map((t) => [t.schema, t.name]),
    [['My "Schema', name]],
  );
  await using reader = await endpoint.snapshot({ signal });
  const selection = nativeSelection(tables[0]!, ['ID']);
  const rows = await readAll(reader, selection);
  assert.equal(rows[0]![1], long);
  assert.deepEqual(rows.slice(1), [row('2', null, '\\N'), row('3', '\\', '\\.')]);
  assert.deepEqual(await readAll(reader, { ...selection, filter: `"select" is null` }), [row('2', null, '\\N')]);
});

test('a database in another encoding is read, ordered and written as UTF-8; bytes that are none are kept apart', async () => {
  {
    await using db = await testDatabase(`encoding 'LATIN1' locale 'C' locale_provider libc template template0`);
    await db.query(`set client_encoding = 'UTF8'`);
    await db.query(`create table a (k text primary key, t text); insert into a values ('é', 'ÿ'), ('z', 'a')`);
    await using endpoint = await connect(db.url, { writable: true });
    const table = await tableOf(endpoint, 'a');
    await using reader = await endpoint.snapshot({ signal });
    assert.equal(reader.hashing, undefined, 'the server would hash its own bytes');
    assert.deepEqual(await readAll(reader, nativeSelection(table, ['k'])), [row('z', 'a'), row('é', 'ÿ')]);
    const write = (text: string) =>
      endpoint.writer!.apply(
        { run: 'r', step: text.length, token: 1n },
        [batchOf(table, insert(table, row('n', text)))],
        { signal },
      );
    assert.equal((await write('😀')).status, 'rejected');
    assert.equal((await write('ö')).status, 'done');
    assert.deepEqual((await db.query(`select octet_length(t) as n from a where k = 'n'`)).rows, [{ n: 1 }]);
  }
  {
    // byte 0x80 is U+20AC there: the server's byte order is not the order of the code points
    await using db = await testDatabase(`encoding 'WIN1252' locale 'C' locale_provider libc template template0`);
    await db.query(`set client_encoding = 'UTF8'`);
    await db.query(`create table a (k text primary key); insert into a values ('€'), ('é'), ('z'), ('œ'), ('ÿ')`);
    await using endpoint = await connect(db.url);
    await using reader = await endpoint.snapshot({ signal });
    const selection = nativeSelection(await tableOf(endpoint, 'a'), ['k']);
    const ordered = ['z', 'é', 'ÿ', 'œ', '€'].map((k) => row(k));
    assert.deepEqual(await readAll(reader, selection), ordered);
    for (let i = 0; i < ordered.length; i++) {
      assert.deepEqual(await readAll(reader, selection, { kind: 'range', to: ordered[i]! }), ordered.slice(0, i));
      assert.deepEqual(await readAll(reader, selection, { kind: 'range', from: ordered[i]! }), ordered.slice(i));
    }
    // a character that this encoding does not have is in no row
    assert.deepEqual(await readAll(reader, selection, { kind: 'keys', keys: [row('é')] }), [row('é')]);
  }
  await using db = await testDatabase(`encoding 'SQL_ASCII' locale 'C' locale_provider libc template template0`);
  await db.query(
    `create table a (k int primary key, t text); insert into a values (1, convert_from('\\x61ff62', 'SQL_ASCII')), (2, 'é')`,
  );
  await using endpoint = await connect(db.url);
  await using reader = await endpoint.snapshot({ signal });
  assert.deepEqual(await readAll(reader, nativeSelection(await tableOf(endpoint, 'a'), ['k'])), [
    row('1', 'a\udcffb'),
    row('2', 'é'),
  ]);
});

test('what goes wrong while rows are taken in is an error of the read, not of the process', async () => {
  const seen: number[] = [];
  await using db = await testDatabase();
  await db.query('create table a (id int primary key); insert into a select generate_series(1, 5000)');
  const config = parseConfig(db.url);
  const client = await openClient(config, undefined, 'db', signal);
  await using session = new Session(
    {
      name: 'db',
      config,
      tls: undefined,
      clock: systemClock,
      statementTimeoutMs: undefined,
      searchPath: 'pg_catalog',
      clientEncoding: 'UTF8',
    },
    client,
  );
  const at = { signal, doing: 'reading' };
  await session.begin('read', at);
  const sink = {
    row: (bytes: Buffer, start: number): void => {
      seen.push(bytes[start]!);
      if (seen.length === 3000) throw new Error('cannot take this row');
    },
    take: () => undefined,
  };
  await assert.rejects(
    session.copy('copy (select id from public.a) to stdout', sink, at).next(),
    /cannot take this row/,
  );
  assert.equal(seen.length, 3000);
  assert.deepEqual(
    await session.query('select count(*) from public.a', undefined, at),
    [['5000']],
    'the transaction goes on',
  );
});

test('our own schema is never shown, and keys that are not total are told as such', async () => {
  await using db = await testDatabase();
  await db.query(`
    create table a (id int, n int, e text not null, p int not null, x int not null, d int not null unique deferrable);
    create unique index by_null on a (n); create unique index by_expression on a (lower(e)); create unique index by_part on a (p) where x > 0; create unique index by_two on a (x, p) include (id);
    create view v as select 1 as one; create materialized view mv as select 2 as two`);
  await using target = await connect(db.url, { writable: true });
  await target.writer!.prepare({ signal });
  const { tables } = await target.inspect({ signal, schemas: ['lockstep', 'public'] });
  assert.deepEqual(
    tables.map((t) => [t.name, t.kind]),
    [
      ['a', 'table'],
      ['mv', 'view'],
      ['v', 'view'],
    ],
  );
  assert.deepEqual(
    new Map(tables[0]!.uniques.map((u) => [u.name, [u.columns.join(), u.total]])),
    new Map([
      ['a_d_key', ['d', true]],
      ['by_null', ['n', false]],
      ['by_part', ['p', false]],
      ['by_two', ['x,p', true]],
    ]),
  );
});
