import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testDatabase } from '../servers/postgres.ts';
import { freshStore } from '../store/fresh-store.ts';
import { copied, sqliteFile } from './support.ts';

const { store } = await freshStore();

test('a copy that goes on loads into no table that somebody has filled meanwhile', async () => {
  const source = sqliteFile(`create table a (x text); create table b (x text); create table c (x text);
    insert into a values ('a'); insert into b values ('b'); insert into c values ('c')`);
  await using target = await testDatabase();
  const stop = new AbortController();
  const first = await copied(store, source.url, target.url, {
    stop: stop.signal,
    tables: [{ source: 'a' }, { source: 'b' }],
    onProgress: ({ phase, pair }) => {
      if (phase === 'load' && pair === 'a') stop.abort();
    },
  });
  assert.equal(first.exit, 130);
  const goOn = (...tables: string[]) =>
    copied(store, source.url, target.url, { resume: first.run, tables: tables.map((t) => ({ source: t })) });
  // one that the run made and has not begun, and one that it has never heard of
  await target.query(`insert into b values ('theirs'); create table c (x text); insert into c values ('theirs')`);
  await assert.rejects(goOn('a', 'b'), { code: 'GUARD' });
  await target.query('truncate b');
  await assert.rejects(goOn('a', 'b', 'c'), { code: 'GUARD' });
  assert.deepEqual((await target.query('select x from c')).rows, [{ x: 'theirs' }]);
  assert.equal((await goOn('a', 'b')).certificate.verdict, 'certified');
  assert.deepEqual((await target.query('select x from b')).rows, [{ x: 'b' }]);
});
