import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { testDatabase } from '../servers/postgres.ts';
import { inProcess } from './in-process.ts';

/** What somebody meets who follows the guides for the first time: each message must be true and lead on. */

const control = await testDatabase();
const a = await testDatabase();
const b = await testDatabase();
const home = mkdtempSync(join(tmpdir(), 'lockstep-newcomer-'));
after(async () => {
  rmSync(home, { recursive: true, force: true });
  for (const db of [control, a, b]) await db[Symbol.asyncDispose]();
});
const env = { LOCKSTEP_CONTROL_URL: control.url, LOCKSTEP_AUDIT_KEY: 'the key of a test store' };
const two = [a.url, b.url];
const run = (...args: string[]) => inProcess(args, { cwd: home, env });

/** A folder with two SQLite databases in it, and the command line there. */
const folder = (name: string, left: string, right: string) => {
  const dir = join(home, name);
  mkdirSync(dir);
  const exec = (file: string, sql: string): void => {
    using db = new DatabaseSync(join(dir, file));
    db.exec(sql);
  };
  exec('a.db', left);
  exec('b.db', right);
  return {
    dir,
    exec,
    run: (...args: string[]) => inProcess(args, { cwd: dir, env }),
    read: (file: string): string => readFileSync(join(dir, file), 'utf8'),
  };
};
const table = (name: string, ...values: string[]): string =>
  `create table ${name} (id integer primary key, v text);${values.map((v, i) => `insert into ${name} values (${i + 1}, '${v}');`).join('')}`;

test('a table that one side has is told by every comparison of the written config, until it is excluded', async () => {
  const f = folder('one-sided', table('t', 'x') + table('audit'), table('t', 'x'));
  const init = await f.run('init', 'sqlite:a.db', 'sqlite:b.db');
  assert.equal(init.code, 0, init.stderr);
  assert.match(init.stderr, /1 pair, 1 table without a partner/);
  const told = await f.run('diff', 'a-b', '--settle', '0');
  assert.equal(told.code, 25, told.stdout);
  assert.match(told.stdout, /not compared +audit: b has no table of this name/);
  assert.match(told.stdout, /exclude_tables/);
  // The line that init wrote, made effective.
  writeFileSync(join(f.dir, 'lockstep.yaml'), f.read('lockstep.yaml').replace('# exclude_tables:', 'exclude_tables:'));
  assert.equal((await f.run('diff', 'a-b', '--settle', '0')).code, 0);
  // What comes later is seen, too; named tables are all that is meant.
  f.exec('a.db', table('later'));
  f.exec('b.db', table('later'));
  const later = await f.run('diff', 'a-b', '--settle', '0', '--format', 'json');
  assert.equal(later.code, 25);
  assert.deepEqual(
    JSON.parse(later.stdout).coverage.not_compared.map((n: { what: string; reason: string }) => [n.what, n.reason]),
    [['later', 'both sides have it, and it is in no pair']],
  );
  assert.equal((await f.run('diff', 'a-b', 't', '--settle', '0')).code, 0);
  const plan = await f.run('plan', 'a-b', '--mode', 'mirror', '--settle', '0');
  assert.equal(plan.code, 20, 'read-only still');
});

test('an excluded table is left out of named pairs, and a name that neither side knows is an error', async () => {
  const f = folder('excluded', table('t', 'x') + table('u', 'x'), table('t', 'x') + table('u', 'y'));
  await f.run('init', 'sqlite:a.db', 'sqlite:b.db');
  assert.equal((await f.run('diff', 'a-b', '--settle', '0')).code, 2);
  assert.equal((await f.run('diff', 'a-b', '--settle', '0', '--exclude-table', 'u')).code, 0);
  const typo = await f.run('diff', 'a-b', '--exclude-table', 'uu');
  assert.equal(typo.code, 20);
  assert.match(typo.stderr, /no table uu to leave out, in a or b/);
});

test('other_tables: ignore needs pairs', async () => {
  const f = folder('ignore', '', '');
  writeFileSync(
    join(f.dir, 'lockstep.yaml'),
    'version: 1\nendpoints:\n  a: { url: "sqlite:a.db" }\n  b: { url: "sqlite:b.db" }\nsyncs:\n  s:\n    source: a\n    target: b\n    other_tables: ignore\n',
  );
  const { code, stderr } = await f.run('diff', 's');
  assert.equal(code, 20);
  assert.match(stderr, /lockstep\.yaml:9/);
  assert.match(stderr, /needs pairs/);
});

