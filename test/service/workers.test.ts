import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import type { Run } from '../../src/model/runs.ts';
import { o } from '../store/plain.ts';
import { differing, project, until } from './project.ts';

const rows = 60;
const syncs = (pair: string): string => `  ab:
    source: source
    target: target
    pairs: [${pair}]
    settle: 0
    guards: { max_changes: 1000, max_change_ratio: 100% }
    apply: { batch_size: 5, batch_delay: 150ms, concurrency: 1 }
`;
const p = await project(syncs('t'));
const { source, target, store } = p;
await differing(source, target, rows);

/** Holds a table of the source so that nobody reads it. */
const held = async () => {
  const holder = new pg.Client({ connectionString: source.url });
  await holder.connect();
  await holder.query('begin; lock table t in access exclusive mode');
  return { free: () => holder.end() };
};
const waitingReaders = async (): Promise<number> => {
  const { rows: found } = await source.query(
    `select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
  );
  return found[0].n;
};
const written = async (): Promise<number> => (await target.query('select count(*)::int as n from writes')).rows[0].n;
const startsOver = async (): Promise<void> => {
  await target.query(
    `truncate t, writes; insert into t select i, 'old ' || i from generate_series(1, ${rows}) i where i % 2 = 0`,
  );
  await target.query('truncate writes');
};
const phasesOf = (run: Run): readonly string[] => run.phases.map((phase) => phase.name);

/** Every row was written once, and the two sides agree. */
const writtenOnce = async (run: Run): Promise<void> => {
  const { rows: found } = await target.query('select id, count(*)::int as n from writes group by id order by id');
  assert.deepEqual(
    found,
    Array.from({ length: rows }, (_, i) => ({ id: i + 1, n: 1 })),
  );
  const [a, b] = await Promise.all([source, target].map((db) => db.query('select * from t order by id')));
  assert.deepEqual(b!.rows, a!.rows);
  assert.equal(run.state, 'done');
  assert.equal((await store.journal.open(run.id, o)).length, 0);
};

test('a worker that is killed while it compares leaves the run to the next one', async (t) => {
  const holder = await held();
  const run = await p.request({ kind: 'diff', sync: 'ab' });
  const first = p.start('worker');
  await until(async () => (await waitingReaders()) > 0);
  first.child.kill('SIGKILL');
  assert.equal(await first.ended, 'SIGKILL');
  const next = p.start('worker');
  await next.line((l) => l['message'] === 'run taken from a dead process');
  await holder.free();
  const ended = await p.ends(run.id);
  assert.equal(ended.state, 'done');
  assert.equal((ended.report as { verdict: string }).verdict, 'differs');
  assert.equal(ended.asked!.attempt, 2);
  assert.deepEqual(phasesOf(ended).slice(-2), ['detect', 'record']);
  // the job is done a moment after its run
  await until(async () => {
    const { queued, active } = await store.queue.depth('run', o);
    return queued + active === 0;
  });

  await t.test('cancel reaches the statement in the database', async () => {
    const again = await held();
    const cancelled = await p.request({ kind: 'diff', sync: 'ab' });
    await until(async () => (await waitingReaders()) > 0);
    await store.desk.cancel(cancelled.id, 'bob', o);
    // the table is still held: only a cancel can end the wait
    await until(async () => (await waitingReaders()) === 0);
    const end = await p.ends(cancelled.id);
    assert.equal(end.state, 'cancelled');
    assert.equal(end.exit, 130);
    assert.match(end.error!.message, /bob/);
    await again.free();
  });

  await t.test('a paused sync stops at its statement, begins nothing, and goes on when it is resumed', async () => {
    const again = await held();
    const paused = await p.request({ kind: 'diff', sync: 'ab' });
    await until(async () => (await waitingReaders()) > 0);
    await store.desk.pause('ab', 'ann', o);
    await until(async () => (await store.runs.get(paused.id, o))?.state === 'queued');
    assert.equal(await waitingReaders(), 0);
    await again.free();
    await store.desk.resume('ab', 'ann', o);
    assert.equal((await p.ends(paused.id)).state, 'done');
  });

  await t.test('a worker that is asked to end lets another go on', async () => {
    const again = await held();
    const handed = await p.request({ kind: 'diff', sync: 'ab' });
    await until(async () => (await waitingReaders()) > 0);
    next.child.kill('SIGTERM');
    await next.line((l) => l['message'] === 'worker stopping');
    // It would wait for the comparison a while; a second signal does not.
    next.child.kill('SIGTERM');
    assert.equal(await next.ended, 0);
    assert.equal((await store.runs.get(handed.id, o))!.state, 'queued');
    assert.equal((await store.runs.get(handed.id, o))!.asked!.deaths, 0);
    await again.free();
    assert.equal((await store.desk.cancel(handed.id, 'ann', o)).state, 'cancelled');
  });
});

test('a worker that is killed between two batches: the next one writes the rest, and nothing twice', async (t) => {
  const run = await p.request({ kind: 'sync', sync: 'ab' });
  const first = p.start('worker');
  await until(async () => (await written()) >= 10);
  first.child.kill('SIGKILL');
  await first.ended;
  const next = p.start('worker');
  const ended = await p.ends(run.id);
  await writtenOnce(ended);
  assert.deepEqual((ended.report as { applied: unknown }).applied, { insert: rows / 2, update: rows / 2, delete: 0 });
  assert.equal((ended.report as { verdict: string }).verdict, 'agrees');
  assert.equal((ended.report as { verified: number }).verified, rows);

  await t.test('a worker that was stopped in the middle of it and wakes up writes nothing more', async (t) => {
    await startsOver();
    const again = await p.request({ kind: 'sync', sync: 'ab' });
    await until(async () => (await written()) >= 10);
    next.child.kill('SIGSTOP');
    const left = await written();
    const other = p.start('worker');
    await other.line((l) => l['message'] === 'worker started');
    // Its session stands, and so does its lock: its silence tells.
    await until(async () => {
      await store.claims.recover({ ...o, silentMs: 1500, deaths: 3, now: Date.now() });
      return (await written()) > left;
    }, 100);
    next.child.kill('SIGCONT');
    const end = await p.ends(again.id);
    await writtenOnce(end);
    assert.equal(end.asked!.attempt, 2);
    const woken = await next.line((l) => l['run'] === again.id && l['outcome'] !== undefined);
    assert.equal(woken['outcome'], 'taken_over');
    next.child.kill('SIGKILL');
    await next.ended;

    await t.test('a run that is cancelled while it writes settles what it had begun', async () => {
      await startsOver();
      const third = await p.request({ kind: 'sync', sync: 'ab' });
      await until(async () => (await written()) >= 10);
      await store.desk.cancel(third.id, 'bob', o);
      const cancelled = await p.ends(third.id);
      assert.equal(cancelled.state, 'cancelled');
      assert.equal((await store.journal.open(third.id, o)).length, 0);
      const { insert = 0, update = 0 } = await store.journal.tally(third.id, o);
      assert.equal(insert + update, await written(), 'the journal says what was written');
      assert.ok((await written()) < rows);
      await writtenOnce(await p.ends((await p.request({ kind: 'sync', sync: 'ab' })).id));
    });
    other.child.kill('SIGKILL');
    await other.ended;
  });
});

test('a sync that goes on under another configuration of its pairs does not say that they agree', async () => {
  p.config(syncs('{ source: t, where: "id < 40" }'));
  await startsOver();
  const run = await p.request({ kind: 'sync', sync: 'ab' });
  const first = p.start('worker');
  await until(async () => (await written()) >= 10);
  first.child.kill('SIGKILL');
  await first.ended;
  p.config(syncs('t'));
  const next = p.start('worker');
  const ended = await p.ends(run.id);
  const report = ended.report as {
    verdict: string;
    verified: number;
    not_compared: { what: string; reason: string }[];
  };
  assert.deepEqual([ended.state, ended.exit, report.verdict, report.verified], ['done', 25, 'incomplete', 0]);
  assert.match(report.not_compared[0]!.reason, /has changed since this run was planned/);
  assert.equal(await written(), 39);
  next.child.kill('SIGKILL');
  await next.ended;
});

test('a worker that cannot tell the store how a run ended tells it when it can', async () => {
  const holder = await held();
  const run = await p.request({ kind: 'diff', sync: 'ab' });
  const worker = p.start('worker');
  await until(async () => (await waitingReaders()) > 0);
  await p.control.query('alter table lockstep_control.run rename to run_away');
  await holder.free();
  await worker.line((l) => l['message'] === 'run not finished here');
  await p.control.query('alter table lockstep_control.run_away rename to run');
  assert.equal((await p.ends(run.id)).state, 'done');
  worker.child.kill('SIGKILL');
  await worker.ended;
});

test('a run that its worker dies of three times is given up, and says so', async () => {
  const holder = await held();
  const run = await p.request({ kind: 'diff', sync: 'ab' });
  for (let n = 0; n < 3; n++) {
    // dies as soon as it reads, each time; its session waits on, since nobody tells it
    const before = await waitingReaders();
    const worker = p.start('worker');
    await until(async () => (await waitingReaders()) > before);
    worker.child.kill('SIGKILL');
    await worker.ended;
    await until(async () => {
      await store.claims.recover({ ...o, silentMs: 60_000, deaths: 3, now: Date.now() });
      return (await store.runs.get(run.id, o))!.asked!.deaths === n + 1;
    });
  }
  await holder.free();
  const ended = (await store.runs.get(run.id, o))!;
  assert.equal(ended.state, 'failed');
  assert.equal(ended.error!.code, 'WORKER_LOST');
  assert.match(ended.error!.message, /3 times/);
  // Its job goes with it.
  await until(async () => {
    await store.claims.recover({ ...o, silentMs: 60_000, deaths: 3, now: Date.now() });
    return (await store.queue.depth('run', o)).active === 0;
  }, 500);
});
