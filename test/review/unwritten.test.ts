import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firebird } from '../../src/engines/firebird/index.ts';
import { incrementalRuns, rule } from '../diff/incremental-runs.ts';
import { connect, never } from '../engines/postgres-support.ts';
import { firebirdDatabase, isFirebirdMissing, ownFirebird } from '../servers/firebird.ts';
import { testDatabase } from '../servers/postgres.ts';

// Statements that change what every row shows and write none: no record version tells them.

test('PostgreSQL: a column that is dropped and added with a default', async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  for (const db of [source, target])
    await db.query(`create table t (id int primary key, v int); insert into t select i, 5 from generate_series(1, 50) i;
      create type pair as (a int, b int); create table c (id int primary key, v pair); insert into c values (1, '(1,2)');
      create type mood as enum ('low', 'high'); create table e (id int primary key, v mood[]); insert into e values (1, '{low}')`);
  await using left = await connect(source.url, { name: 'left' });
  await using right = await connect(target.url, { name: 'right' });
  const only = (table: string) => ({ pairs: [{ source: table }] });
  const { run } = incrementalRuns(left, right);
  for (const table of ['t', 'c', 'e']) assert.equal((await run(rule('xmin'), only(table))).report.verdict, 'agrees');
  assert.equal((await run(rule('id'), only('t'))).report.verdict, 'agrees');
  await target.query(`alter table t drop column v; alter table t add column v int default 7; alter table t alter v drop default;
    alter type pair drop attribute b; alter type pair add attribute b int; alter type mood rename value 'low' to 'down'`);
  for (const [table, rows] of [
    ['t', 50],
    ['c', 1],
    ['e', 1],
  ] as const) {
    const { pair, report } = await run(rule('xmin'), only(table));
    assert.equal(report.verdict, 'differs', table);
    assert.equal(pair.different, rows);
  }
  assert.equal((await run(rule('id'), only('t'))).pair.different, 50, 'by a column that nobody set');
});

test('Firebird: a column that is dropped and added with a default, and one that is computed anew', {
  skip: isFirebirdMissing,
}, async (t) => {
  if (!process.env['LOCKSTEP_TEST_FIREBIRD_URL']) t.after(async () => (await ownFirebird())[Symbol.asyncDispose]());
  await using source = await firebirdDatabase();
  await using target = await firebirdDatabase();
  for (const db of [source, target]) {
    await db.run('create table t (id integer not null primary key, v integer not null)');
    await db.run('create table c (id integer not null primary key, a integer, v computed by (a * 2))');
    await db.run('insert into t values (1, 5)', 'insert into c (id, a) values (1, 2)');
  }
  const open = (url: string, name: string) =>
    firebird.connect(firebird.parse(url), { name, writable: false, signal: never });
  await using left = await open(source.url, 'left');
  await using right = await open(target.url, 'right');
  const only = (table: string) => ({ pairs: [{ source: table }] });
  const { run } = incrementalRuns(left, right);
  for (const table of ['T', 'C'])
    assert.equal((await run(rule('record_version'), only(table))).report.verdict, 'agrees');
  await target.run('alter table t drop v');
  await target.run('alter table t add v integer default 7 not null');
  await target.run('alter table t alter v drop default');
  await target.run('alter table c alter v computed by (a * 3)');
  for (const table of ['T', 'C']) {
    const { pair, report } = await run(rule('record_version'), only(table));
    assert.equal(report.verdict, 'differs', table);
    assert.equal(pair.different, 1);
  }
});
