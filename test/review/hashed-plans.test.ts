import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { inProcess } from '../cli/in-process.ts';
import { batchOf, connect, insert, never, remove, row, tableOf, update } from '../engines/postgres-support.ts';
import { storeDatabase, type TestDatabase, testDatabase } from '../servers/postgres.ts';

/** Plans that carry hashes are guarded, written, read back and taken back as those without. */

let control: TestDatabase;
let folder: string;
before(async () => {
  control = await storeDatabase();
  folder = mkdtempSync(join(tmpdir(), 'lockstep-review-'));
});
after(async () => {
  await control[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});
const run = (...args: readonly string[]) =>
  inProcess([...args], { cwd: folder, env: { LOCKSTEP_CONTROL_URL: control.url } });
const json = (stdout: string): Record<string, unknown> => JSON.parse(stdout) as Record<string, unknown>;

const rows = `select * from generate_series(1, 1300) as i`;
const allowed = ['--allow-deletes', '9999', '--max-changes', '99999'];
const planned = async (source: TestDatabase, target: TestDatabase): Promise<string> => {
  const made = await run('plan', source.url, target.url, '--settle', '0s', ...allowed, '--format', 'json');
  assert.equal(made.code, 2, made.stderr);
  return json(made.stdout)['plan'] as string;
};
const apply = (plan: string, target: TestDatabase, ...flags: readonly string[]) =>
  run('apply', plan, target.url, '--yes', ...flags, '--format', 'json');
const revert = (id: unknown, target: TestDatabase) =>
  run('revert', String(id), target.url, '--yes', ...allowed, '--format', 'json');

/** Inserts, updates and deletes of several chunks each. */
const apart = async (source: TestDatabase, target: TestDatabase): Promise<void> => {
  await source.query(`create table a (id int primary key, t text, n int); insert into a select i, 'new ' || i, i from (${rows}) x;
    insert into a select 5000 + i, 'in', i from (${rows}) x`);
  await target.query(`create table a (id int primary key, t text, n int); insert into a select i, 'old ' || i, i from (${rows}) x;
    insert into a select 9000 + i, 'out', i from (${rows}) x`);
};
const content = async (db: TestDatabase, table = 'a'): Promise<unknown[]> =>
  (await db.query(`select whole::text as r from ${table} whole order by 1`)).rows;

test('an edit of whatever a stored plan is kept as is seen before anything is written', async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  await apart(source, target);
  const before = await content(target);
  const plan = await planned(source, target);
  const own = 'lockstep_control';
  const chunk = `where plan = '${plan}' and first =`;
  const edits = [
    `update ${own}.plan_chunk set last = last - case first when 1 then 1 when 513 then -1 else 0 end where plan = '${plan}'`,
    `update ${own}.plan_chunk set first = first - 1 ${chunk} 513`,
    `update ${own}.plan_chunk set keys = set_byte(keys, 0, 255 - get_byte(keys, 0)) ${chunk} 1`,
    `update ${own}.plan_chunk c set images = d.images from ${own}.plan_chunk d where c.plan = '${plan}' and d.plan = c.plan and c.first > 1300 and d.first = (select max(first) from ${own}.plan_chunk where plan = '${plan}')`,
    `update ${own}.plan_chunk set images = null where plan = '${plan}'`,
    `update ${own}.plan set hash = repeat('0', 64) where id = '${plan}'`,
    `update ${own}.plan set seal = null where id = '${plan}'`,
    `update ${own}.plan set header = replace(header, '"seed":"', '"seed":"1') where id = '${plan}'`,
  ];
  await control.query(
    `create table saved_plan as select * from ${own}.plan; create table saved_chunk as select * from ${own}.plan_chunk`,
  );
  for (const edit of edits) {
    assert.notEqual((await control.query(edit)).rowCount, 0, edit);
    const done = await apply(plan, target);
    assert.match(done.stdout + done.stderr, /not what was reviewed/, edit);
    assert.notEqual(done.code, 0, edit);
    assert.deepEqual(await content(target), before, edit);
    await control.query(`begin; delete from ${own}.plan_chunk where plan = '${plan}'; insert into ${own}.plan_chunk select * from saved_chunk where plan = '${plan}';
      update ${own}.plan p set hash = s.hash, seal = s.seal, header = s.header from saved_plan s where p.id = s.id; commit`);
  }
  const done = await apply(plan, target);
  assert.equal(done.code, 0, done.stderr);
  assert.deepEqual(await content(target), await content(source));
  const { run: id } = json(done.stdout) as { run: string };
  await control.query(
    `update ${own}.plan_chunk c set images = d.images from ${own}.plan_chunk d where c.plan = '${plan}' and d.plan = c.plan and c.images is not null and d.first = (select max(first) from ${own}.plan_chunk where plan = '${plan}')`,
  );
  const back = await revert(id, target);
  assert.match(back.stdout + back.stderr, /not what was reviewed/);
  assert.deepEqual(await content(target), await content(source));
});

