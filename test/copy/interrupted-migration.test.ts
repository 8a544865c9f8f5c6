import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import { copy } from '../../src/work/copy.ts';
import { migrate } from '../../src/work/migrate.ts';
import { testDatabase } from '../servers/postgres.ts';
import { freshStore } from '../store/fresh-store.ts';
import { copyInput, open, signal, sqliteFile } from './support.ts';

const { store } = await freshStore();

const schema = `
  create table a (id integer primary key, v text);
  insert into a with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000) select i, 'row ' || i from n;
  create table b (id integer primary key, a integer references a (id));
  create index b_a on b (a);
  insert into b select id, id from a where id <= 100;`;

const guards = { maxChanges: 500, maxChangeRatio: 0.01, maxDeletes: 0, emptySource: 'stop' } as const;

test('a migration goes on with a copy that was interrupted, under a run of its own, and no row is there twice', async () => {
  await using database = await testDatabase();
  const { url } = sqliteFile(schema);
  await using source = await open(url, 'old', false);
  await using target = await open(database.url, 'new', true);
  const sync = 'app';
  const stop = new AbortController();
  const input = { ...copyInput(store, source, target), sync, pairs: [{ source: 'a' }, { source: 'b' }] };
  const begun = await copy({
    ...input,
    stepRows: 1000,
    lanes: 1,
    stop: stop.signal,
    onProgress: ({ phase, rows }) => {
      if (phase === 'load' && rows >= 1000) stop.abort();
    },
  });
  assert.equal(begun.exit, 130);
  const loaded = (await database.query('select count(*)::int as n from a')).rows[0].n;
  assert.ok(loaded >= 1000 && loaded < 5000, `${loaded} rows were loaded before it was stopped`);
  const request = { ...input, guards, settings: {}, random: Math.random, clock: systemClock, signal };
  const done = await migrate(request);
  assert.ok(done.phase === 'copy' && done.sync !== undefined);
  assert.notEqual(done.run, begun.run);
  assert.equal(done.exit, 0, JSON.stringify(done.certificate));
  assert.equal(done.certificate!.verdict, 'certified');
  assert.deepEqual(done.sync.applied, { insert: 5100 - loaded, update: 0, delete: 0 });
  assert.equal(done.sync.already, loaded);
  // the parts that come after the rows were made, too
  const parts = await database.query(`select 1 from pg_indexes where tablename = 'b' and indexname = 'b_a'`);
  assert.equal(parts.rowCount, 1);
  const next = await migrate(request);
  assert.equal(next.phase, 'catch_up');
});

test('a migration that a worker left goes on as the run that it is', async () => {
  await using database = await testDatabase();
  const { url } = sqliteFile(schema);
  await using source = await open(url, 'old', false);
  await using target = await open(database.url, 'new', true);
  const stop = new AbortController();
  const request = {
    ...copyInput(store, source, target),
    sync: 'third',
    guards,
    settings: {},
    random: Math.random,
    onProgress: ({ phase, pair }: { phase: string; pair: string }): void => {
      if (phase === 'load' && pair === 'b') stop.abort();
    },
  };
  const left = await migrate({ ...request, stop: stop.signal });
  assert.ok(left.phase === 'copy' && left.certificate === undefined);
  const done = await migrate({ ...request, asRun: left.run });
  assert.ok(done.phase === 'copy' && done.sync !== undefined);
  assert.deepEqual([done.run, done.exit, done.sync.already], [left.run, 0, 5000], JSON.stringify(done.certificate));
});

test('what somebody dropped meanwhile is copied anew, not taken for loaded', async () => {
  await using database = await testDatabase();
  const { url } = sqliteFile(schema);
  await using source = await open(url, 'old', false);
  await using target = await open(database.url, 'new', true);
  const stop = new AbortController();
  const input = { ...copyInput(store, source, target), sync: 'other' };
  const onProgress = ({ phase, rows }: { phase: string; rows: number }): void => {
    if (phase === 'load' && rows >= 1000) stop.abort();
  };
  await copy({ ...input, stepRows: 1000, lanes: 1, stop: stop.signal, onProgress });
  await database.query('drop table b; drop table a');
  const request = { ...input, guards, settings: {}, random: Math.random, clock: systemClock, signal };
  const done = await migrate(request);
  assert.ok(done.phase === 'copy');
  assert.equal(done.exit, 0, JSON.stringify(done.certificate));
  assert.equal((await database.query('select count(*)::int as n from a')).rows[0].n, 5000);
});
