import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createBackup, openBackup, verifyBackup } from '../../src/backup/backup.ts';
import type { Manifest } from '../../src/backup/manifest.ts';
import { listBackups, type Shelved, shelve, toDrop } from '../../src/backup/shelf.ts';
import { loadEngine } from '../../src/engines/registry.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Dumping, DumpTable } from '../../src/model/dump.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { LockstepError } from '../../src/model/errors.ts';
import { type TestDatabase, testDatabase } from '../servers/postgres.ts';
import { until } from '../service/project.ts';
import { o } from '../store/plain.ts';

/** Of everything that a dump says it carries, one that a careless one would get wrong. */
const shop = `
  create schema "Odd ""Name";
  create type mood as enum ('low', 'it''s', 'high');
  create domain percent as numeric(5,2) default 1.5 check (value >= 0 and value <= 100);
  create type pair as (a int, b text collate "C");
  create sequence numbers start 7 increment 3 maxvalue 1000 cycle;
  create function later(i int) returns int language sql immutable as 'select i + 1';
  create table parent (id int primary key, made timestamptz not null default now(), m mood, p percent);
  create table "Odd ""Name"."Tab le" (
    id bigint generated always as identity (start with 5 increment by 2) primary key,
    "sp ace" text collate "C" default 'it''s', no int not null default nextval('numbers') unique,
    twice int generated always as (later(no) * 2) stored, parent int references parent on delete cascade deferrable initially deferred,
    b bytea, f float8, j jsonb, a text[], c pair, t timestamp(3), i interval, constraint odd check (later(no) > 0));
  create index on "Odd ""Name"."Tab le" (lower("sp ace")) where f is not null;
  create table spread (at date not null, v text, primary key (at, v)) partition by range (at);
  create table spread_a partition of spread for values from ('2020-01-01') to ('2021-01-01');
  create table spread_b partition of spread default;
  create index on spread (v);
  create table heir (extra text) inherits (parent);
  create view low as select id, later(id) as next from parent where m = 'low';
  create materialized view counted as select count(*) as n from parent;
  create unique index on counted (n);
  create function note() returns trigger language plpgsql as $$ begin new.made := 'epoch'; return new; end $$;
  create trigger note before insert on parent for each row execute function note();
  create table hidden (id int primary key, who text);
  alter table hidden enable row level security;
  create policy mine on hidden using (who = current_user);
  insert into parent select i, now(), (array['low', 'it''s', 'high'])[1 + i % 3]::mood, i % 100 from generate_series(1, 3000) i;
  alter table parent disable trigger note;
  insert into parent values (-1, '2024-05-06 07:08:09.123456+02', null, null);
  insert into heir values (-2, '2024-01-01', 'low', 3, E'tab\\t back\\\\slash \\n line \\\\. end \\r');
  insert into "Odd ""Name"."Tab le" ("sp ace", parent, b, f, j, a, c, t, i)
    select case when i % 7 = 0 then null else 'zoë 🦊 ' || i end, i, decode(md5(i::text), 'hex'), i / 3.0::float8, jsonb_build_object('i', i),
      array['a,b', null, '{"'], row(i, 'x')::pair, '2024-01-01', make_interval(days => i) from generate_series(1, 300) i;
  insert into "Odd ""Name"."Tab le" (f) values ('nan'), ('-infinity'), ('-0');
  insert into spread select '2020-06-01'::date + i, 'v' from generate_series(1, 400) i;
  insert into hidden values (1, 'somebody');
  refresh materialized view counted;
  select nextval('numbers');`;

const dirs: string[] = [];
const folder = (): string => {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-backup-'));
  dirs.push(dir);
  return dir;
};

let source: TestDatabase;
let endpoint: Endpoint;
let dumping: Dumping;

const connect = async (db: TestDatabase, writable = true): Promise<Endpoint> => {
  const engine = (await loadEngine('postgres'))!;
  return engine.connect(engine.parse(db.url), { ...o, name: db.name, writable });
};

const on = (there: Dumping) => () => Promise.resolve(there);