const hostile = `
  create domain short as varchar(4) check (value <> 'no'); create domain few as numeric(8, 2);
  create table typed (id int generated always as identity primary key, c char(5), v varchar(6), t text, n numeric, m numeric(9, 3), d short, w few,
    j jsonb, f float8, r float4, u uuid, tz timestamptz, b bytea, e text default 'filled', arr text[], bo bool, dt date, ti time);
  create table parts (k int, part int, t text, primary key (k, part)) partition by list (part);
  create table parts_1 partition of parts for values in (1); create table parts_2 partition of parts for values in (2);
  create table by_uuid (u uuid primary key, t text); create table by_text (t text primary key, n int);
  create table by_char (t char(4) primary key, n int); create table by_small (s int2 primary key, n int);
  create table by_time (tz timestamptz, n numeric, primary key (tz, n), t text);
  create collation blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
  create table by_blind (t text collate blind primary key, n int);
  create table made (id int primary key, n int, twice int generated always as (n * 2) stored);
  create table odd (id int primary key, a int); create rule odd_rule as on insert to odd do also notify odd;`;
const texts = [
  `''`,
  'null',
  `'\\.'`,
  `'\\N'`,
  `'a\\b'`,
  `E'\\t\\r\\n\\b\\f\\v'`,
  `E'x\\\\.\\n\\\\.'`,
  `'{"a",NULL}'`,
  `'  '`,
  `'ä😀'`,
  `'\\'`,
];
const fill = `
  ${texts.map((t) => `insert into typed (t, e) values (${t}, ${t}); insert into typed (t, v, c, d) values ('x', left(${t}, 6), left(${t}, 4), left(${t}, 4));`).join('\n')}
  insert into typed (n, m, w, j, f, r, u, tz, b, arr, bo, dt, ti) values
    (1.5, 1.5, 2, '{"a": 1, "b": [1e3, null, "\\\\"]}', 'NaN', 0.1, 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'infinity', '\\x5c2e', '{"\\.",null}', false, '0001-01-01 BC', '24:00'),
    ('NaN', -0.001, -7, '"\\\\."', '0', '-Infinity', null, '0044-03-15 12:00 BC', '', '{}', null, 'infinity', '00:00:00.000001'),
    ('-Infinity', 0, 0, 'null', 1e-300, 3e38, null, '2024-02-29 23:59:59.999999+05:45', null, null, true, null, null);
  insert into parts select i, 1 + i % 2, 'p' || i from generate_series(1, 9) i;
  insert into by_uuid select md5(i::text)::uuid, 'u' || i from generate_series(1, 9) i;
  ${texts.map((t, i) => `insert into by_uuid values (md5('t${i}')::uuid, ${t});`).join('\n')}
  insert into by_text values ('', 1), ('\\.', 2), (E'\\t', 3), ('a', 4), ('a ', 5), ('{"}', 6), ('null', 7), ('\\', 8);
  insert into by_char values ('', 1), ('a', 2), (' a', 3), ('\\.', 4);
  insert into by_small values (-32768, 1), (32767, 2), (0, 3);
  insert into by_time values ('infinity', 1.5, 'x'), ('2024-01-01', 'NaN', 'y'), ('0044-03-15 BC', 0, 'z');
  insert into by_blind values ('Abc', 1), ('b', 2), ('', 3);
  insert into made (id, n) values (1, 1), (2, null);
  insert into odd values (1, 1), (2, 2);`;
const tables = ['typed', 'parts', 'by_uuid', 'by_text', 'by_char', 'by_small', 'by_time', 'by_blind', 'made', 'odd'];
const everything = async (db: TestDatabase): Promise<unknown> => {
  const all: Record<string, unknown> = {};
  for (const t of tables) all[t] = await content(db, t);
  return all;
};