test('init names a schema for editors only where it is, keeps secrets out of git, and says what it wrote', async () => {
  const f = folder('files', table('t', 'x'), table('t', 'x'));
  const { stderr } = await f.run('init', 'sqlite:a.db', 'sqlite:b.db');
  assert.match(stderr, /wrote \.env: A_URL, B_URL \(\.gitignore keeps it out of git\)/);
  assert.equal(f.read('.gitignore'), '.env\n');
  assert.doesNotMatch(f.read('lockstep.yaml'), /^# yaml-language-server:/m);
  const schema = 'node_modules/lockstep/schema/lockstep.config.draft07.json';
  mkdirSync(join(f.dir, 'node_modules/lockstep/schema'), { recursive: true });
  writeFileSync(join(f.dir, schema), '{}');
  mkdirSync(join(f.dir, 'deeper'));
  await f.run('init', 'sqlite:a.db', 'sqlite:b.db', '--out', 'deeper/lockstep.yaml');
  const named = /^# yaml-language-server: \$schema=(.*)$/m.exec(f.read('deeper/lockstep.yaml'))![1]!;
  assert.ok(existsSync(join(f.dir, 'deeper', named)), named);
});

test('init for an empty target says how to fill it, and names nothing that it has not written', async () => {
  const f = folder('filled', table('t', 'x'), '');
  const { code, stderr } = await f.run('init', 'sqlite:a.db', 'sqlite:b.db');
  assert.equal(code, 0);
  assert.match(stderr, /0 pairs, 1 table without a partner: see the end of it\n/);
  assert.match(stderr, /to make the tables of a in b and fill them: lockstep copy/);
  assert.match(f.read('lockstep.yaml'), /t: b has no table of this name/);
});

test('a guard names what most of its own limit comes from, and a way that the command at hand takes', async () => {
  const rows = Array.from({ length: 30 }, () => 'same');
  await a.query(table('kept', ...rows.map(() => 'new')) + table('lost', 'same') + table('empty'));
  await b.query(table('kept', ...rows) + table('lost', 'same', 'a', 'b') + table('empty', 'x'));
  const synced = await run('sync', ...two, 'kept', 'lost', '--yes', '--settle', '0');
  assert.equal(synced.code, 22, synced.stderr);
  assert.match(synced.stderr, /2 of 2 deletes are from public\.lost\./);
  assert.doesNotMatch(synced.stderr, /kept/, 'the updates are not what was stopped');
  assert.match(synced.stderr, /run the same command with --allow-deletes 2/);

  const made = await run('plan', ...two, 'kept', 'lost', '--settle', '0', '--format', 'json');
  const { plan, stopped_by } = JSON.parse(made.stdout);
  assert.match(stopped_by[0], /2 deletes planned.*plan with --allow-deletes 2/);
  const refused = await run('apply', plan, b.url, '--yes');
  assert.equal(refused.code, 22, refused.stderr);
  assert.match(refused.stderr, /make a new one.*lockstep plan SOURCE TARGET --allow-deletes 2 /);
  assert.equal((await run('apply', plan, b.url, '--yes', '--allow-deletes', '2')).code, 20);

  const empty = await run('sync', ...two, 'empty', '--yes', '--settle', '0');
  assert.equal(empty.code, 22);
  assert.match(empty.stderr, /run the same command with --empty-source keep/);
  const kept = await run('sync', ...two, 'empty', '--yes', '--settle', '0', '--empty-source', 'keep');
  assert.equal(kept.code, 2, kept.stderr);
  assert.match(kept.stdout, /withheld +1/);
});

test('an apply that changed nothing offers no undo', async () => {
  await a.query(table('passed', 'new'));
  await b.query(table('passed', 'old'));
  const { plan } = JSON.parse((await run('plan', ...two, 'passed', '--settle', '0', '--format', 'json')).stdout);
  await b.query("update passed set v = 'moved'");
  const moved = await run('apply', plan, b.url, '--yes');
  assert.equal(moved.code, 2, moved.stderr);
  assert.match(moved.stdout, /run r_/);
  assert.doesNotMatch(moved.stdout, /undo/);
});

test('explain of a key that nobody has ever seen is a mistake, of one that is gone is a story', async () => {
  await a.query(table('told', 'new'));
  await b.query(table('told', 'old'));
  writeFileSync(
    join(home, 'lockstep.yaml'),
    `version: 1\nendpoints:\n  a: { url: "${a.url}" }\n  b: { url: "${b.url}" }\nsyncs:\n  s: { source: a, target: b, pairs: [told] }\n`,
  );
  const unknown = await run('explain', 's/told', '99');
  assert.equal(unknown.code, 20, unknown.stdout);
  assert.equal(unknown.stdout, '');
  assert.match(unknown.stderr, /told has no row with the key id 99/);
  for (const key of ['ninety', '1.5', '2026-11-21']) {
    const odd = await run('explain', 's/told', key, '--verbose');
    assert.equal(odd.code, 20, odd.stdout);
    assert.match(odd.stderr, new RegExp(`${key} cannot be a key of public.told: id is int`));
    assert.match(odd.stderr, /USAGE/);
  }
  assert.equal((await run('diff', 's', '--settle', '0')).code, 2);
  for (const db of [a, b]) await db.query('delete from told');
  const gone = await run('explain', 's/told', '1');
  assert.equal(gone.code, 0, gone.stderr);
  assert.match(gone.stdout, /on neither side now/);
});

test('explain says of a write that its run failed of how it failed, and of one that was taken back that it was', async () => {
  const role = `reader_${b.name}`;
  await a.query(table('guarded', 'x', 'y', 'z'));
  await b.query(`create table guarded (id integer primary key, v text check (v <> 'y'));
    create role ${role} login password 'r'; grant select on guarded to ${role}`);
  try {
    const url = new URL(b.url);
    [url.username, url.password] = [role, 'r'];
    writeFileSync(
      join(home, 'lockstep.yaml'),
      `version: 1\nendpoints:\n  a: { url: "${a.url}" }\n  b: { url: "${url.href}", writable: true }\nsyncs:\n  s: { source: a, target: b, pairs: [guarded] }\n`,
    );
    const denied = await run('sync', 's', '--settle', '0', '--yes');
    assert.equal(denied.code, 21, denied.stderr);
    const history = async (key: string): Promise<readonly string[]> =>
      JSON.parse((await run('explain', 's/guarded', key, '--format', 'json')).stdout).history.map(
        (h: { what: string }) => h.what,
      );
    assert.match(
      (await history('1')).at(-1)!,
      /^sync: insert begun, not settled \(its run failed: PRIVILEGE: .*permission denied/,
    );
    await b.query(`grant all on guarded to ${role}`);
    const again = await run('sync', 's', '--settle', '0', '--yes', '--format', 'json');
    assert.equal(again.code, 2, again.stderr);
    const told = await history('1');
    assert.ok(told.includes('sync: insert rolled back'), told.join());
    assert.equal(told.at(-1), 'sync: insert applied');
    assert.match((await history('2')).at(-1)!, /^sync: insert rejected \(/);
  } finally {
    await b.query(`drop owned by ${role}; drop role ${role}`);
  }
});

test('plan, apply and sync count rows without a key alike', async () => {
  const keyless = (msg: string): string => `create table log (msg text); insert into log values ('${msg}');`;
  await a.query(table('keyed', 'new') + keyless('here'));
  await b.query(table('keyed', 'old') + keyless('there'));
  const pairs = [...two, 'keyed', 'log', '--settle', '0'];
  const plan = JSON.parse((await run('plan', ...pairs, '--format', 'json')).stdout);
  assert.deepEqual([plan.planned, plan.does_not_fit], [{ insert: 0, update: 1, delete: 0, withheld: 0 }, 2]);
  const shown = await run('show', plan.plan);
  assert.match(shown.stdout, /\+ insert 0 +~ update 1 +- delete 0/);
  assert.match(shown.stdout, /not planned +2 rows/);
  const applied = await run('apply', plan.plan, b.url, '--yes');
  assert.equal(applied.code, 2);
  assert.match(applied.stdout, /not planned +2 /, 'why the exit code is 2');
  await b.query("update keyed set v = 'old'");
  const sync = await run('sync', ...pairs, '--yes');
  assert.equal(sync.code, 2);
  assert.match(sync.stdout, /planned +1 +\+ 0 +~ 1 +- 0/);
  assert.match(sync.stdout, /not planned +2 /);
  assert.doesNotMatch(sync.stdout, /rejected/);
  const again = JSON.parse((await run('sync', ...pairs, '--yes', '--format', 'json')).stdout);
  assert.deepEqual([again.planned.insert, again.planned.delete, again.rejected, again.does_not_fit], [1, 1, 2, 2]);
});

test('SQLite: spellings of one value are equal and stay, and what is written is canonical, as its page says', async () => {
  const create = 'create table t (id integer primary key, v text, at timestamp, z timestamptz, u uuid, b boolean);';
  const row = (id: number, v: string, spelled: boolean): string =>
    `insert into t values (${id}, '${v}', ${spelled ? "'2024-01-01T00:00:00Z', '2024-01-01T02:00:00+02:00', '550E8400-E29B-41D4-A716-446655440000', 'true'" : "'2024-01-01 00:00:00.000', '2024-01-01 00:00:00', '{550e8400e29b41d4a716446655440000}', 1"});`;
  const f = folder(
    'spelled',
    create + row(1, 'same', true) + row(2, 'new', true) + row(3, 'only here', true),
    create + row(1, 'same', false) + row(2, 'old', false),
  );
  const files = ['sqlite:a.db', 'sqlite:b.db', '--settle', '0'];
  const found = JSON.parse((await f.run('diff', ...files, '--format', 'json')).stdout);
  assert.deepEqual(found.pairs[0].columns, { v: 1 });
  const synced = await f.run('sync', ...files, '--yes');
  assert.equal(synced.code, 0, synced.stderr);
  using db = new DatabaseSync(join(f.dir, 'b.db'));
  const untouched = ['2024-01-01 00:00:00.000', '2024-01-01 00:00:00', '{550e8400e29b41d4a716446655440000}', 1];
  assert.deepEqual(
    db
      .prepare('select v, at, z, u, b from t order by id')
      .all()
      .map((r) => Object.values(r)),
    [
      ['same', ...untouched],
      ['new', ...untouched],
      ['only here', '2024-01-01 00:00:00', '2024-01-01 00:00:00', '550e8400-e29b-41d4-a716-446655440000', 1],
    ],
  );
});
