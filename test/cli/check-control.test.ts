import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import type { Diagnosis } from '../../src/service/diagnosis.ts';
import { testDatabase } from '../servers/postgres.ts';
import { freshStore } from '../store/fresh-store.ts';
import { inProcess } from './in-process.ts';

/** What `lockstep check` says of the control store, and that it leaves it as it is. */

const home = mkdtempSync(join(tmpdir(), 'lockstep-check-'));
const readonly = `store_${process.pid}`;
const { database: made } = await freshStore();
const empty = await testDatabase();
after(async () => {
  rmSync(home, { recursive: true, force: true });
  // what it may do in the other one has gone with that
  await empty.query(`drop owned by ${readonly}; drop role ${readonly}`);
  await empty[Symbol.asyncDispose]();
});
{
  using db = new DatabaseSync(join(home, 'a.db'));
  db.exec('create table t (id integer primary key)');
}
writeFileSync(join(home, 'lockstep.yaml'), 'version: 1\nendpoints:\n  a: { url: "sqlite:a.db" }\n');
await empty.query(`create role ${readonly} login password 'r'`);

const as = (url: string): string => {
  const other = new URL(url);
  [other.username, other.password] = [readonly, 'r'];
  return other.href;
};
/** The first lines, which are of the control store. */
const check = async (...args: string[]) => {
  const { code, stdout, stderr } = await inProcess(['check', ...args, '--format', 'json'], { cwd: home });
  assert.equal(stderr, '');
  const { findings } = JSON.parse(stdout) as { findings: readonly Diagnosis[] };
  const others = findings.findIndex((f) => f.about !== 'control');
  assert.ok(findings.slice(others).every((f) => f.about !== 'control'));
  return { code, findings, found: findings.slice(0, others) };
};
const steps = async (): Promise<number> =>
  (await made.query('select count(*)::int as n from lockstep_control.migration')).rows[0].n;

test('a store of this version is told first, with its server and without its password', async () => {
  const { code, found } = await check('--control', made.url);
  assert.equal(code, 0);
  assert.deepEqual(
    found.map((f) => [f.level, f.code]),
    [['ok', 'control']],
  );
  assert.match(
    found[0]!.message,
    new RegExp(
      `^PostgreSQL \\d+(\\.\\d+)?, postgres://.*/${made.name}: version ${await steps()}, as this Lockstep has it$`,
    ),
  );
  assert.doesNotMatch(found[0]!.message, new RegExp(new URL(made.url).password || ':.*@'));
  const table = await inProcess(['check', '--control', made.url], { cwd: home });
  assert.match(table.stdout, /^ {2}ok +control +PostgreSQL/);
});

test('an empty database is where the first command will make it, and check does not', async () => {
  const { code, found } = await check('--control', empty.url);
  assert.deepEqual([code, found.map((f) => f.level)], [0, ['ok']]);
  assert.match(found[0]!.message, /nothing in it yet/);
  const { rows } = await empty.query("select count(*)::int as n from pg_namespace where nspname like 'lockstep%'");
  assert.equal(rows[0].n, 0);
  const denied = await check('--control', as(empty.url));
  assert.equal(denied.code, 21);
  assert.match(denied.found[1]!.message, /may not make its schema/);
  assert.equal(denied.found[1]!.fix, `grant create on database "${empty.name}" to "${readonly}";`);
});

test('an older store is brought on by what uses it, not by check; a newer one is an error', async () => {
  const n = await steps();
  const { rows } = await made.query('delete from lockstep_control.migration where number = $1 returning *', [n]);
  const older = await check('--control', made.url);
  assert.equal(older.code, 0);
  assert.deepEqual(
    older.found.map((f) => f.code),
    ['control', 'control_older'],
  );
  assert.match(older.found[1]!.message, new RegExp(`brings it to version ${n}`));
  assert.equal(await steps(), n - 1);
  const { number, name, checksum, made_by } = rows[0];
  const put = (at: number, by: string) =>
    made.query('insert into lockstep_control.migration (number, name, checksum, made_by) values ($1, $2, $3, $4)', [
      at,
      name,
      checksum,
      by,
    ]);
  await put(number, made_by);
  await put(number + 1, '99.1.0');
  const newer = await check('--control', made.url);
  assert.equal(newer.code, 20);
  assert.equal(newer.found[0]!.code, 'store_newer');
  assert.match(newer.found[0]!.message, /written by a newer Lockstep, 99\.1\.0/);
  assert.ok(
    newer.findings.some((f) => f.about === 'a' && f.code === 'connected'),
    'the rest is examined all the same',
  );
  await made.query('delete from lockstep_control.migration where number = $1', [number + 1]);
});

test('rights that are missing are errors with the statement that gives them', async () => {
  const closed = await check('--control', as(made.url));
  assert.equal(closed.code, 21);
  assert.equal(closed.found[0]!.code, 'privilege');
  await made.query(`grant usage on schema lockstep_control to ${readonly};
    grant select on all tables in schema lockstep_control to ${readonly}`);
  const reads = await check('--control', as(made.url));
  assert.equal(reads.code, 21);
  const rights = reads.found.find((f) => f.code === 'control_rights')!;
  assert.match(rights.message, /may not read and write .*, and \d+ more/);
  // and where nobody may change the audit log
  await made.query(`${rights.fix!}; revoke update, delete on lockstep_control.audit from ${readonly}`);
  const writes = await check('--control', as(made.url));
  assert.deepEqual([writes.code, writes.found[0]!.level], [0, 'ok'], JSON.stringify(writes.found));
  assert.ok(!writes.found.some((f) => f.level === 'error'));
});

test('one that cannot be reached is an error; one of the folder is not made for that', async () => {
  const away = await check('--control', 'postgres://nobody@127.0.0.1:1/none');
  assert.deepEqual([away.code, away.found[0]!.code], [21, 'connect']);
  const own = await check();
  assert.deepEqual([own.code, own.found.map((f) => f.level)], [0, ['ok']]);
  assert.match(own.found[0]!.message, /^embedded, .*: the first command that keeps something makes it$/);
  assert.ok(!existsSync(join(home, '.lockstep')));
  const { stdout } = await inProcess(['check', 'sqlite:a.db', 'sqlite:a.db', '--format', 'json'], { cwd: home });
  assert.ok(!stdout.includes('"control"'), 'two URLs are compared without one');
});
