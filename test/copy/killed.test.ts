import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { testDatabase } from '../servers/postgres.ts';
import { freshStore } from '../store/fresh-store.ts';
import { copied, open, signal, sqliteFile } from './support.ts';

const { store, database } = await freshStore();
const child = join(dirname(import.meta.filename), 'killed-child.ts');

const run = (from: string, to: string, fatal: number): Promise<{ code: number | null; passed: number }> =>
  new Promise((resolve) => {
    const p = execFile(process.execPath, [child, database.url, from, to, String(fatal)], (error, stdout) => {
      resolve({ code: error ? (p.signalCode === 'SIGKILL' ? null : Number(error.code)) : 0, passed: Number(stdout) });
    });
  });

const schema = `
  create table parent (id integer primary key, name text);
  create table child (id integer primary key, p integer references parent (id), v text);
  create table keyless (x text);
  create index child_p on child (p);
  insert into parent with recursive n(i) as (select 1 union all select i + 1 from n where i < 900) select i, 'row ' || i from n;
  insert into child with recursive n(i) as (select 1 union all select i + 1 from n where i < 300) select i, i, null from n;
  insert into keyless values ('a'), ('a'), ('b');`;

/** Runs a copy that is killed at every so many boundaries, and goes on with it in this process. */
const killedEverywhere = async (
  from: string,
  target: () => Promise<{ readonly url: string } & Partial<AsyncDisposable>>,
  every: number,
): Promise<void> => {
  const whole = await target();
  const { code, passed } = await run(from, whole.url, 0);
  assert.equal(code, 0);
  await whole[Symbol.asyncDispose]?.();
  assert.ok(passed > 20, `it passed ${passed} boundaries`);
  for (let fatal = 1; fatal <= passed; fatal += every) {
    const to = await target();
    try {
      assert.deepEqual(await run(from, to.url, fatal), { code: null, passed: 0 }, `boundary ${fatal}`);
      const [killed] = await store.runs.list({ kinds: ['copy'], states: ['running'] }, { signal });
      assert.ok(killed, `boundary ${fatal}: no run was left`);
      const { certificate, exit } = await copied(store, from, to.url, { resume: killed.id, stepRows: 200 });
      assert.equal(certificate.verdict, 'certified', `boundary ${fatal}: ${JSON.stringify(certificate.schema)}`);
      assert.equal(exit, 0);
      // the comparison proves the rows; a table without a key may hold one twice, so they are counted
      await using endpoint = await open(to.url, 'target', false);
      await using reader = await endpoint.snapshot({ signal });
      const { tables } = await endpoint.inspect({ signal });
      const counts: Record<string, number> = {};
      for (const t of tables) counts[t.name] = await reader.count({ table: t, columns: [], keyWidth: 0 }, { signal });
      assert.deepEqual(counts, { child: 300, keyless: 3, parent: 900 }, `boundary ${fatal}`);
    } finally {
      await to[Symbol.asyncDispose]?.();
    }
  }
};

test('a copy into PostgreSQL that is killed anywhere goes on, and no row is there twice', async () => {
  await killedEverywhere(sqliteFile(schema).url, testDatabase, 17);
});

test('a copy into SQLite that is killed anywhere goes on, and no row is there twice', async () => {
  await killedEverywhere(sqliteFile(schema).url, async () => sqliteFile(), 29);
});

test('a run goes on between its own databases only', async () => {
  const { url } = sqliteFile('create table t (id integer primary key); insert into t values (1)');
  const to = sqliteFile();
  const other = sqliteFile();
  const { run: done } = await copied(store, url, to.url);
  await assert.rejects(copied(store, url, other.url, { resume: done }), { code: 'WRONG_TARGET' });
});

test('a run that has done everything but its last word goes on to the same certificate', async () => {
  const { url } = sqliteFile(schema);
  await using to = await testDatabase();
  for (const target of [to.url, sqliteFile().url]) {
    const first = await copied(store, url, target);
    const again = await copied(store, url, target, { resume: first.run });
    assert.equal(again.certificate.verdict, 'certified', JSON.stringify(again.certificate.schema));
    assert.ok(again.certificate.tables.every((t) => t.made && t.loaded.rows === 0));
  }
});
