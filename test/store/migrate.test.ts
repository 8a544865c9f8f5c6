import assert from 'node:assert/strict';
import { test } from 'node:test';
import { urlConnector } from '../../src/store/postgres/connect.ts';
import { openDatabase } from '../../src/store/postgres/database.ts';
import { migrate, readMigrations } from '../../src/store/postgres/migrate.ts';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { testDatabase } from '../servers/postgres.ts';
import { o } from './plain.ts';

const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;
const known = readMigrations();
const extra = (number: number, sql: string) => ({ number, name: `${number}-test.sql`, sql, checksum: `c${number}` });

test('the migrations are numbered from 1 without a gap', () => {
  assert.ok(known.length > 0);
  assert.deepEqual(
    known.map(({ number }) => number),
    known.map((_, i) => i + 1),
  );
});

test('many that open a new store at once make it once', async () => {
  await using database = await testDatabase();
  const stores = await Promise.all(Array.from({ length: 8 }, () => openPostgresStore(urlConnector(database.url), o)));
  const { rows } = await database.query('select number, made_by from lockstep_control.migration order by number');
  assert.deepEqual(
    rows.map((r) => r.number),
    known.map(({ number }) => number),
  );
  assert.match(rows[0].made_by, /^\d+\.\d+\.\d+/);
  for (const store of stores) assert.deepEqual(await store.runs.list({}, o), []);
  await Promise.all(stores.map((store) => store[Symbol.asyncDispose]()));
});

test('a newer store is refused with instructions, and not touched', async () => {
  await using database = await testDatabase();
  const connector = urlConnector(database.url);
  await using control = openDatabase(connector);
  await migrate(control, {
    ...o,
    version: '9.9.0',
    migrations: [...known, extra(known.at(-1)!.number + 1, 'create table lockstep_control.later ()')],
  });
  await assert.rejects(openPostgresStore(connector, o), (error: { code?: string; message?: string; hint?: string }) => {
    assert.equal(error.code, 'STORE_NEWER');
    assert.match(error.message!, /newer Lockstep, 9\.9\.0/);
    assert.match(error.hint!, /Use Lockstep 9\.9\.0 or newer/);
    return true;
  });
});

test('an older store is brought up to date, its content kept', async () => {
  await using database = await testDatabase();
  await using control = openDatabase(urlConnector(database.url));
  await migrate(control, { ...o, version: '0.1.0', migrations: known });
  await database.query(
    `insert into lockstep_control.run (id, kind, correlation, actor, started) values ('r_1', 'diff', 'c', 'me', now())`,
  );
  const later = extra(known.at(-1)!.number + 1, `alter table lockstep_control.run add colour text default 'blue'`);
  await migrate(control, { ...o, version: '0.2.0', migrations: [...known, later] });
  const { rows } = await database.query('select id, colour from lockstep_control.run');
  assert.deepEqual(rows, [{ id: 'r_1', colour: 'blue' }]);
});

test('a migration that fails leaves the store as it was', async () => {
  await using database = await testDatabase();
  await using control = openDatabase(urlConnector(database.url));
  const bad = [...known, extra(known.at(-1)!.number + 1, 'create table lockstep_control.half (); select 1 / 0')];
  await assert.rejects(migrate(control, { ...o, version: '0.2.0', migrations: bad }), code('DATABASE'));
  const { rows } = await database.query(`select to_regnamespace('lockstep_control') as schema`);
  assert.deepEqual(rows, [{ schema: null }]);
  await migrate(control, { ...o, version: '0.1.0', migrations: known });
});

test('a store whose migration is not ours is refused', async () => {
  await using database = await testDatabase();
  await using control = openDatabase(urlConnector(database.url));
  await migrate(control, { ...o, version: '0.1.0', migrations: known });
  await database.query(`update lockstep_control.migration set checksum = 'other' where number = 1`);
  await assert.rejects(openPostgresStore(urlConnector(database.url), o), code('STORE'));
});

test('a user without the right to make the schema gets the grant to ask for; one who owns it needs no more', async () => {
  await using database = await testDatabase();
  const role = `r_${database.name}`;
  await database.query(`create role ${role} login password 'x'`);
  try {
    const url = new URL(database.url);
    url.username = role;
    url.password = 'x';
    await assert.rejects(openPostgresStore(urlConnector(url.href), o), (error: { code?: string; hint?: string }) => {
      assert.equal(error.code, 'PRIVILEGE');
      assert.match(error.hint!, /CREATE on the database/);
      return true;
    });
    await database.query(`create schema lockstep_control authorization ${role}`);
    const store = await openPostgresStore(urlConnector(url.href), o);
    assert.deepEqual(await store.runs.list({}, o), []);
    await store[Symbol.asyncDispose]();
  } finally {
    await database.query(`drop owned by ${role} cascade`);
    await database.query(`drop role ${role}`);
  }
});

test('a control store that cannot be reached is an error that names it, without its password', async () => {
  await using database = await testDatabase();
  const wrong = (change: (url: URL) => void): string => {
    const url = new URL(database.url);
    change(url);
    return url.href;
  };
  const cases: readonly (readonly [string, string])[] = [
    [
      wrong((url) => {
        url.port = '1';
        url.password = 'hunter2';
      }),
      'CONNECT',
    ],
    [
      wrong((url) => {
        url.password = 'hunter2';
      }),
      'AUTH',
    ],
    [
      wrong((url) => {
        url.pathname = '/no_such_database';
      }),
      'STORE',
    ],
    ['postgres://me:hunter2@no-such-host.invalid/db', 'CONNECT'],
    ['mysql://me:hunter2@host/db', 'CONFIG'],
    ['postgres://me:hunter2@host:99999999/db', 'CONFIG'],
  ];
  for (const [url, expected] of cases) {
    const opening = Promise.resolve().then(() => openPostgresStore(urlConnector(url), o));
    await assert.rejects(opening, (error: { code?: string; message: string; hint?: string }) => {
      assert.equal(error.code, expected, error.message);
      assert.doesNotMatch(JSON.stringify([error.message, error.hint, error]), /hunter2/);
      return true;
    });
  }
});
