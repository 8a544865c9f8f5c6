import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import { loadEngine } from '../../src/engines/registry.ts';
import { lockHolders } from '../../src/store/postgres/run-lock.ts';
import { o } from '../store/plain.ts';
import { differing, project, until } from './project.ts';

const rows = 40;
const p = await project(`  ab:
    source: source
    target: target
    pairs: [t]
    settle: 0
    guards: { max_changes: 1000, max_change_ratio: 100% }
    apply: { batch_size: 5, batch_delay: 200ms, concurrency: 1 }
`);
const { source, target, control, store } = p;
await differing(source, target, rows);

const written = async (): Promise<number> => (await target.query('select count(*)::int as n from writes')).rows[0].n;

/** The session that holds the run's lock ends, and whoever looks after dead processes sees it before its owner does. */
const losesItsLock = (run: string): Promise<unknown> =>
  until(async () => {
    await control.query(`select pg_terminate_backend(h.pid) from (${lockHolders('$1::text')}) h`, [run]);
    await store.claims.recover({ ...o, silentMs: 600_000, deaths: 99, now: Date.now() });
    const { state, asked } = (await store.runs.get(run, o))!;
    return state === 'queued' || asked!.attempt > 1;
  });
/** Its job is settled too, so that the next one need not wait for that. */
const stopped = async (worker: ReturnType<typeof p.start>): Promise<void> => {
  worker.child.kill('SIGTERM');
  assert.equal(await worker.ended, 0);
};

test('a run whose lock was lost for a moment while it was written is gone on with, and nobody has cancelled it', async () => {
  const run = await p.request({ kind: 'sync', sync: 'ab' });
  const worker = p.start('worker');
  await until(async () => (await written()) >= 5);
  await losesItsLock(run.id);
  const left = await worker.line((l) => l['run'] === run.id && l['outcome'] !== undefined);
  assert.equal(left['outcome'], 'taken_over');
  const ended = await p.ends(run.id);
  assert.equal(ended.state, 'done', ended.error?.message);
  assert.equal((await store.journal.open(run.id, o)).length, 0);
  const { rows: times } = await target.query('select count(*)::int as n from writes group by id');
  assert.deepEqual(
    times.map(({ n }) => n),
    Array.from({ length: rows }, () => 1),
  );
  await stopped(worker);
});

test('and so it is when it had hardly begun', async () => {
  const run = await p.request({ kind: 'diff', sync: 'ab' });
  const holder = new pg.Client({ connectionString: control.url });
  await holder.connect();
  await holder.query('begin; lock table lockstep_control.event in exclusive mode');
  const worker = p.start('worker');
  await until(async () => (await store.runs.get(run.id, o))!.state === 'running');
  await losesItsLock(run.id);
  await worker.line((l) => l['run'] === run.id && l['outcome'] === 'taken_over');
  await holder.end();
  assert.equal((await p.ends(run.id)).state, 'done');
  await stopped(worker);
});

test('a run waits for its target from when it first met the lock, however long ago it began', async () => {
  const { connect, parse } = (await loadEngine('postgres'))!;
  await using other = await connect(parse(target.url), { name: 'target', writable: true, ...o });
  const writer = other.writer!;
  await writer.prepare(o);
  const lock = await writer.lock({ run: 'r_other', pair: '*' }, o);
  await source.query(`update t set v = 'newer' where id = 1`);
  const run = await p.request({ kind: 'sync', sync: 'ab' });
  await control.query(
    `update lockstep_control.run set attempt = 1, started = now() - interval '10 minutes' where id = $1`,
    [run.id],
  );
  const worker = p.start('worker');
  const left = await worker.line((l) => l['run'] === run.id && l['outcome'] !== undefined);
  assert.equal(left['outcome'], 'waits');
  await lock[Symbol.asyncDispose]();
  assert.equal((await p.ends(run.id)).state, 'done');
  await stopped(worker);
});
