import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { createBackup, openBackup, verifyBackup } from '../../src/backup/backup.ts';
import { listBackups } from '../../src/backup/shelf.ts';
import { findPgTools } from '../../src/engines/postgres/pg-tools.ts';
import { loadEngine } from '../../src/engines/registry.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { DumpArchive, Dumping } from '../../src/model/dump.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { LockstepError } from '../../src/model/errors.ts';
import { testDatabase } from '../servers/postgres.ts';
import { startSystemPostgres } from '../servers/postgres-tools.ts';
import { o } from '../store/plain.ts';

const shop = `
  create table items (id int primary key, name text, b bytea);
  comment on table items is 'what we sell';
  create aggregate most (int) (sfunc = int4larger, stype = int);
  create schema other; create table other.notes (note text);
  insert into items select i, 'zoë ' || i, decode(md5(i::text), 'hex') from generate_series(1, 2000) i;
  insert into other.notes values ('somebody');`;

const dir = mkdtempSync(join(tmpdir(), 'lockstep-pgdump-'));
let server: Awaited<ReturnType<typeof startSystemPostgres>>;
let admin: pg.Client;
let endpoint: Endpoint;
let dumping: Dumping;

const connect = async (url: string): Promise<Endpoint> => {
  const engine = (await loadEngine('postgres'))!;
  return engine.connect(engine.parse(url), { ...o, name: 'shop', writable: true });
};
const options = (secret?: string) => ({
  ...o,
  ...{ directory: dir, database: 'shop', secret, native: true, clock: systemClock, version: '0.0.0' },
});
const verified = (id: string, there = dumping, secret?: string) =>
  verifyBackup(join(dir, id), secret, [() => Promise.resolve(there)], { ...o, clock: systemClock });
const code = (expected: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof LockstepError, String(error));
  assert.equal(error.code, expected, error.message);
  assert.match(error.message, message);
  return true;
};
/** The same dumping, its archive passed through `change`. */
const changed = (change: (archive: DumpArchive) => DumpArchive['read']): Dumping => ({
  ...dumping,
  dump: async (c) => {
    const dump = await dumping.dump(c);
    return {
      ...dump,
      archive: async (x) => {
        const archive = await dump.archive(x);
        assert.ok('read' in archive, JSON.stringify(archive));
        return { ...archive, read: change(archive) };
      },
    };
  },
});