test('values that COPY, arrays and casts could take for something else go in, change, go out and come back', async () => {
  await using full = await testDatabase();
  await using empty = await testDatabase();
  await using target = await testDatabase();
  await full.query(hostile + fill);
  await empty.query(hostile);
  await target.query(hostile);
  const none = await everything(empty);
  const all = await everything(full);
  const filled = await apply(await planned(full, target), target);
  assert.equal(filled.code, 0, filled.stderr + filled.stdout);
  assert.deepEqual(await everything(target), all);
  // every text, number and name by another, in rows of different columns
  const other = `update typed set t = nullif(coalesce(t, '') || '\\.', '\\.\\.'), e = case when id % 2 = 0 then t else e end, n = n + 1, j = case when id % 3 = 0 then '{"a": 1}' else j end,
      v = case when id % 2 = 1 then '\\N' else v end, f = f * 3, b = '\\x00';
    update parts set t = '\\.' where part = 1; update by_text set n = -n; update by_char set n = null; update by_small set n = 7;
    update by_time set t = '\\'; update by_blind set n = 9; update made set n = 5; update odd set a = 3`;
  await full.query(other);
  const changed = await apply(await planned(full, target), target);
  assert.equal(changed.code, 0, changed.stderr + changed.stdout);
  assert.deepEqual(await everything(target), await everything(full));
  await full.query(tables.map((t) => `truncate ${t}`).join(';'));
  // an empty source deletes nothing: one row stays in each
  await full.query(`insert into typed overriding system value select * from (values (999)) x(id); insert into parts values (99, 2); insert into by_uuid values ('00000000-0000-0000-0000-000000000000');
    insert into by_text values ('stays'); insert into by_char values ('st'); insert into by_small values (5); insert into by_time values ('1999-01-01', 5); insert into by_blind values ('st'); insert into made values (9); insert into odd values (9)`);
  const removed = await apply(await planned(full, target), target);
  assert.equal(removed.code, 0, removed.stderr + removed.stdout);
  assert.deepEqual(await everything(target), await everything(full));
  for (const [done, wanted] of [
    [removed, undefined],
    [changed, all],
    [filled, none],
  ] as const) {
    const back = await revert(json(done.stdout)['run'], target);
    assert.equal(back.code, 0, back.stderr + back.stdout);
    if (wanted !== undefined) assert.deepEqual(await everything(target), wanted);
  }
});

