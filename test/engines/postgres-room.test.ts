import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { postgres } from '../../src/engines/postgres/index.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { LockstepError } from '../../src/model/errors.ts';
import { applied, type Bench, bench, planned, synced } from '../apply/bench.ts';
import { startPostgres, type TestDatabase, testDatabase } from '../servers/postgres.ts';

/** `pool: { max }` bounds every connection of an endpoint. */

const { signal } = new AbortController();
let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());

const connect = (db: TestDatabase, max: number, writable = true): Promise<Endpoint> =>
  postgres.connect(
    { ...postgres.parse(db.url), poolMax: max, applicationName: 'bounded' },
    { name: 'b', writable, signal },
  );

const refused = (error: unknown): boolean => {
  const { code, message } = error as LockstepError;
  return code === 'CONFIG' && /pool: \{ max: \d \}/.test(message);
};

test('no more sessions are open than the pool allows, in a run that would like many, and it ends', async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  const table = (name: string): string => `create table ${name} (id int primary key, v text);
    insert into ${name} select i, 'v' || i from generate_series(1, 3000) i;`;
  const names = ['t1', 't2', 't3'];
  await source.query(names.map(table).join(''));
  // Every statement of ours is seen with how many sessions of ours there are.
  await target.query(`${names.map(table).join('')}
    create table seen (n bigint); create function see() returns trigger language plpgsql as $$ begin
      insert into seen select count(*) from pg_stat_activity where application_name = 'bounded' and datname = current_database(); return null; end $$;
    ${names.map((n) => `update ${n} set v = 'old' where id % 3 = 0; create trigger see after update on ${n} for each statement execute function see();`).join('')}`);
  await using left = await connect(source, 2, false);
  await using right = await connect(target, 3);
  const done = await synced(b.store, {
    source: left,
    target: right,
    pairs: names.map((name) => ({ source: name })),
    settings: { batchSize: 50, concurrency: 8 },
  });
  assert.deepEqual([done.exit, done.sync.verdict, done.sync.applied.update], [0, 'agrees', 3000]);
  const { rows } = await target.query('select max(n)::int as most, count(*)::int as statements from seen');
  assert.equal(rows[0].most, 3);
  assert.ok(rows[0].statements >= 60);
});

test('a pool that is too small to write is refused before anything is read', async () => {
  await using db = await testDatabase();
  await assert.rejects(connect(db, 2), refused);
});

test('a connection that does not fit is refused, and names what to set; the others live on', async () => {
  await using db = await testDatabase();
  await using endpoint = await connect(db, 2, false);
  await using first = await endpoint.snapshot({ signal });
  const second = await endpoint.snapshot({ signal });
  await assert.rejects(endpoint.snapshot({ signal }), refused);
  await second[Symbol.asyncDispose]();
  await using third = await endpoint.snapshot({ signal });
  assert.notEqual(third, first);
});

test('sessions that the writer keeps for later make room for readers', async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  await source.query('create table t (id int primary key); insert into t select generate_series(1, 40)');
  await target.query('create table t (id int primary key)');
  await using left = await connect(source, 2, false);
  await using right = await connect(target, 3);
  const { plan } = await planned(b.store, { source: left, target: right });
  const settings = { batchSize: 5, concurrency: 2 };
  const done = await applied(b.store, plan.header.id, { target: right, settings });
  assert.equal(done.exit, 0);
  await using _one = await right.snapshot({ signal });
  await using _two = await right.snapshot({ signal });
  await using _three = await right.snapshot({ signal });
});

test('a password is taken from ~/.pgpass by the rules of libpq: first line that fits, escapes, and nobody else may read it', async () => {
  await using server = await startPostgres();
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-pass-'));
  const file = join(folder, 'passwords');
  const url = new URL(server.url());
  url.password = '';
  const known = { PGPASSFILE: process.env['PGPASSFILE'], PGPASSWORD: process.env['PGPASSWORD'] };
  process.env['PGPASSFILE'] = file;
  delete process.env['PGPASSWORD'];
  const write = (mode: number, ...lines: readonly string[]): void => {
    writeFileSync(file, `${lines.join('\n')}\n`);
    chmodSync(file, mode);
  };
  const open = async (): Promise<void> =>
    (await postgres.connect(postgres.parse(url.href), { name: 'b', writable: false, signal }))[Symbol.asyncDispose]();
  const asked = (pattern: RegExp) => (error: unknown) =>
    (error as LockstepError).code === 'AUTH' &&
    pattern.test(`${(error as Error).message} ${(error as LockstepError).hint}`);
  try {
    await assert.rejects(open(), asked(/asks for a password of tester, and none was given.*~\/\.pgpass/s));
    write(
      0o600,
      '# a comment',
      'elsewhere:*:*:tester:wrong',
      `${url.hostname}:${url.port}:*:tester:tester`,
      '*:*:*:*:wrong',
    );
    await open();
    write(0o600, '*:*:*:other:wrong', '*:*:postgres:t\\ester:teste\\r');
    await open();
    write(0o600, '*:*:*:*:wrong', '*:*:*:tester:tester');
    await assert.rejects(open(), asked(/refused the password of tester/));
    write(0o644, '*:*:*:tester:tester');
    await assert.rejects(open(), asked(/was not used: others than its owner have rights to it/));
    process.env['PGPASSWORD'] = 'tester';
    await open();
  } finally {
    for (const [name, value] of Object.entries(known)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    rmSync(folder, { recursive: true, force: true });
  }
});
