import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import type { Outcome } from '../e2e/lockstep.ts';
import { storeDatabase, testDatabase } from '../servers/postgres.ts';
import { inProcess } from './in-process.ts';

/** What users get for bad input: an exit code, a message that says what, where and what to do, and nothing half-written. */

// Whoever runs the tests may have one.
delete process.env['PGPASSWORD'];
const a = await testDatabase();
const b = await testDatabase();
const control = await storeDatabase();
const home = mkdtempSync(join(tmpdir(), 'lockstep-bad-'));
after(async () => {
  rmSync(home, { recursive: true, force: true });
  await b.query(`drop owned by ${low}; drop role ${low}`);
  for (const db of [a, b, control]) await db[Symbol.asyncDispose]();
});

await a.query(`
  create table t (id int primary key, v text); insert into t select i, 'v' || i from generate_series(1, 1000) i;
  create table nokey (x int); insert into nokey values (1), (2);
  create table one (id int primary key, v text); insert into one values (1, 'new');
  create table dup (k int, v text); insert into dup values (1, 'a'), (1, 'b'), (2, 'c');
  create table keytype (id bytea primary key);
  create table wide (id int primary key, amount numeric(12,4), name text); insert into wide values (1, 19.9949, repeat('x', 312));
  create table empty (id int primary key);
  create table secret (id int primary key);
`);
await b.query(`
  create table t (id int primary key, v text); insert into t select i, 'w' || i from generate_series(1, 1000) i;
  create table nokey (x int); insert into nokey values (1), (3);
  create table one (id int primary key, v text); insert into one values (1, 'old');
  create table dup (k int, v text); insert into dup values (1, 'a'), (2, 'c');
  create table keytype (id int primary key);
  create table wide (id int primary key, amount numeric(10,2), name varchar(255));
  create table empty (id int primary key); insert into empty values (1), (2);
  create table secret (id int primary key);
`);

await a.query(`create table sub (id int primary key, plan text); insert into sub values (1, 'team2026');
  create table changed (id int primary key, status text); insert into changed values (9, 'canceled');`);
await b.query(`create table offer (code text primary key); create table sub (id int primary key, plan text references offer);
  create table changed (id int primary key, status text);
  create function normalise() returns trigger language plpgsql as $$ begin new.status := 'closed'; return new; end $$;
  create trigger normalise before insert on changed for each row execute function normalise();
  create table notes (id int primary key, body text); create table d (id int primary key, at date);`);
/** Roles belong to the server: one of this test's own. */
const low = `low_${b.name}`;
await b.query(`create role ${low} login password 'low'`);
const odd = join(home, 'odd.db');
{
  const db = new DatabaseSync(odd);
  db.exec(`create table notes (id integer primary key, body text);
    insert into notes values (9, 'ab' || char(0) || 'cd'), (10, cast(x'4f9243' as text));
    create table d (id integer primary key, at date); insert into d values (1, '0000-00-00');`);
  db.close();
}

const file = (name: string, text: string): string => {
  writeFileSync(join(home, name), text);
  return name;
};
const run = (...args: string[]): Promise<Outcome> =>
  inProcess([...args, '--no-input'], { cwd: home, env: { LOCKSTEP_CONTROL_URL: control.url } });
const url = (change: (u: URL) => void): string => {
  const u = new URL(b.url);
  change(u);
  return u.href;
};
const config = (text: string): string[] => ['--config', file(`c${Math.abs(hash(text))}.yaml`, text)];
const hash = (text: string): number => [...text].reduce((n, c) => (n * 31 + c.charCodeAt(0)) | 0, 7);
const base = `version: 1\nendpoints:\n  a: { url: "${a.url}" }\n  b: { url: "${b.url}", writable: true }\n`;

interface Case {
  readonly name: string;
  readonly args: () => readonly string[];
  readonly exit: number;
  /** Each must occur in what is printed. */
  readonly says: readonly RegExp[];
}

