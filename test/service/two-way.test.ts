import assert from 'node:assert/strict';
import { test } from 'node:test';
import { o } from '../store/plain.ts';
import { project, until } from './project.ts';

const p = await project(
  `  both:
    source: source
    target: target
    mode: two_way
    settle: 0
    guards: { max_deletes: 10, max_changes: 1000, max_change_ratio: 100% }
    apply: { batch_size: 5, batch_delay: 150ms, concurrency: 1 }
    pairs: [t]
`,
  { source: ', writable: true' },
);
const { source, target, store } = p;
for (const db of [source, target])
  await db.query(
    `create table t (id int primary key, a text, b text); insert into t select i, 'a', 'b' from generate_series(1, 60) i`,
  );

const rows = async () =>
  Promise.all([source, target].map(async (db) => (await db.query('select * from t order by id')).rows));

test('workers carry out both ways: synced, planned and applied, killed on the way, reverted', async () => {
  let worker = p.start('worker');
  const run = async (request: Parameters<typeof p.request>[0]) => p.ends((await p.request(request)).id);
  assert.equal((await run({ kind: 'sync', sync: 'both' })).exit, 0);

  await source.query(`update t set a = 'source' where id <= 30; delete from t where id = 60`);
  await target.query(`update t set b = 'target' where id <= 30; insert into t values (61, 'new', 'new')`);
  const killed = await p.request({ kind: 'sync', sync: 'both' });
  // In the middle of the writes to one of the sides.
  await until(async () => (await target.query(`select from t where a = 'source'`)).rowCount! > 0);
  worker.child.kill('SIGKILL');
  await worker.ended;
  worker = p.start('worker');
  const ended = await p.ends(killed.id);
  const [left, right] = await rows();
  assert.deepEqual(left, right, JSON.stringify(ended.report));
  assert.deepEqual(left![0], { id: 1, a: 'source', b: 'target' });
  assert.equal(left!.length, 60);
  assert.equal(await store.conflicts.count({ sync: 'both' }, o), 0, 'half-done work is nobody’s edit');
  assert.equal((await run({ kind: 'sync', sync: 'both' })).exit, 0);

  await source.query(`update t set a = 'again' where id = 1`);
  await target.query(`update t set b = 'again' where id = 2`);
  const planned = await run({ kind: 'plan', sync: 'both' });
  assert.equal(planned.exit, 2);
  const applied = await run({ kind: 'apply', plan: planned.plan! });
  assert.equal(applied.exit, 0, JSON.stringify(applied.error));
  const [a, b] = await rows();
  assert.deepEqual(a, b);
  assert.deepEqual(a!.slice(0, 2), [
    { id: 1, a: 'again', b: 'target' },
    { id: 2, a: 'source', b: 'again' },
  ]);

  const reverted = await run({ kind: 'revert', run: applied.id });
  assert.equal(reverted.exit, 0, JSON.stringify(reverted.error));
  assert.deepEqual((await source.query('select b from t where id = 2')).rows, [{ b: 'target' }]);
  assert.deepEqual((await target.query('select a from t where id = 1')).rows, [{ a: 'source' }]);
  assert.deepEqual((await source.query('select a from t where id = 1')).rows, [{ a: 'again' }], 'a user’s own edit');
});