/** Two writes at once: `theirs` holds what `ours` must wait for until `end`. */
const meanwhile = async (
  db: TestDatabase,
  theirs: string,
  ours: () => Promise<unknown>,
  end: (client: pg.Client, waiting: string) => Promise<void>,
): Promise<void> => {
  const client = new pg.Client({ connectionString: db.url });
  await client.connect();
  try {
    await client.query(`begin; ${theirs}`);
    const done = ours();
    done.catch(() => {});
    const waits = `select pid from pg_catalog.pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    while ((await client.query(waits)).rowCount === 0) await client.query('select pg_catalog.pg_sleep(0.01)');
    await end(client, waits);
    await done;
  } finally {
    await client.end();
  }
};

let step = 0;
const mark = () => ({ run: 'r_test', step: ++step, token: 1n });
const small = 'create table a (id int primary key, t text)';

test('a row that comes while COPY writes the same key stays as it is', async () => {
  await using db = await testDatabase();
  await db.query(small);
  await using target = await connect(db.url, { writable: true });
  const table = await tableOf(target, 'a');
  const batch = batchOf(table, insert(table, row('1', 'ours')), insert(table, row('2', 'ours')));
  await target.writer!.prepare({ signal: never });
  let applied: unknown;
  const ours = async (): Promise<void> => {
    applied = await target.writer!.apply(mark(), [batch], { signal: never });
  };
  await meanwhile(db, `insert into a values (2, 'theirs')`, ours, async (c) => void (await c.query('commit')));
  assert.equal((applied as { status: string }).status, 'stale');
  assert.deepEqual(await content(db), [{ r: '(2,theirs)' }]);
  await db.query('truncate a');
  await meanwhile(db, `insert into a values (2, 'theirs')`, ours, async (c) => void (await c.query('rollback')));
  assert.deepEqual(applied, { status: 'done' });
  assert.deepEqual(await content(db), [{ r: '(1,ours)' }, { r: '(2,ours)' }]);
});

test('a row that moves while its update or delete waits for it is not written over', async () => {
  await using db = await testDatabase();
  await db.query(small);
  await using target = await connect(db.url, { writable: true });
  const table = await tableOf(target, 'a');
  await target.writer!.prepare({ signal: never });
  for (const change of [update(table, row('2', 'old'), row('2', 'ours')), remove(table, row('2', 'old'))]) {
    const first =
      change.op === 'update' ? update(table, row('1', 'old'), row('1', 'ours')) : remove(table, row('1', 'old'));
    for (const [theirs, left] of [
      [`update a set t = 'theirs' where id = 2`, ['(1,old)', '(2,theirs)']],
      ['delete from a where id = 2', ['(1,old)']],
      [`delete from a where id = 2; insert into a values (2, 'theirs')`, ['(1,old)', '(2,theirs)']],
    ] as const) {
      await db.query(`truncate a; insert into a values (1, 'old'), (2, 'old')`);
      let applied: unknown;
      const ours = async (): Promise<void> => {
        applied = await target.writer!.apply(mark(), [batchOf(table, first, change)], { signal: never });
      };
      await meanwhile(db, theirs, ours, async (c) => void (await c.query('commit')));
      assert.equal((applied as { status: string }).status, 'stale', theirs);
      assert.deepEqual(
        (await content(db)).map((x) => (x as { r: string }).r),
        left,
        theirs,
      );
    }
  }
});

test('a connection that dies, or a run that is stopped, in the middle of COPY leaves nothing, and the next one goes on', async () => {
  await using db = await testDatabase();
  await db.query(small);
  await using target = await connect(db.url, { writable: true });
  const table = await tableOf(target, 'a');
  await target.writer!.prepare({ signal: never });
  const batch = batchOf(
    table,
    ...Array.from({ length: 3000 }, (_, i) => insert(table, row(String(i), 'x'.repeat(200)))),
  );
  const one = mark();
  const stopped = new AbortController();
  for (const [code, signal, end] of [
    [
      'CONNECTION_LOST',
      never,
      (c: pg.Client, waiting: string) => c.query(`select pg_catalog.pg_terminate_backend(pid) from (${waiting}) w`),
    ],
    ['ABORTED', stopped.signal, async () => stopped.abort()],
  ] as const) {
    let failure: unknown;
    const ours = async (): Promise<void> => {
      failure = await target.writer!.apply(one, [batch], { signal }).catch((error: unknown) => error);
    };
    await meanwhile(db, `insert into a values (2500, 'theirs')`, ours, async (c, waiting) => {
      await end(c, waiting);
      while ((await c.query(waiting)).rowCount !== 0) await c.query('select pg_catalog.pg_sleep(0.01)');
      await c.query('rollback');
    });
    assert.equal((failure as { code?: string }).code, code);
    assert.equal(await target.writer!.applied(one, { signal: never }), false);
    assert.deepEqual(await content(db), []);
  }
  assert.deepEqual(await target.writer!.apply(one, [batch], { signal: never }), { status: 'done' });
  assert.deepEqual((await db.query('select count(*)::int n from a')).rows, [{ n: 3000 }]);
});

/** Settings that only a config file has. */
const configured = (source: TestDatabase, target: TestDatabase, settings: string): string => {
  const path = join(folder, `${target.name}.yaml`);
  writeFileSync(
    path,
    `version: 1
endpoints:
  there: { url: "${source.url}" }
  here: { url: "${target.url}", writable: true }
syncs:
  both: { source: there, target: here, mode: mirror, settle: 0s, guards: { max_changes: 99999, max_change_ratio: 100%, max_deletes: 9999 }, apply: ${settings} }
`,
  );
  return path;
};

for (const atomic of ['batch', 'run']) {
  test(`rows that moved, and rows that are there already, are counted and left alone (atomic: ${atomic})`, async () => {
    await using source = await testDatabase();
    await using target = await testDatabase();
    const one = 'create table a (id int primary key, t text, n numeric, j jsonb)';
    await source.query(`${one}; insert into a select i, 'new', i, '{"a": 2}' from generate_series(1, 40) i`);
    await target.query(`${one}; insert into a select i, 'old', 1.50, '{"a": 1.0}' from generate_series(21, 60) i;
      update a set t = 'new' where id % 2 = 0 and id <= 40; update a set n = id where id % 3 = 0`);
    const config = configured(source, target, `{ batch_size: 9, atomic: ${atomic} }`);
    const made = await run('plan', 'both', '--config', config, '--format', 'json');
    assert.equal(made.code, 2, made.stderr);
    const plan = json(made.stdout)['plan'] as string;
    const moved = `insert into a values (3, 'theirs', 3, null); update a set j = '{"a": 1.00}' where id = 25; update a set n = 1.500 where id = 26;
      update a set t = 'theirs' where id = 45; delete from a where id = 31`;
    const there = `insert into a values (4, 'new', 4, '{"a": 2.0}'); delete from a where id = 46; update a set t = 'new', n = 33, j = '{"a": 2}' where id = 33`;
    await target.query(`${moved}; ${there}`);
    const before = await content(target);
    const done = await run('apply', plan, 'here', '--config', config, '--yes', '--format', 'json');
    assert.equal(done.code, 2, done.stderr + done.stdout);
    if (atomic === 'run') {
      assert.deepEqual(await content(target), before);
      return;
    }
    const { applied, already, skipped, rejected } = json(done.stdout);
    assert.deepEqual(
      { applied, already, skipped, rejected },
      {
        applied: { insert: 18, update: 16, delete: 18 },
        already: 3,
        skipped: { moved: 5, already_synced: 0 },
        rejected: 0,
      },
    );
    const kept = `select whole::text as r from a whole where id in (3, 25, 26, 31, 45) order by 1`;
    assert.deepEqual((await target.query(kept)).rows, [
      { r: '(25,old,1.50,"{""a"": 1.00}")' },
      { r: '(26,new,1.500,"{""a"": 1.0}")' },
      { r: '(3,theirs,3,)' },
      { r: '(45,theirs,45,"{""a"": 1.0}")' },
    ]);
    const back = await revert(json(done.stdout)['run'], target);
    assert.equal(back.code, 0, back.stderr + back.stdout);
    assert.deepEqual(await content(target), before);
  });
}

test('unique values that travel between batches under way together, and parents and children of one plan, all arrive', async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  const family = `create table a (id int primary key, u int unique not null, n int); create table child (id int primary key, up int references a, self int references child)`;
  const shift = (by: number): string =>
    `insert into a select i, 1 + (i + ${by}) % 90, i * ${by + 1} from generate_series(1, 90) i`;
  await source.query(
    `${family}; ${shift(13)}; insert into a select i, i, i from generate_series(200, 260) i; insert into child select i, 200 + i, nullif(i / 2, 0) from generate_series(1, 60) i`,
  );
  await target.query(
    `${family}; ${shift(0)}; insert into a select i, i - 100, i from generate_series(300, 360) i; insert into child select i, 300 + i % 60, nullif(i - 1, 500) from generate_series(501, 560) i`,
  );
  const before = [await content(target), await content(target, 'child')];
  const config = configured(source, target, '{ batch_size: 20 }');
  const done = await run('sync', 'both', '--config', config, '--yes', ...allowed, '--format', 'json');
  assert.equal(done.code, 0, done.stderr + done.stdout);
  assert.deepEqual(await content(target), await content(source));
  assert.deepEqual(await content(target, 'child'), await content(source, 'child'));
  const back = await revert(json(done.stdout)['run'], target);
  assert.equal(back.code, 0, back.stderr + back.stdout);
  assert.deepEqual([await content(target), await content(target, 'child')], before);
});

test('rows of megabytes are written in batches that fit into memory', async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  await source.query(
    `${small}; insert into a select i, repeat(chr(97 + i % 26), 2500000) || i from generate_series(1, 18) i`,
  );
  await target.query(`${small}; insert into a values (99, 'y')`);
  const done = await apply(await planned(source, target), target);
  assert.equal(done.code, 0, done.stderr + done.stdout);
  assert.deepEqual(
    (await target.query('select id, md5(t) m from a order by 1')).rows,
    (await source.query('select id, md5(t) m from a order by 1')).rows,
  );
  const steps = await target.query(`select count(*)::int n from lockstep.steps where step > 0`);
  // 45 MB and a delete, at most 32 MiB and a row at a time
  assert.deepEqual(steps.rows, [{ n: 3 }]);
});