const cases: readonly Case[] = [
  {
    name: 'a table without a key cannot be planned',
    args: () => ['plan', a.url, b.url, 'nokey'],
    exit: 20,
    says: [/nokey has no key/, /Nothing was planned/, /--key a,b/],
  },
  {
    name: 'a table without a key beside others is left out of the plan, and said so once',
    args: () => ['plan', a.url, b.url, 'nokey', 'one', '--settle', '0'],
    exit: 2,
    says: [/no key {2,}public\.nokey: its rows can be compared, not written/, /update 1/, /1 change ready/],
  },
  {
    name: 'a duplicate key is counted and keeps the verdict from being green',
    args: () => ['diff', a.url, b.url, 'dup', '--key', 'k', '--settle', '0'],
    exit: 25,
    says: [/duplicate key/i, /INCOMPLETE/],
  },
  {
    name: 'key columns of incompatible types',
    args: () => ['diff', a.url, b.url, 'keytype', '--key', 'id'],
    exit: 20,
    says: [/key id/, /bytea/, /integer/],
  },
  {
    name: 'an unknown table, with the nearest one',
    args: () => ['diff', a.url, b.url, 'widee'],
    exit: 20,
    says: [/no table widee/, /Did you mean (public\.)?wide\?/],
  },
  {
    name: 'an unknown column, with the nearest one',
    args: () => ['diff', a.url, b.url, 'wide', '--columns', 'amout'],
    exit: 20,
    says: [/no column amout/, /Did you mean amount\?/],
  },
  {
    name: 'values that the target cannot hold are named, never rounded',
    args: () => ['plan', a.url, b.url, 'wide', '--settle', '0'],
    exit: 2,
    says: [/does not fit/, /(19\.9949|varchar\(255\)|character varying\(255\)|too long)/],
  },
  {
    name: 'a wrong password, with where it came from',
    args: () => [
      'diff',
      's',
      ...config(
        `version: 1\nendpoints:\n  a: { url: "${a.url}" }\n  b: { url: "\${env:B_URL}" }\nsyncs:\n  s: { source: a, target: b }\n`,
      ),
    ],
    exit: 21,
    says: [/\bb\b/, /password/, /\$\{env:B_URL\}/],
  },
  {
    name: 'an unknown host',
    args: () => ['diff', a.url, 'postgres://u@no-such-host.invalid/x'],
    exit: 21,
    says: [/no-such-host\.invalid/],
  },
  {
    name: 'a refused connection',
    args: () => ['diff', a.url, 'postgres://u@127.0.0.1:1/x'],
    exit: 21,
    says: [/127\.0\.0\.1:1/],
  },
  {
    name: 'a database that does not exist',
    args: () => [
      'diff',
      a.url,
      url((u) => {
        u.pathname = '/no_such_db';
      }),
    ],
    exit: 21,
    says: [/no_such_db/],
  },
  {
    name: 'a secret that is not set, with file and line',
    args: () => [
      'diff',
      's',
      ...config(`${base}  c: { url: "\${env:LOCKSTEP_TEST_UNSET}" }\nsyncs:\n  s: { source: a, target: c }\n`),
    ],
    exit: 20,
    says: [/\$\{env:LOCKSTEP_TEST_UNSET\} is not set/, /\.yaml:5/, /looked in: the environment, \.env/],
  },
  {
    name: 'both sides are the same table',
    args: () => ['diff', a.url, a.url, 't'],
    exit: 20,
    says: [/same table/],
  },
  {
    name: 'an empty source never causes deletes',
    args: () => ['sync', a.url, b.url, 'empty', '--yes', '--settle', '0', '--allow-deletes', '5'],
    exit: 22,
    says: [/no rows/],
  },
  {
    name: 'more changes than the guard allows, with the flag that would',
    args: () => ['sync', a.url, b.url, 't', '--yes', '--settle', '0'],
    exit: 22,
    says: [/max_changes/, /1,000|1000/, /--max-changes 1000/],
  },
  {
    name: 'a read-only target',
    args: () => [
      'plan',
      's',
      ...config(
        `version: 1\nendpoints:\n  a: { url: "${a.url}" }\n  b: { url: "${b.url}" }\nsyncs:\n  s: { source: a, target: b }\n`,
      ),
    ],
    exit: 20,
    says: [/read-only/, /writable: true/],
  },
  {
    name: 'nobody can be asked',
    args: () => ['sync', a.url, b.url, 't'],
    exit: 20,
    says: [/--yes/],
  },
  {
    name: 'a plan that is not there',
    args: () => ['apply', 'p_nothing', '--yes'],
    exit: 20,
    says: [/no plan p_nothing/i],
  },
  { name: 'a run that is not there', args: () => ['show', 'r_nothing'], exit: 20, says: [/no run r_nothing/i] },
  { name: 'an unknown command', args: () => ['dif'], exit: 20, says: [/no command `dif`/, /lockstep diff/] },
  { name: 'a command of later', args: () => ['follow'], exit: 20, says: [/not there yet/] },
  {
    name: 'an unknown flag',
    args: () => ['diff', 'x:y', 'x:z', '--formt', 'json'],
    exit: 20,
    says: [/--formt/, /--format/],
  },
  {
    name: 'an unknown engine',
    args: () => ['diff', 'postgre://h/d', a.url],
    exit: 20,
    says: [/postgre/, /Did you mean postgres/],
  },
  {
    name: 'a file without its scheme',
    args: () => ['diff', './app.db', a.url],
    exit: 20,
    says: [/sqlite:\.\/app\.db/],
  },
  { name: 'a file that is not there', args: () => ['diff', 'sqlite:gone.db', a.url], exit: 21, says: [/gone\.db/] },
  { name: 'one URL only', args: () => ['diff', a.url], exit: 20, says: [/target is missing/] },
  { name: 'a bad number', args: () => ['diff', a.url, b.url, '--limit', 'many'], exit: 20, says: [/--limit many/] },
  {
    name: 'a bad duration',
    args: () => ['diff', a.url, b.url, '--settle', '5'],
    exit: 20,
    says: [/--settle 5/, /500ms/],
  },
  {
    name: 'a bad tolerance',
    args: () => ['diff', a.url, b.url, '--tolerance', 'v=trimm'],
    exit: 20,
    says: [/Did you mean trim\?/],
  },
  {
    name: 'an unknown key in the config',
    args: () => ['check', ...config(`${base}syncs:\n  s: { source: a, targt: b }\n`)],
    exit: 20,
    says: [/:6:\d+: unknown key `targt`/, /\^{5}\s+did you mean target\?/],
  },
  {
    name: 'an unknown endpoint',
    args: () => ['check', ...config(`${base}syncs:\n  s: { source: a, target: bb }\n`)],
    exit: 20,
    says: [/no endpoint `bb`/, /did you mean b\?/],
  },
  {
    name: 'a reference that is not quoted',
    args: () => ['check', ...config('version: 1\nendpoints:\n  a: { url: ${env:X} }\n')],
    exit: 20,
    says: [/:3:\d+:/, /quote it/],
  },
  {
    name: 'a tab',
    args: () => ['check', ...config('version: 1\nendpoints:\n\ta: { url: x }\n')],
    exit: 20,
    says: [/:3:1: a tab/],
  },
  {
    name: 'a word that only YAML 1.1 takes for a boolean',
    args: () => ['check', ...config(base.replace('writable: true', 'writable: no'))],
    exit: 20,
    says: [/endpoints\.b\.writable: expected true or false/, /write false: `no` is a text/, /\^/],
  },
  {
    name: 'a right that is missing, with the statement that gives it',
    args: () => ['diff', a.url, url((u) => void Object.assign(u, { username: low, password: 'low' })), 't'],
    exit: 21,
    says: [/may not do this/, /grant select on "public"\."t" to/],
  },
  {
    name: 'rows that wait for a row of a table that is not part of the plan',
    args: () => ['sync', a.url, b.url, 'sub', '--settle', '0', '--yes'],
    exit: 2,
    says: [
      /Key \(plan\)=\(team2026\)/,
      /public\.sub refers to public\.offer, which is not part of this plan/,
      /Name public\.offer, too/,
    ],
  },
  {
    name: 'a trigger that changes what is written',
    args: () => ['sync', a.url, b.url, 'changed', '--settle', '0', '--yes'],
    exit: 2,
    says: [
      /changed 9: status written canceled, read back closed \(a trigger\?\)/,
      /changed has triggers \(normalise\)/,
    ],
  },
  {
    name: 'a cell that PostgreSQL cannot hold',
    args: () => ['sync', `sqlite:${odd}`, b.url, 'notes', 'd', '--settle', '0', '--yes'],
    exit: 2,
    says: [
      /notes 9: body: .*it holds a NUL character/,
      /notes 10: body: .*not valid UTF-8/,
      /d 1: at: ‹text "0000-00-00"› cannot be read as date/,
    ],
  },
  {
    name: 'a key written twice',
    args: () => ['check', ...config('version: 1\nendpoints:\n  a: { url: x }\n  a: { url: y }\n')],
    exit: 20,
    says: [/:4:3: this key is written twice/],
  },
  {
    name: 'a mode that does not exist, with the one that was meant',
    args: () => ['check', ...config(`${base}syncs:\n  s: { source: a, target: b, mode: miror }\n`)],
    exit: 20,
    says: [/syncs\.s\.mode: expected one of compare, mirror/, /did you mean mirror\?/],
  },
  {
    name: 'a config without its version',
    args: () => ['check', ...config('endpoints: {}\n')],
    exit: 20,
    says: [/version: is missing: expected 1/],
  },
  {
    name: 'a config that is a list',
    args: () => ['check', ...config('- a\n')],
    exit: 20,
    says: [/the file: expected settings by their names, such as version, endpoints and syncs/],
  },
  { name: 'an empty config', args: () => ['check', ...config('')], exit: 20, says: [/is empty/] },
  {
    name: 'a condition that is no SQL',
    args: () => ['diff', a.url, b.url, 't', '--where', 'id >'],
    exit: 20,
    says: [/id >|condition|syntax/i],
  },
];

