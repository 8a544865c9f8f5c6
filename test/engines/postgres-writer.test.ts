import assert from 'node:assert/strict';
import { createConnection, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import type { Row } from '../../src/model/row.ts';
import { nativeSelection } from '../../src/model/selection.ts';
import { testDatabase } from '../servers/postgres.ts';
import { batchOf, connect, insert, keyOf, never, remove, row, rowsNow, tableOf, update } from './postgres-support.ts';

const signal = never;
let step = 0;
const mark = (token = 1n): { run: string; step: number; token: bigint } => ({ run: 'r_test', step: step++, token });

test('a write is stored, read back before the commit, and a repeat of its step is known', async () => {
  await using db = await testDatabase();
  await db.query('create table a (id int primary key, t text, n numeric(10,2) default 7)');
  await using target = await connect(db.url, { writable: true });
  const table = await tableOf(target, 'a');
  const writer = target.writer!;
  assert.equal(await writer.prepare({ signal }), 'marker');
  const m = mark();
  const seen: (readonly (Row | null)[])[] = [];
  const changes = [insert(table, row('1', 'x', null), [0, 1]), insert(table, row('2', 'o\'"\\\n', '3.1'))];
  const applied = await writer.apply(m, [batchOf(table, ...changes)], {
    signal,
    written: (w) => void seen.push(w.stored),
  });
  assert.deepEqual(applied, { status: 'done' });
  assert.deepEqual(seen, [[row('1', 'x', '7'), row('2', 'o\'"\\\n', '3.1')]]);
  assert.deepEqual(await writer.apply(m, [batchOf(table, ...changes)], { signal }), { status: 'already' });
  assert.equal(await writer.applied(m, { signal }), true);
  assert.equal(await writer.applied({ run: 'r_test', step: 999_999 }, { signal }), false);
  assert.deepEqual((await db.query('select count(*)::int as n from a')).rows, [{ n: 2 }]);
});

test('a row that moved in any column stops the whole step and is shown as it is', async () => {
  await using db = await testDatabase();
  await db.query(
    `create table a (id int primary key, t text, other text); insert into a values (1,'x','o'),(2,'y','o'),(3,'z','o')`,
  );
  await using target = await connect(db.url, { writable: true });
  const table = await tableOf(target, 'a');
  await db.query(`update a set other = 'moved' where id = 2`);
  const result = await target.writer!.apply(
    mark(),
    [
      batchOf(table, insert(table, row('9', 'new', null))),
      batchOf(
        table,
        update(table, row('1', 'x', 'o'), row('1', 'X', 'o')),
        update(table, row('2', 'y', 'o'), row('2', 'Y', 'o')),
      ),
    ],
    { signal },
  );
  assert.equal(result.status, 'stale');
  assert.deepEqual(result.status === 'stale' && result.rows.map((r) => [r.change.key, r.found]), [
    [row('2'), row('2', 'y', 'moved')],
  ]);
  assert.deepEqual((await db.query('select id, t from a order by id')).rows, [
    { id: 1, t: 'x' },
    { id: 2, t: 'y' },
    { id: 3, t: 'z' },
  ]);
});

test('an insert neither skips nor overwrites a row that is there, and a delete or update of a missing row is stale', async () => {
  await using db = await testDatabase();
  await db.query(`create table a (id int primary key, t text); insert into a values (1,'mine')`);
  await using target = await connect(db.url, { writable: true });
  const table = await tableOf(target, 'a');
  const taken = await target.writer!.apply(
    mark(),
    [batchOf(table, insert(table, row('1', 'theirs')), insert(table, row('2', 'b')))],
    { signal },
  );
  assert.deepEqual(taken.status === 'stale' && taken.rows.map((r) => r.found), [row('1', 'mine')]);
  const gone = await target.writer!.apply(mark(), [batchOf(table, remove(table, row('7', 'x')))], { signal });
  assert.deepEqual(gone.status === 'stale' && gone.rows.map((r) => r.found), [null]);
  assert.deepEqual((await db.query('select * from a')).rows, [{ id: 1, t: 'mine' }]);
});

test('values that look alike to an operator are not the row that was reviewed', async () => {
  await using db = await testDatabase();
  await db.query(
    `create extension citext; create table a (id int primary key, c citext, i interval); insert into a values (1, 'abc', '1 mon'), (2, 'abc', '1 mon')`,
  );
  await using target = await connect(db.url, { writable: true });
  const table = await tableOf(target, 'a');
  const result = await target.writer!.apply(
    mark(),
    [batchOf(table, remove(table, row('1', 'ABC', 'P1M')), remove(table, row('2', 'abc', 'P30D')))],
    { signal },
  );
  assert.equal(result.status === 'stale' && result.rows.length, 2);
});

test('a row that the database refuses is named with its words, and nothing is written', async () => {
  await using db = await testDatabase();
  await db.query(`create table a (id int primary key, n int check (n < 100), t varchar(3))`);
  await using target = await connect(db.url, { writable: true });
  const table = await tableOf(target, 'a');
  for (const bad of [
    row('37', '500', 'x'),
    row('37', '5', 'abcd'),
    row('37', 'many', 'x'),
    row('37', '5', 'a\0b'),
    row('37', '5', '\udc80'),
  ]) {
    const changes = Array.from({ length: 50 }, (_, i) => insert(table, i === 37 ? bad : row(String(i), '1', 'x')));
    const result = await target.writer!.apply(mark(), [batchOf(table, ...changes)], { signal });
    assert.equal(result.status, 'rejected');
    assert.equal(result.status === 'rejected' && result.change?.key[0], '37');
    assert.ok(result.status === 'rejected' && result.reason.length > 10 && /^2[23]/.test(result.sqlState ?? ''));
  }
  assert.deepEqual((await db.query('select count(*)::int as n from a')).rows, [{ n: 0 }]);
});

test('rows exchange unique values within a batch', async () => {
  await using db = await testDatabase();
  await db.query(`
    create table plain (id int primary key, u int not null unique, t text unique, g uuid not null unique, d date not null unique);
    insert into plain values (1, 10, 'a', '00000000-0000-0000-0000-000000000001', '2020-01-01'), (2, 20, 'b', '00000000-0000-0000-0000-000000000002', '2020-01-02'), (3, 30, 'c', '00000000-0000-0000-0000-000000000003', '2020-01-03');
    create table later (id int primary key, u int not null unique deferrable); insert into later values (1, 10), (2, 20)`);
  await using target = await connect(db.url, { writable: true });
  const plain = await tableOf(target, 'plain');
  const [one, two, three] = (await rowsNow(target, plain)) as [Row, Row, Row];
  const swapped = [
    update(plain, one, [one[0]!, ...two.slice(1)]),
    update(plain, two, [two[0]!, ...three.slice(1)]),
    update(plain, three, [three[0]!, ...one.slice(1)]),
  ];
  assert.deepEqual(await target.writer!.apply(mark(), [batchOf(plain, ...swapped)], { signal }), { status: 'done' });
  assert.deepEqual(
    (await db.query('select u, t, d::text from plain order by id')).rows.map((r) => r.u),
    [20, 30, 10],
  );
  const later = await tableOf(target, 'later');
  assert.deepEqual(
    await target.writer!.apply(
      mark(),
      [batchOf(later, update(later, row('1', '10'), row('1', '20')), update(later, row('2', '20'), row('2', '10')))],
      { signal },
    ),
    { status: 'done' },
  );
  // a real conflict inside a swap is blamed on the row that has it
  await db.query(`insert into plain values (9, 90, 'z', gen_random_uuid(), '2021-01-01')`);
  const now = (await rowsNow(target, plain)) as [Row, Row, Row, Row];
  const [a, b, c] = now;
  const bad = [
    update(plain, a, [a[0]!, b[1]!, ...a.slice(2)]),
    update(plain, b, [b[0]!, a[1]!, ...b.slice(2)]),
    update(plain, c, [c[0]!, now[3][1]!, ...c.slice(2)]),
  ];
  const result = await target.writer!.apply(mark(), [batchOf(plain, ...bad)], { signal });
  assert.equal(result.status === 'rejected' && result.change?.key[0], '3');
});

test('identity, generated and default columns: written by override, left to the database, moved on', async () => {
  await using db = await testDatabase();
  await db.query(`
    create table a (id bigint generated always as identity primary key, n int, twice int generated always as (n * 2) stored, s serial);
    insert into a (n) values (1)`);
  await using target = await connect(db.url, { writable: true });
  const table = await tableOf(target, 'a');
  assert.deepEqual(
    table.columns.map((c) => [c.name, c.generated, c.serial ?? false]),
    [
      ['id', 'identity', true],
      ['n', undefined, false],
      ['twice', 'always', false],
      ['s', undefined, true],
    ],
  );
  const stored: (Row | null)[] = [];
  const result = await target.writer!.apply(mark(), [batchOf(table, insert(table, row('100', '5', null, '7')))], {
    signal,
    written: (w) => void stored.push(...w.stored),
  });
  assert.deepEqual(result, { status: 'done' });
  assert.deepEqual(stored, [row('100', '5', '10', '7')]);
  await target.writer!.advanceSequences([table], { signal });
  const [next] = (await db.query('insert into a (n) values (3) returning id::int, s')).rows;
  assert.deepEqual(next, { id: 101, s: 8 });
  await db.query('delete from a where id >= 100');
  await target.writer!.advanceSequences([table], { signal });
  assert.deepEqual(
    (await db.query('insert into a (n) values (3) returning id::int')).rows,
    [{ id: 102 }],
    'a sequence never goes back',
  );
});

test('a row is read back after the triggers that follow it, and one that a trigger turns away is refused', async () => {
  await using db = await testDatabase();
  await db.query(`
    create table a (id int primary key, t text);
    create function loud() returns trigger language plpgsql as $$ begin update a set t = upper(t) where id = new.id and t <> upper(t); return null; end $$;
    create trigger loud after insert on a for each row execute function loud();
    create table b (id int primary key, t text);
    create function no() returns trigger language plpgsql as $$ begin return null; end $$;
    create trigger no before insert or delete on b for each row execute function no()`);
  await using target = await connect(db.url, { writable: true });
  const a = await tableOf(target, 'a');
  assert.deepEqual(a.triggers, ['loud']);
  const stored: (Row | null)[] = [];
  await target.writer!.apply(mark(), [batchOf(a, insert(a, row('1', 'x')))], {
    signal,
    written: (w) => void stored.push(...w.stored),
  });
  assert.deepEqual(stored, [row('1', 'X')]);
  const b = await tableOf(target, 'b');
  const refused = await target.writer!.apply(mark(), [batchOf(b, insert(b, row('1', 'x')))], { signal });
  assert.equal(refused.status, 'rejected');
  await db.query(`alter table b disable trigger no; insert into b values (5, 'k'); alter table b enable trigger no`);
  const kept = await target.writer!.apply(mark(), [batchOf(b, remove(b, row('5', 'k')))], { signal });
  assert.equal(kept.status, 'rejected');
});

test('foreign keys that may be deferred are checked before the commit, and their refusal is told', async () => {
  await using db = await testDatabase();
  await db.query(`create table a (id int primary key, up int references a deferrable)`);
  await using target = await connect(db.url, { writable: true });
  const a = await tableOf(target, 'a');
  assert.deepEqual(
    await target.writer!.apply(mark(), [batchOf(a, insert(a, row('1', '2')), insert(a, row('2', '1')))], { signal }),
    { status: 'done' },
  );
  const orphan = await target.writer!.apply(mark(), [batchOf(a, insert(a, row('3', '99')))], { signal });
  assert.equal(orphan.status === 'rejected' && orphan.sqlState, '23503');
  assert.deepEqual((await db.query('select count(*)::int as n from a')).rows, [{ n: 2 }]);
});

test('every type can be written and reads back as it was', async () => {
  await using db = await testDatabase();
  await db.query(`
    create extension citext; create extension hstore; create type mood as enum ('sad', 'happy"x'); create domain pos as numeric(10,3) check (value > 0); create type duo as (a int, b text);
    create table a (id bigint primary key, b bool, i2 int2, n numeric, n2 numeric(10,2), m money, f4 float4, f8 float8, t text, v varchar(10), c char(5), ct citext, nm name, ch "char", o oid, by bytea, u uuid, d date,
      tm time, tz timetz, ts timestamp, tsz timestamptz, iv interval, j json, jb jsonb, bi bit(4), vb varbit, e mood, p pos, ar int[], ta text[], r int4range, ine inet, hs hstore, x xml, co duo);
    create table b (like a including all);
    insert into a values (1, true, 1, '-0.5', 3.10, 12.5, 0.1, 1e23, E'a\\tb\\\\c\\nd"''{}', 'x', 'ab', 'ABC', 'nm', 'c', 4000000000, '\\x00ff', '550E8400-E29B-41D4-A716-446655440000', '0044-03-15 BC', '24:00:00', '10:00+02',
      '294276-12-31 23:59:59.999999', '0044-03-15 10:00:00.5 BC', '1 mon -2 days 3.5 seconds', '{"b": 1.0, "a": 2e2}', '{"b": 1.0, "a": 2e2}', '0101', '101', 'happy"x', 1.5, '{1,NULL}', '{"a,b","c\\"d"}', '[1,5)', '10.0.0.1/24', 'a=>1', '<a/>', '(1,"x y")'),
      (2, false, -32768, 'NaN', 'NaN', -0.01, '-inf', 'nan', '', '', '', '', '', '', 0, '', null, 'infinity', '00:00', null, '-infinity', 'infinity', '0', 'null', 'null', '0000', '', 'sad', 0.001, '{}', '{{a,b},{NULL,"NULL"}}', 'empty', '::1', '', '', '(,)'),
      (3, null, null, 'Infinity', null, null, 1.4e-45, 5e-324, '\\N', null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null),
      (4, null, null, '123456789012345678901234567890.123456', null, null, 3.4028235e38, 1.7976931348623157e308, 'é😀 NULL', 'NULL', null, null, null, null, null, null, null, '10000-01-01', null, null, '2024-01-01 00:00:00.000001', null, null, null, '[1,{"é":"\\u0001"}]', null, null, null, null, null, null, null, null, null, null, null)`);
  await using target = await connect(db.url, { writable: true });
  const a = await tableOf(target, 'a');
  const b = await tableOf(target, 'b');
  const rows = await rowsNow(target, a);
  const inserted: (Row | null)[] = [];
  assert.deepEqual(
    await target.writer!.apply(mark(), [batchOf(b, ...rows.map((r) => insert(b, r)))], {
      signal,
      written: (w) => void inserted.push(...w.stored),
    }),
    { status: 'done' },
  );
  assert.deepEqual(inserted, rows);
  assert.deepEqual(await rowsNow(target, b), rows);
  // bit for bit the same to the database, but for the writing of json
  assert.deepEqual(
    (
      await db.query(
        `select count(*)::int as n from a as xx join b as yy using (id) where row(xx.*)::text = row(yy.*)::text or (id = 1 and to_jsonb(xx) = to_jsonb(yy))`,
      )
    ).rows,
    [{ n: 4 }],
  );
  const emptied = rows.map((r) => [r[0]!, ...r.slice(1).map(() => null)] as Row);
  assert.deepEqual(
    await target.writer!.apply(mark(), [batchOf(b, ...rows.map((r, i) => update(b, r, emptied[i]!)))], { signal }),
    { status: 'done' },
  );
  assert.deepEqual(
    await target.writer!.apply(mark(), [batchOf(b, ...rows.map((r, i) => update(b, emptied[i]!, r)))], { signal }),
    { status: 'done' },
  );
  assert.deepEqual(await rowsNow(target, b), rows);
  assert.deepEqual(await target.writer!.apply(mark(), [batchOf(b, ...rows.map((r) => remove(b, r)))], { signal }), {
    status: 'done',
  });
  assert.deepEqual(await rowsNow(target, b), []);
});

test('the lock names its holder, passes on with a higher token, and the lower token writes nothing', async () => {
  await using db = await testDatabase();
  await db.query('create table a (id int primary key, t text)');
  await using target = await connect(db.url, { writable: true });
  await using other = await connect(db.url, { writable: true });
  const table = await tableOf(target, 'a');
  const first = await target.writer!.lock({ run: 'r_one', pair: 'a' }, { signal });
  await assert.rejects(
    other.writer!.lock({ run: 'r_two', pair: 'a' }, { signal }),
    (e: Error & { code?: string }) => e.code === 'LOCK_HELD' && e.message.includes('r_one'),
  );
  await using elsewhere = await other.writer!.lock({ run: 'r_two', pair: 'another' }, { signal });
  assert.ok(elsewhere.token > first.token);
  assert.deepEqual(
    await target.writer!.apply(mark(first.token), [batchOf(table, insert(table, row('1', 'x')))], { signal }),
    { status: 'done' },
    'a lock of another pair does not fence this one',
  );
  // as if the first holder had been silent for too long
  await db.query(`update lockstep.locks set expires = now() - interval '1 s' where name = 'a'`);
  await using second = await other.writer!.lock({ run: 'r_two', pair: 'a' }, { signal });
  assert.ok(second.token > first.token);
  await assert.rejects(
    target.writer!.apply(mark(first.token), [batchOf(table, insert(table, row('2', 'x')))], { signal }),
    { code: 'FENCED' },
  );
  await first[Symbol.asyncDispose]();
  await assert.rejects(
    target.writer!.lock({ run: 'r_three', pair: 'a' }, { signal }),
    { code: 'LOCK_HELD' },
    'the late end of the first does not free the second',
  );
  assert.deepEqual((await db.query('select count(*)::int as n from a')).rows, [{ n: 1 }]);
});

test('the lock of a holder whose session is gone is free at once', async () => {
  await using db = await testDatabase();
  await using target = await connect(db.url, { writable: true });
  const first = await target.writer!.lock({ run: 'r_one', pair: 'a' }, { signal });
  await db.query(`select pg_terminate_backend(backend, 5000) from lockstep.locks where name = 'a'`);
  await using other = await connect(db.url, { writable: true });
  await using second = await other.writer!.lock({ run: 'r_two', pair: 'a' }, { signal });
  assert.ok(second.token > first.token);
  await first[Symbol.asyncDispose]();
});

test('without the right to make the marker table, repeats are recognised by the state of the rows', async () => {
  await using db = await testDatabase();
  await db.query(
    `create table a (id int primary key, t text); drop role if exists lockstep_plain; create role lockstep_plain login password 'plain'; grant select, insert, update, delete on a to lockstep_plain; grant usage on schema public to lockstep_plain`,
  );
  try {
    const url = new URL(db.url);
    url.username = 'lockstep_plain';
    url.password = 'plain';
    await using target = await connect(url.href, { writable: true });
    const table = await tableOf(target, 'a');
    assert.equal(await target.writer!.prepare({ signal }), 'state');
    await using lock = await target.writer!.lock({ run: 'r', pair: 'a' }, { signal });
    await assert.rejects(target.writer!.lock({ run: 'r2', pair: 'a' }, { signal }), { code: 'LOCK_HELD' });
    const m = mark(lock.token);
    assert.deepEqual(await target.writer!.apply(m, [batchOf(table, insert(table, row('1', 'x')))], { signal }), {
      status: 'done',
    });
    const again = await target.writer!.apply(m, [batchOf(table, insert(table, row('1', 'x')))], { signal });
    assert.deepEqual(again.status === 'stale' && again.rows.map((r) => r.found), [row('1', 'x')]);
    assert.equal(await target.writer!.applied(m, { signal }), false);
  } finally {
    await db.query('drop owned by lockstep_plain; drop role lockstep_plain');
  }
});

test('a write waits for a rival transaction, and then sees what the rival left', async () => {
  await using db = await testDatabase();
  await db.query(`create table a (id int primary key, t text); insert into a values (1, 'x')`);
  await using target = await connect(db.url, { writable: true });
  const table = await tableOf(target, 'a');
  await db.query('begin');
  await db.query(`update a set t = 'rival' where id = 1`);
  const writing = target.writer!.apply(mark(), [batchOf(table, update(table, row('1', 'x'), row('1', 'ours')))], {
    signal,
  });
  await using watcher = await testDatabaseWatcher(db.url);
  await watcher.untilBlocked();
  await db.query('commit');
  const result = await writing;
  assert.deepEqual(result.status === 'stale' && result.rows.map((r) => r.found), [row('1', 'rival')]);
});

test('aborting a write that waits cancels it at the server and leaves nothing', async () => {
  await using db = await testDatabase();
  await db.query(`create table a (id int primary key, t text); insert into a values (1, 'x')`);
  await using target = await connect(db.url, { writable: true });
  const table = await tableOf(target, 'a');
  await target.writer!.prepare({ signal });
  await db.query('begin');
  await db.query(`update a set t = 'rival' where id = 1`);
  const stop = new AbortController();
  const m = mark();
  const writing = target.writer!.apply(m, [batchOf(table, update(table, row('1', 'x'), row('1', 'ours')))], {
    signal: stop.signal,
  });
  await using watcher = await testDatabaseWatcher(db.url);
  await watcher.untilBlocked();
  stop.abort();
  await assert.rejects(writing, { code: 'ABORTED' });
  await db.query('rollback');
  assert.equal(await target.writer!.applied(m, { signal }), false);
  assert.deepEqual((await db.query('select t from a')).rows, [{ t: 'x' }]);
});

test('a reply that is lost after the commit is settled by the marker', async () => {
  await using db = await testDatabase();
  await db.query('create table a (id int primary key, t text)');
  const server = new URL(db.url);
  // passes everything on until the commit has gone out; then the server's words are lost
  let sockets: Socket[] = [];
  let lose = false;
  const proxy = createServer((near) => {
    const far = createConnection(Number(server.port), server.hostname);
    sockets.push(near, far);
    near.on('data', (bytes) => {
      if (bytes.includes('commit\0')) lose = armed;
      far.write(bytes);
    });
    far.on('data', (bytes) => {
      if (lose) for (const s of sockets) s.destroy();
      else near.write(bytes);
    });
    for (const s of [near, far]) s.on('error', () => {}).on('close', () => (s === near ? far : near).destroy());
  });
  let armed = false;
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const { port } = proxy.address() as { port: number };
  try {
    await using target = await connect(
      { host: '127.0.0.1', port, user: server.username, password: server.password, database: db.name },
      { writable: true },
    );
    const table = await tableOf(target, 'a');
    await target.writer!.prepare({ signal });
    const m = mark();
    armed = true;
    await assert.rejects(target.writer!.apply(m, [batchOf(table, insert(table, row('1', 'x')))], { signal }), {
      code: 'CONNECTION_LOST',
      retry: 'now',
    });
    armed = false;
    lose = false;
    sockets = [];
    assert.equal(await target.writer!.applied(m, { signal }), true);
    assert.deepEqual(await target.writer!.apply(m, [batchOf(table, insert(table, row('1', 'x')))], { signal }), {
      status: 'already',
    });
    assert.deepEqual((await db.query('select * from a')).rows, [{ id: 1, t: 'x' }]);
  } finally {
    await new Promise((resolve) => proxy.close(resolve));
  }
});

test('deleting a row that takes others of the batch with it is done', async () => {
  await using db = await testDatabase();
  await db.query(
    `create table a (id int primary key, up int references a on delete cascade); insert into a values (1, null), (2, 1), (3, 2)`,
  );
  await using target = await connect(db.url, { writable: true });
  const table = await tableOf(target, 'a');
  const rows = await rowsNow(target, table);
  assert.deepEqual(
    await target.writer!.apply(mark(), [batchOf(table, ...rows.map((r) => remove(table, r)))], { signal }),
    { status: 'done' },
  );
  assert.deepEqual(await rowsNow(target, table), []);
});

test('a partitioned table is written through its parent', async () => {
  await using db = await testDatabase();
  await db.query(`create table a (id int, day date, t text, primary key (id, day)) partition by range (day);
    create table a1 partition of a for values from ('2020-01-01') to ('2021-01-01'); create table a2 partition of a default`);
  await using target = await connect(db.url, { writable: true });
  const { tables } = await target.inspect({ signal });
  assert.deepEqual(
    tables.map((t) => [t.name, t.kind]),
    [['a', 'partitioned']],
  );
  const table = tables[0]!;
  assert.deepEqual(keyOf(table), ['id', 'day']);
  assert.deepEqual(
    await target.writer!.apply(
      mark(),
      [batchOf(table, insert(table, row('1', '2020-05-05', 'x')), insert(table, row('1', '2030-05-05', 'y')))],
      { signal },
    ),
    { status: 'done' },
  );
  assert.deepEqual((await db.query('select count(*)::int as n from a1')).rows, [{ n: 1 }]);
  assert.equal(nativeSelection(table, keyOf(table)).columns.length, 3);
});

const testDatabaseWatcher = async (url: string): Promise<AsyncDisposable & { untilBlocked(): Promise<void> }> => {
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return {
    untilBlocked: async () => {
      for (;;) {
        const { rows } = await client.query(
          `select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        );
        if (rows[0].n > 0) return;
      }
    },
    [Symbol.asyncDispose]: () => client.end(),
  };
};