before(async () => {
  server = await startSystemPostgres();
  process.env['PATH'] = `${server.bin}${delimiter}${process.env['PATH']}`;
  admin = new pg.Client({ connectionString: server.url('postgres') });
  await admin.connect();
  await admin.query(shop);
  endpoint = await connect(server.url('postgres'));
  dumping = endpoint.dumping!;
});
after(async () => {
  await endpoint?.[Symbol.asyncDispose]();
  await admin?.end();
  await server?.[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

test('pg_dump copies the very snapshot that the digests are of, over our TLS, and is proved by pg_restore', async () => {
  let written = false;
  const busy = changed(
    (archive) =>
      async function* (c) {
        // Between the snapshot and pg_dump.
        await admin.query(`insert into items values (0, 'late', null); delete from items where id = 7`);
        written = true;
        yield* archive.read(c);
      },
  );
  const made = await createBackup(busy, options('a secret'));
  assert.ok(written);
  assert.match(made.tool, /^pg_dump \d+\.\d+$/);
  assert.equal(made.note, undefined);
  assert.deepEqual(made.notCarried, []);
  assert.deepEqual([made.tables, made.rows], [2, 2001]);
  assert.deepEqual(
    made.files.map((f) => f.name),
    ['contents.json.zst', 'database.dump.zst'],
  );
  assert.ok(!readFileSync(join(dir, made.id, 'database.dump.zst')).includes('zoë'));
  await verified(made.id, dumping, 'a secret');
  assert.ok((await listBackups(dir)).find((b) => b.id === made.id)!.verified! > 0);
  assert.deepEqual((await admin.query(`select from pg_database where datname like 'lockstep_proof%'`)).rows, []);

  await admin.query('create database again');
  await using into = await connect(server.url('again'));
  const backup = await openBackup(join(dir, made.id), 'a secret', o);
  await backup.restore(into.dumping!, o);
  const there = new pg.Client({ connectionString: server.url('again') });
  await there.connect();
  const { rows } = await there.query(
    `select obj_description('items'::regclass) as comment, most(id) as most, count(*)::int as n, bool_or(id = 7) as old, bool_or(id = 0) as late from items`,
  );
  await there.end();
  assert.deepEqual(rows, [{ comment: 'what we sell', most: 2000, n: 2000, old: true, late: false }]);
  await assert.rejects(backup.restore(into.dumping!, o), code('CONFLICT', /not empty/));
});

test('an archive that restores to other rows, that is damaged or cut off, is found', async () => {
  const tampered = changed(
    (archive) =>
      async function* (c) {
        const all: Buffer[] = [];
        for await (const piece of archive.read(c)) all.push(piece);
        yield Buffer.from(Buffer.concat(all).toString('latin1').replace('somebody', 'Somebody'), 'latin1');
      },
  );
  const other = await createBackup(tampered, options());
  await assert.rejects(verified(other.id), code('BACKUP', /1 of 2 tables are not what was backed up/));
  const made = await createBackup(dumping, options());
  const file = join(dir, made.id, 'database.dump.zst');
  const whole = readFileSync(file);
  writeFileSync(file, whole.subarray(0, whole.length - 100));
  await assert.rejects(verified(made.id), code('BACKUP', /damaged|cut/));
  writeFileSync(file, Buffer.from(whole).fill(0, 500, 502));
  await assert.rejects(verified(made.id), code('BACKUP', /damaged/));
  writeFileSync(file, whole);
  await verified(made.id);
});

test('where pg_dump cannot, the backup is our own, says why, and is proved as ever', async () => {
  const failing = changed(
    () =>
      async function* () {
        yield Buffer.from('half');
        throw new LockstepError('PRIVILEGE', 'pg_dump may not: permission denied for table items');
      },
  );
  const own = await createBackup(failing, options());
  assert.deepEqual([own.tool, own.note], ['lockstep', 'pg_dump may not: permission denied for table items']);
  assert.deepEqual(
    own.files.map((f) => f.name),
    ['contents.json.zst', 'table-00001.copy.zst', 'table-00002.copy.zst'],
  );
  assert.deepEqual(readdirSync(join(dir, own.id)).sort(), [
    'contents.json.zst',
    'manifest.json',
    'table-00001.copy.zst',
    'table-00002.copy.zst',
  ]);
  await verified(own.id);

  // A session that reads what it may not: the words are pg_dump's.
  await admin.query(`create role reader login password 'tester'; grant select on items, other.notes to reader;
    grant usage on schema other to reader; create table secret (id int)`);
  const reader = await connect(server.url('postgres').replace('tester:tester', 'reader:tester'));
  try {
    await using dump = await reader.dumping!.dump({ ...o, schemas: ['other'] });
    const archive = await dump.archive(o);
    assert.ok('read' in archive);
    for await (const _ of archive.read(o));
    await using all = await dumping.dump(o);
    const shared = await all.archive(o);
    assert.ok('read' in shared);
  } finally {
    await reader[Symbol.asyncDispose]();
    await admin.query('drop table secret');
  }

  const tools = await findPgTools(1, [server.bin]);
  assert.ok('dump' in tools);
  const told = async (major: number, folders: readonly string[]): Promise<string> => {
    const found = await findPgTools(major, folders);
    assert.ok('unable' in found);
    return found.unable;
  };
  assert.match(await told(tools.major + 1, [server.bin]), /the newest pg_dump .* refuses a server/);
  assert.equal(await told(10, [dir]), 'there is no pg_dump on this machine');
  await using newer = await testDatabase();
  await newer.query('create table t as select 1 as id');
  await using there = await connect(newer.url);
  const made = await createBackup(there.dumping!, options());
  if (made.tool === 'lockstep') assert.match(made.note!, /the newest pg_dump on this machine is/);
  await verified(made.id, there.dumping!);
  const asked = await createBackup(dumping, { ...options(), native: false });
  assert.deepEqual([asked.tool, asked.note], ['lockstep', undefined]);
});

test('stopping ends pg_dump, too', async () => {
  const stop = new AbortController();
  const c = { signal: stop.signal };
  const slow = changed(
    (archive) =>
      async function* (x) {
        for await (const piece of archive.read(x)) {
          stop.abort(new LockstepError('ABORTED', 'stopped'));
          yield piece;
        }
      },
  );
  const before = (await listBackups(dir)).length;
  await assert.rejects(createBackup(slow, { ...options(), ...c }));
  assert.equal((await listBackups(dir)).length, before);
  const { rows } = await admin.query(`select from pg_stat_activity where application_name = 'pg_dump'`);
  assert.deepEqual(rows, []);
});