for (const c of cases) {
  test(c.name, async () => {
    const before = new Set(readdirSync(home));
    const args = c.args();
    for (const f of readdirSync(home)) before.add(f);
    const { code, stdout, stderr } = await inProcess([...args, '--no-input'], {
      cwd: home,
      env: {
        LOCKSTEP_CONTROL_URL: control.url,
        B_URL: url((u) => {
          u.password = 'hunter2-wrong';
        }),
      },
    });
    const all = stdout + stderr;
    assert.equal(code, c.exit, all);
    for (const pattern of c.says) assert.match(all, pattern);
    assert.doesNotMatch(all, /^\s+at .*:\d+:\d+\)?$/m, 'a stack trace');
    assert.doesNotMatch(all, /unexpected failure/);
    assert.doesNotMatch(all, /hunter2-wrong/);
    assert.deepEqual(
      // what wrote keeps the key of the audit log beside the configuration
      readdirSync(home).filter((f) => !before.has(f) && !(f === '.lockstep' && c.exit === 2)),
      [],
      'something was left behind',
    );
  });
}

test('no privilege: the exact GRANT', async () => {
  const role = `r_${process.pid}`;
  await b.query(`create role ${role} login password 'pw-of-role'`);
  try {
    const limited = url((u) => {
      u.username = role;
      u.password = 'pw-of-role';
    });
    const { code, stderr } = await run('diff', a.url, limited, 'secret', '--settle', '0');
    assert.equal(code, 21, stderr);
    assert.match(stderr, /grant select on .*secret.* to /i);
    assert.doesNotMatch(stderr, /pw-of-role/);
  } finally {
    await b.query(`drop role ${role}`);
  }
});