const options = (directory: string, secret?: string) => ({
  ...o,
  directory,
  database: 'shop',
  secret,
  clock: systemClock,
  version: '0.0.0',
});

const failsWith = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof LockstepError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  return true;
};

/** Databases that proofs of this backup have left; the server may have those of others. */
const scratches = async (id: string): Promise<number> =>
  Number(
    (
      await source.query('select count(*) as n from pg_database where starts_with(datname, $1)', [
        `lockstep_proof_${id.slice(2)}`,
      ])
    ).rows[0].n,
  );

before(async () => {
  source = await testDatabase();
  await source.query(shop);
  endpoint = await connect(source);
  dumping = endpoint.dumping!;
});
after(async () => {
  await endpoint?.[Symbol.asyncDispose]();
  await source[Symbol.asyncDispose]();
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});

test('a restored database is made of the same, holds the same rows, and goes on counting where the other was', async () => {
  const dir = folder();
  const made = await createBackup(dumping, options(dir, 'a secret phrase'));
  assert.deepEqual(made.notCarried, []);
  assert.equal(made.tables, 6);
  await using target = await testDatabase();
  await using into = await connect(target);
  const backup = await openBackup(join(dir, made.id), 'a secret phrase', o);
  await backup.restore(into.dumping!, o);
  const parts = async (d: Dumping) => {
    await using dump = await d.dump(o);
    const { statements, tables, sequences } = dump.contents;
    return { statements: statements.map((s) => s.sql).sort(), tables: tables.map((t) => t.name).sort(), sequences };
  };
  assert.deepEqual(await parts(into.dumping!), await parts(dumping));
  for (const table of ['parent', 'heir', '"Odd ""Name"."Tab le"', 'spread', 'counted', 'low', 'hidden']) {
    const rows = `select md5(string_agg(x::text, ';' order by x::text)) as h from ${table} x`;
    assert.equal((await target.query(rows)).rows[0].h, (await source.query(rows)).rows[0].h, table);
  }
  const next = `insert into "Odd ""Name"."Tab le" (f) values (0) returning id, no`;
  assert.deepEqual((await target.query(next)).rows, (await source.query(next)).rows);
  await assert.rejects(backup.restore(into.dumping!, o), failsWith('CONFLICT', /not empty/));
});

test('a backup shows one state, whatever is written while it is made', async () => {
  const dir = folder();
  await source.query('create table steady (id int primary key); insert into steady select generate_series(1, 10)');
  let written = false;
  const made = await createBackup(
    {
      ...dumping,
      dump: async (c) => {
        const dump = await dumping.dump(c);
        return {
          ...dump,
          rows: async function* (table: DumpTable, x) {
            if (!written) await source.query('insert into steady values (11); delete from steady where id = 1');
            written = true;
            yield* dump.rows(table, x);
          },
        };
      },
    },
    options(dir),
  );
  assert.ok(written);
  const { contents } = await openBackup(join(dir, made.id), undefined, o);
  const at = contents.dump.tables.findIndex((t) => t.name === 'public.steady');
  assert.equal(contents.proof.sums[at]!.rows, 10);
  await verifyBackup(join(dir, made.id), undefined, [on(dumping)], { ...o, clock: systemClock });
  assert.ok((await listBackups(dir))[0]!.verified! > 0);
});

