import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import pg from 'pg';
import { storeDatabase, testDatabase } from '../servers/postgres.ts';
import { inProcess } from './in-process.ts';

const a = await testDatabase();
const b = await testDatabase();
const control = await storeDatabase();
const home = mkdtempSync(join(tmpdir(), 'lockstep-resume-'));
after(async () => {
  rmSync(home, { recursive: true, force: true });
  for (const db of [a, b, control]) await db[Symbol.asyncDispose]();
});
const env = { LOCKSTEP_CONTROL_URL: control.url };
const run = (...args: string[]) => inProcess(args, { cwd: home, env });

test('a saved diff that was killed goes on where it was: finished pairs are not read again', async () => {
  for (const [db, v] of [
    [a, 'new'],
    [b, 'old'],
  ] as const) {
    for (const table of ['first', 'second']) {
      await db.query(`create table ${table} (id int primary key, v text)`);
      await db.query(`insert into ${table} select i, $1 || i from generate_series(1, 20) i`, [v]);
    }
  }
  // Nobody gets past the second table.
  const holder = new pg.Client({ connectionString: b.url });
  await holder.connect();
  await holder.query('begin; lock table second in access exclusive mode');

  const main = join(dirname(import.meta.filename), '../../src/main.ts');
  const args = ['diff', a.url, b.url, 'first', 'second', '--settle', '0'];
  const child = spawn(process.execPath, [main, ...args, '--save', '--quiet'], {
    cwd: home,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const over = new Promise((resolve) => child.once('close', resolve));
  const finished = async (): Promise<boolean> => {
    const { rows } = await control.query("select to_regclass('lockstep_control.run') is not null as there");
    if (!rows[0].there) return false;
    const found = await control.query(
      "select checkpoint::text like '%public.first%' as done from lockstep_control.run",
    );
    return found.rows[0]?.done === true;
  };
  while (!(await finished())) assert.equal(child.exitCode, null);
  child.kill('SIGKILL');
  await over;

  const listed = JSON.parse((await run('runs', '--format', 'json')).stdout).runs;
  assert.equal(listed.length, 1);
  assert.equal(listed[0].state, 'interrupted');
  const id: string = listed[0].id;

  await holder.query('rollback');
  await holder.end();
  // What the first table holds now is not looked at again.
  await b.query('update first set v = $1 || id', ['new']);
  const other = await run('diff', a.url, a.url, 'first', '--resume', id);
  assert.equal(other.code, 20, other.stderr);
  const resumed = await run(...args, '--resume', id, '--format', 'json');
  assert.equal(resumed.code, 2, resumed.stderr);
  const report = JSON.parse(resumed.stdout);
  assert.equal(report.run, id);
  assert.deepEqual(
    report.pairs.map((p: { source: string; different: number }) => [p.source, p.different]),
    [
      ['public.first', 20],
      ['public.second', 20],
    ],
  );
  const shown = JSON.parse((await run('show', id, '--format', 'json')).stdout);
  assert.equal(shown.differences.length, 40, 'each difference once');
  assert.equal(new Set(shown.differences.map((d: object) => JSON.stringify(d))).size, 40);
  const again = await run(...args, '--resume', id);
  assert.equal(again.code, 20);
  assert.match(again.stderr, /nothing to go on with/);
});

test('a pair that was compared as something else is compared again, and its differences are those of now', async () => {
  for (const db of [a, b]) {
    await db.query('create table third (id int primary key, v text); create table other (like third including all)');
    await db.query(`insert into third select i, 'v' || i from generate_series(1, 20) i; insert into other table third`);
  }
  await b.query(`update third set v = 'changed' where id > 10`);
  await b.query(`delete from other where id = 1`);
  const interrupted = async (...args: string[]): Promise<string> => {
    await run('diff', a.url, b.url, ...args, '--settle', '0', '--save');
    const { rows } = await control.query(
      `update lockstep_control.run set state = 'failed' where id = (select max(id) from lockstep_control.run) returning id`,
    );
    return rows[0].id;
  };
  const resumed = async (id: string, ...args: string[]) => {
    const { code, stdout } = await run('diff', a.url, b.url, ...args, '--settle', '0', '--resume', id, '--json');
    const [pair] = JSON.parse(stdout).pairs;
    const shown = JSON.parse((await run('show', id, '--json')).stdout);
    return [code, pair.target, pair.rows.source, pair.different + pair.only_in_source, shown.differences.length];
  };
  const whole = [2, 'public.third', 20, 10, 10];
  for (const before of [
    ['third', '--where', 'id < 3'],
    ['third', '--exclude', 'v'],
    ['third=other'],
    ['other'],
    ['third'],
  ])
    assert.deepEqual(await resumed(await interrupted(...before), 'third'), whole, before.join(' '));
  const altered = await interrupted('third=other');
  for (const [db, v] of [
    [a, 'here'],
    [b, 'there'],
  ] as const) {
    const table = db === a ? 'third' : 'other';
    await db.query(`alter table ${table} add column more text; update ${table} set more = '${v}'`);
  }
  assert.deepEqual(await resumed(altered, 'third=other'), [2, 'public.other', 20, 20, 20]);
});

test('what was kept is told as it is, whichever attempt kept it', async () => {
  for (const db of [a, b])
    await db.query('create table many (id int primary key); create table few (id int primary key)');
  await a.query('insert into many select generate_series(1, 100010); insert into few values (1)');
  const args = ['diff', a.url, b.url, 'many', 'few', '--settle', '0'];
  const said = /keeps the first 100000 differences; 11 more were counted/;
  assert.match((await run(...args, '--save')).stderr, said);
  const { rows } = await control.query(
    `update lockstep_control.run set state = 'failed' where id = (select max(id) from lockstep_control.run) returning id`,
  );
  assert.match((await run(...args, '--resume', rows[0].id)).stderr, said);
});