test('text with a NUL byte from SQLite is refused for PostgreSQL with a reason, and nothing is cut', async () => {
  const path = join(home, 'nul.db');
  const db = new DatabaseSync(path);
  db.exec("create table nul (id integer primary key, body text); insert into nul values (1, 'a' || char(0) || 'b')");
  db.close();
  await b.query('create table nul (id int primary key, body text)');
  const { code, stdout } = await run('plan', `sqlite:${path}`, b.url, 'nul', '--settle', '0');
  assert.equal(code, 2);
  assert.match(stdout, /does not fit.*nul/s);
  rmSync(path);
});

test('a plan is used once, refused when edited, and refused for another database', async () => {
  await a.query('create table p (id int primary key, v text); insert into p values (1, $$new$$)');
  await b.query('create table p (id int primary key, v text); insert into p values (1, $$old$$)');
  const plan = join(home, 'fix.plan');
  const made = await run('plan', a.url, b.url, 'p', '--settle', '0', '--out', plan);
  assert.equal(made.code, 2, made.stderr);
  const text = readFileSync(plan, 'utf8');
  writeFileSync(join(home, 'edited.plan'), text.replace('"new"', '"evil"'));
  const edited = await run('apply', join(home, 'edited.plan'), b.url, '--yes');
  assert.equal(edited.code, 23, edited.stderr);
  const elsewhere = await run('apply', plan, a.url, '--yes');
  assert.equal(elsewhere.code, 23, elsewhere.stderr);
  assert.match(elsewhere.stderr, /was made for/);
  const first = await run('apply', plan, b.url, '--yes');
  assert.equal(first.code, 0, first.stderr);
  const second = await run('apply', plan, b.url, '--yes');
  assert.equal(second.code, 23, second.stderr + second.stdout);
  assert.equal((await b.query('select v from p')).rows[0].v, 'new');
  for (const f of ['fix.plan', 'edited.plan']) rmSync(join(home, f));
});

test('init never overwrites, and leaves nothing behind when it fails', async () => {
  writeFileSync(join(home, 'lockstep.yaml'), '# mine\n');
  const there = await run('init', a.url, b.url);
  assert.equal(there.code, 20);
  assert.equal(readFileSync(join(home, 'lockstep.yaml'), 'utf8'), '# mine\n');
  rmSync(join(home, 'lockstep.yaml'));
  const failed = await run('init', a.url, 'postgres://u@127.0.0.1:1/x');
  assert.equal(failed.code, 21);
  assert.equal(existsSync(join(home, 'lockstep.yaml')), false);
  assert.equal(existsSync(join(home, '.env')), false);
});
