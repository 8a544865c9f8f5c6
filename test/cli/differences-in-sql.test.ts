import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { storeDatabase } from '../servers/postgres.ts';
import { inProcess } from './in-process.ts';

const control = await storeDatabase();
const dir = mkdtempSync(join(tmpdir(), 'lockstep-in-sql-'));
after(async () => {
  rmSync(dir, { recursive: true, force: true });
  await control[Symbol.asyncDispose]();
});

const exec = (file: 'a.db' | 'b.db', sql: string): void => {
  using db = new DatabaseSync(join(dir, file));
  db.exec(sql);
};
/** `sync`: lines of each sync's settings. */
const configure = (syncs: Readonly<Record<string, string>>): void =>
  writeFileSync(
    join(dir, 'lockstep.yaml'),
    `version: 1\nendpoints:\n  a: { url: "sqlite:a.db" }\n  b: { url: "sqlite:b.db" }\nsyncs:\n${Object.entries(syncs)
      .map(([name, more]) => `  ${name}: { source: a, target: b, mode: compare, settle: 0s, ${more} }\n`)
      .join('')}`,
  );
const run = (...args: string[]) => inProcess(args, { cwd: dir, env: { LOCKSTEP_CONTROL_URL: control.url } });
const diff = async (code: number, ...args: string[]): Promise<string> => {
  const done = await run('diff', ...args);
  assert.equal(done.code, code, done.stderr + done.stdout);
  return done.stderr;
};
const shown = async (sync: string): Promise<string[]> => {
  const { rows } = await control.query(
    `select concat_ws(' ', pair, change, key ->> 'id') as line from lockstep_control.differences where sync = $1 order by 1`,
    [sync],
  );
  return rows.map((r) => r.line);
};

const both = (sql: string): void => {
  exec('a.db', sql);
  exec('b.db', sql);
};
both('create table t (id integer primary key, v text, noise text, at integer default 0)');
both('create table u (id integer primary key, v text)');
both(`insert into t (id, v, noise) values (1, 'a', 'x'), (2, 'b', 'x'), (3, 'c', 'x'), (4, 'd', 'x')`);
both(`insert into u values (1, 'a')`);
exec('a.db', `update t set noise = 'y' where id = 3; update t set v = 'B' where id = 2; delete from t where id = 1`);
exec('b.db', `update u set v = 'z'`);

test('only a sync that asks for it is shown, and only as it is configured', async () => {
  const pairs = 'pairs: [t, u]';
  configure({ quiet: pairs, loud: `${pairs}, differences: { sql: true }` });
  await diff(2, 'quiet');
  assert.deepEqual(await shown('quiet'), []);
  assert.equal(await diff(2, 'loud'), '');
  const all = ['t deleted 1', 't modified 2', 't modified 3', 'u modified 1'];
  assert.deepEqual(await shown('loud'), all);
  for (const flags of [
    ['--where', 'id > 2'],
    ['--exclude', 'v'],
    ['--exclude-table', 'u'],
  ])
    assert.match(await diff(2, 'loud', ...flags), /not shown in SQL: flags made this another comparison/);
  assert.deepEqual(await shown('loud'), all);
  // A column that is left out by the configuration is noise no more.
  configure({ loud: 'pairs: [{ source: t, exclude: [noise] }, u], differences: { sql: true }' });
  exec('b.db', `update u set v = 'a'`);
  await diff(2, 'loud', 't');
  assert.deepEqual(await shown('loud'), ['t deleted 1', 't modified 2', 'u modified 1']);
  await diff(2, 'loud');
  assert.deepEqual(await shown('loud'), ['t deleted 1', 't modified 2']);
});

test('too many are not shown, which is said, and those of before stay', async () => {
  configure({ few: 'pairs: [t], differences: { sql: true, max: 3 }' });
  await diff(2, 'few');
  const before = ['t deleted 1', 't modified 2', 't modified 3'];
  assert.deepEqual(await shown('few'), before);
  exec('b.db', `insert into t (id, v) values (50, 'more')`);
  assert.match(await diff(2, 'few'), /not shown in SQL: 4 differences, more than `differences\.max`/);
  assert.deepEqual(await shown('few'), before);
  exec('b.db', 'delete from t where id = 50');
});

test('a comparison of what has changed keeps what still differs', async () => {
  configure({
    often: 'pairs: [{ source: t, exclude: [noise] }], incremental: { by: at, overlap: 0 }, differences: { sql: true }',
  });
  await diff(2, 'often');
  assert.deepEqual(await shown('often'), ['t deleted 1', 't modified 2']);
  exec('a.db', `insert into t (id, v, at) values (60, 'new', 100)`);
  await diff(2, 'often');
  assert.deepEqual(await shown('often'), ['t deleted 1', 't modified 2', 't new 60']);
  exec('b.db', `delete from t where id = 1; insert into t (id, v, at) values (60, 'new', 100)`);
  await diff(2, 'often');
  assert.deepEqual(await shown('often'), ['t modified 2']);
  const { rows } = await control.query(
    `select change, key ->> 'id' as id from lockstep_control.difference_history where sync = 'often' and gone_at is not null order by 2`,
  );
  assert.deepEqual(rows, [
    { change: 'deleted', id: '1' },
    { change: 'new', id: '60' },
  ]);
});

test('an interrupted comparison is shown when it is resumed, unless it began as another one', async () => {
  configure({ broken: 'pairs: [t], differences: { sql: true }' });
  const interrupt = async (): Promise<string> => {
    const { rows } = await control.query(
      `update lockstep_control.run set state = 'failed' where id = (select max(id) from lockstep_control.run) returning id`,
    );
    return rows[0].id;
  };
  await diff(2, 'broken', '--where', 'id = 3');
  assert.match(await diff(2, 'broken', '--resume', await interrupt()), /not shown in SQL: flags made this another/);
  assert.deepEqual(await shown('broken'), []);
  await diff(2, 'broken');
  const before = await shown('broken');
  assert.ok(before.includes('t modified 2'), String(before));
  await control.query('delete from lockstep_control.difference_row; delete from lockstep_control.comparison');
  assert.equal(await diff(2, 'broken', '--resume', await interrupt()), '');
  assert.deepEqual(await shown('broken'), before);
});

test('mistakes in the setting are told at their place', async () => {
  configure({ wrong: 'pairs: [t], differences: { sgl: true }' });
  const done = await run('diff', 'wrong');
  assert.equal(done.code, 20);
  assert.match(done.stderr, /sql/);
});