test('rows in tables that a dump leaves out are refused or told, never proved away', async () => {
  await using db = await testDatabase();
  await db.query(`
    create table public.measured (id int); create schema chunks; create table chunks.c1 () inherits (public.measured);
    insert into chunks.c1 values (1), (2);
    create schema cron; create table cron.job (id int); create table cron.empty (id int);
    create table cron.mine (id int);
    alter extension plpgsql add schema cron; alter extension plpgsql add table cron.job;
    alter extension plpgsql add table cron.empty;`);
  await using there = await connect(db);
  const told = async (schemas?: readonly string[]) => {
    await using dump = await there.dumping!.dump({ ...o, ...(schemas ? { schemas } : {}) });
    return dump.contents.notCarried;
  };
  const outside = failsWith('BACKUP', /rows of public.measured are in tables that the backup would not hold/);
  await assert.rejects(told(['public']), outside);
  const within = '1 tables or views in schemas of extensions: cron.mine';
  assert.deepEqual(await told(), [within]);
  assert.deepEqual(await told(['public', 'chunks']), []);
  await db.query('insert into cron.job values (1)');
  assert.deepEqual(await told(), ['rows of 1 tables of extensions: cron.job', within]);
  // as TimescaleDB keeps its chunks
  await db.query('alter extension plpgsql add schema chunks');
  await assert.rejects(told(), outside);
  await db.query('alter extension plpgsql drop schema chunks; alter extension plpgsql add table chunks.c1');
  await assert.rejects(createBackup(there.dumping!, options(folder())), outside);
});

test('a table that is emptied between the snapshot and its lock is not taken for an empty one', async () => {
  await source.query('create table fleeting as select generate_series(1, 10) id');
  await source.query('begin; truncate fleeting');
  try {
    const failed = assert.rejects(dumping.dump(o), failsWith('CONTENTION', /fleeting was truncated/));
    await until(async () => {
      const { rows } = await source.query(`select from pg_locks where not granted and relation = 'fleeting'::regclass`);
      return rows.length > 0;
    });
    await source.query('commit');
    await failed;
  } finally {
    await source.query('drop table fleeting');
  }
});

test('a bit that flipped, a file that is cut off, missing or exchanged, another key: each is found, and nothing is left', async () => {
  const dir = folder();
  for (const secret of [undefined, 'the secret']) {
    const made = await createBackup(dumping, options(dir, secret));
    const path = join(dir, made.id);
    const whole = new Map(readdirSync(path).map((name) => [name, readFileSync(join(path, name))]));
    const verified = (key = secret) => verifyBackup(path, key, [on(dumping)], { ...o, clock: systemClock });
    const largest = [...made.files].sort((a, b) => b.bytes - a.bytes)[0]!.name;
    const second = made.files.filter((f) => f.name !== largest && f.name.startsWith('table'))[0]!.name;
    const damages: readonly (readonly [string, () => void])[] = [
      ['no manifest', () => rmSync(join(path, 'manifest.json'))],
      [
        'a changed manifest',
        () =>
          writeFileSync(join(path, 'manifest.json'), String(whole.get('manifest.json')).replace('"shop"', '"shap"')),
      ],
      ['a file that is missing', () => rmSync(join(path, largest))],
      ['a file that is cut off', () => truncateSync(join(path, largest), whole.get(largest)!.length - 20)],
      ['a file in the place of another', () => writeFileSync(join(path, largest), whole.get(second)!)],
      ...['contents.json.zst', largest].flatMap((name) =>
        [0, 0.6].map((share): readonly [string, () => void] => {
          const bytes = Buffer.from(whole.get(name)!);
          const at = Math.floor(bytes.length * share);
          bytes[at] = bytes[at]! ^ 4;
          return [`bit of byte ${at} of ${name}`, () => writeFileSync(join(path, name), bytes)];
        }),
      ),
    ];
    for (const [what, damage] of damages) {
      damage();
      await assert.rejects(verified(), failsWith('BACKUP', /backup|damaged|missing/), what);
      const listed = (await listBackups(dir)).find((b) => b.id === made.id)!;
      assert.equal(listed.verified, undefined, what);
      assert.ok(listed.problem !== undefined && !listed.problem.includes(dir), `${what}: ${listed.problem}`);
      for (const [name, bytes] of whole) writeFileSync(join(path, name), bytes);
    }
    await verified();
    const proved = (await listBackups(dir)).find((b) => b.id === made.id)!;
    assert.ok(proved.verified !== undefined && proved.problem === undefined, proved.problem);
    if (secret !== undefined) {
      await assert.rejects(verified('another'), failsWith('BACKUP', /another key/));
      assert.deepEqual(
        (await listBackups(dir)).find((b) => b.id === made.id),
        proved,
        'nothing is wrong with it',
      );
      await assert.rejects(openBackup(path, undefined, o), failsWith('BACKUP', /is encrypted/));
      for (const [name, bytes] of whole) assert.ok(!bytes.includes('zoë') && !bytes.includes("it's"), name);
    }
    assert.equal(await scratches(made.id), 0);
  }
});

