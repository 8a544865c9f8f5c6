import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { lockstep } from '../e2e/lockstep.ts';
import { testDatabase } from '../servers/postgres.ts';

/** What somebody meets who follows the guides for the first time: each message must be true and lead on. */

const control = await testDatabase();
const home = mkdtempSync(join(tmpdir(), 'lockstep-newcomer-'));
after(async () => {
  rmSync(home, { recursive: true, force: true });
  await control[Symbol.asyncDispose]();
});

/** A folder with two SQLite databases in it, and the command line there. */
const folder = (name: string, a: string, b: string) => {
  const dir = join(home, name);
  mkdirSync(dir);
  const exec = (file: string, sql: string): void => {
    using db = new DatabaseSync(join(dir, file));
    db.exec(sql);
  };
  exec('a.db', a);
  exec('b.db', b);
  return {
    dir,
    exec,
    run: (...args: string[]) => lockstep(args, { cwd: dir, env: { LOCKSTEP_CONTROL_URL: control.url } }),
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

test('a guard names what most of its own limit comes from, and a way that the command at hand takes', async () => {
  const rows = Array.from({ length: 30 }, () => 'same');
  const f = folder(
    'guards',
    table('kept', ...rows.map(() => 'new')) + table('lost', 'same') + table('empty'),
    table('kept', ...rows) + table('lost', 'same', 'a', 'b') + table('empty', 'x'),
  );
  const two = ['sqlite:a.db', 'sqlite:b.db'];
  const synced = await f.run('sync', ...two, 'kept', 'lost', '--yes', '--settle', '0');
  assert.equal(synced.code, 22, synced.stderr);
  assert.match(synced.stderr, /2 of 2 deletes are from lost\./);
  assert.doesNotMatch(synced.stderr, /kept/, 'the updates are not what was stopped');
  assert.match(synced.stderr, /run the same command with --allow-deletes 2/);

  const made = await f.run('plan', ...two, 'kept', 'lost', '--settle', '0', '--format', 'json');
  const { plan, stopped_by } = JSON.parse(made.stdout);
  assert.match(stopped_by[0], /2 deletes planned.*plan with --allow-deletes 2/);
  const refused = await f.run('apply', plan, 'sqlite:b.db', '--yes');
  assert.equal(refused.code, 22, refused.stderr);
  assert.match(refused.stderr, /make a new plan.*lockstep plan SOURCE TARGET --allow-deletes 2/);
  assert.equal((await f.run('apply', plan, 'sqlite:b.db', '--yes', '--allow-deletes', '2')).code, 20);

  const empty = await f.run('sync', ...two, 'empty', '--yes', '--settle', '0');
  assert.equal(empty.code, 22);
  assert.match(empty.stderr, /run the same command with --empty-source keep/);
  const kept = await f.run('sync', ...two, 'empty', '--yes', '--settle', '0', '--empty-source', 'keep');
  assert.equal(kept.code, 2, kept.stderr);
  assert.match(kept.stdout, /withheld +1/);
});

test('an apply that changed nothing offers no undo', async () => {
  const f = folder('nothing', table('t', 'new'), table('t', 'old'));
  const two = ['sqlite:a.db', 'sqlite:b.db'];
  const { plan } = JSON.parse((await f.run('plan', ...two, '--settle', '0', '--format', 'json')).stdout);
  f.exec('b.db', "update t set v = 'moved'");
  const moved = await f.run('apply', plan, 'sqlite:b.db', '--yes');
  assert.equal(moved.code, 2, moved.stderr);
  assert.match(moved.stdout, /run r_/);
  assert.doesNotMatch(moved.stdout, /undo/);
});

test('explain of a key that nobody has ever seen is a mistake, of one that is gone is a story', async () => {
  const f = folder('unknown', table('t', 'new'), table('t', 'old'));
  await f.run('init', 'sqlite:a.db', 'sqlite:b.db');
  const unknown = await f.run('explain', 'a-b/t', '99');
  assert.equal(unknown.code, 20, unknown.stdout);
  assert.equal(unknown.stdout, '');
  assert.match(unknown.stderr, /t has no row with the key id 99/);
  assert.equal((await f.run('diff', 'a-b', '--settle', '0')).code, 2);
  f.exec('a.db', 'delete from t');
  f.exec('b.db', 'delete from t');
  const gone = await f.run('explain', 'a-b/t', '1');
  assert.equal(gone.code, 0, gone.stderr);
  assert.match(gone.stdout, /on neither side now/);
});