test('what restores to other rows than were there is found, although every file is what was written', async () => {
  const dir = folder();
  const tampered: Dumping = {
    ...dumping,
    dump: async (c) => {
      const dump = await dumping.dump(c);
      return {
        ...dump,
        rows: async function* (table: DumpTable, x) {
          for await (const piece of dump.rows(table, x))
            yield table.name === 'public.hidden' ? Buffer.from(String(piece).replace('somebody', 'Somebody')) : piece;
        },
      };
    },
  };
  const made = await createBackup(tampered, options(dir));
  await assert.rejects(
    verifyBackup(join(dir, made.id), undefined, [on(dumping)], { ...o, clock: systemClock }),
    failsWith('BACKUP', /1 of \d+ tables are not what was backed up/),
  );
});

test('an account that may create no database leaves the proof to the next server, and a read-only endpoint makes none', async () => {
  await using reader = await connect(source, false);
  assert.equal(reader.dumping!.scratch, undefined);
  assert.equal(reader.dumping!.restore, undefined);
  const dir = folder();
  const made = await createBackup(reader.dumping!, options(dir));
  const refuses: Dumping = {
    ...dumping,
    scratch: () => Promise.reject(new LockstepError('PRIVILEGE', 'this account may not')),
  };
  const path = join(dir, made.id);
  await verifyBackup(path, undefined, [on(refuses), on(dumping)], { ...o, clock: systemClock });
  await assert.rejects(
    verifyBackup(path, undefined, [on(refuses)], { ...o, clock: systemClock }),
    failsWith('PRIVILEGE', /may not/),
  );
});

test('one that fails half-way, or whose process died, leaves nothing that looks like a backup', async () => {
  const dir = folder();
  await assert.rejects(
    shelve(dir, 'b_00000000000000000', 0, async (path) => {
      writeFileSync(join(path, 'manifest.json'), '{}');
      throw new Error('the disk is full');
    }),
    /disk is full/,
  );
  mkdirSync(join(dir, '.partial-b_00000000000000001'));
  assert.deepEqual(await listBackups(dir), []);
  await shelve(dir, 'b_00000000000000002', Date.now() + 2 * 86_400_000, async () => {});
  assert.deepEqual(readdirSync(dir), ['b_00000000000000002']);
});

test('retention keeps the newest, the young ones, and always the newest that is proved', () => {
  const day = 86_400_000;
  const old = (days: number, verified: boolean): Shelved => ({
    id: `b_${days}`,
    manifest: { made: -days * day } as Manifest,
    verified: verified ? 1 : undefined,
  });
  const gone = (keep: { last: number; forMs: number }, ...all: Shelved[]) => toDrop(all, keep, 0).map((b) => b.id);
  const all = [old(1, false), old(2, false), old(3, false), old(4, true), old(5, true), old(6, false)];
  assert.deepEqual(gone({ last: 2, forMs: 0 }, ...all), ['b_3', 'b_5', 'b_6']);
  assert.deepEqual(gone({ last: 1, forMs: 3.5 * day }, ...all), ['b_5', 'b_6']);
  assert.deepEqual(gone({ last: 9, forMs: 0 }, ...all), []);
  const damaged: Shelved = { id: 'b_x', manifest: undefined, verified: undefined, problem: 'damaged' };
  assert.deepEqual(gone({ last: 1, forMs: 0 }, damaged, old(2, true), old(9, true)), ['b_9']);
  const found: Shelved = { ...old(1, false), problem: 'damaged' };
  assert.deepEqual(gone({ last: 2, forMs: 0 }, found, old(2, true), old(3, true), old(4, true)), ['b_4']);
});
