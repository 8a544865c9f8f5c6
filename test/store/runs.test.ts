import assert from 'node:assert/strict';
import { test } from 'node:test';
import { urlConnector } from '../../src/store/postgres/connect.ts';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { freshStore } from './fresh-store.ts';
import { facts, hostile, newRun, o } from './plain.ts';

const { store, database } = await freshStore();
const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;

test('a run is recorded, updated, finished and read back', async () => {
  const made = newRun({ kind: 'sync', sync: 'crm', parent: 'r_x' });
  const created = await store.runs.create(made, o);
  assert.deepEqual(created, {
    ...made,
    plan: null,
    state: 'running',
    exit: null,
    phases: [],
    report: null,
    checkpoint: null,
    error: null,
    finished: null,
    alive: true,
  });
  const phases = [
    { name: 'diff', started: 1, finished: 2 },
    { name: 'apply', started: 2 },
  ];
  await store.runs.update(made.id, { plan: 'p_1', phases, checkpoint: { pair: 3 }, target: facts('other') }, o);
  await store.runs.update(made.id, { report: { rows: 12, texts: hostile } }, o);
  const end = {
    state: 'failed',
    exit: 21,
    finished: 1_700_000_005_000,
    error: { code: 'CONNECT', message: 'gone', hint: 'look' },
  } as const;
  await store.runs.finish(made.id, end, o);
  assert.deepEqual(await store.runs.get(made.id, o), {
    ...created,
    ...end,
    plan: 'p_1',
    phases,
    checkpoint: { pair: 3 },
    target: facts('other'),
    report: { rows: 12, texts: hostile },
    alive: false,
  });
});

test('a run that is not there is not updated in silence', async () => {
  await assert.rejects(store.runs.update('r_none', { plan: 'p' }, o), code('NOT_FOUND'));
  await assert.rejects(store.runs.finish('r_none', { state: 'done', exit: 0, finished: 1 }, o), code('NOT_FOUND'));
  await assert.rejects(store.runs.resume('r_none', o), code('NOT_FOUND'));
});

test('names that text cannot hold are made storable', async () => {
  const run = await store.runs.create(newRun({ sync: 'a\0b\ud800', actor: 'm\0e' }), o);
  assert.equal(run.sync, 'a\ufffdb\ufffd');
  assert.deepEqual(
    (await store.runs.list({ sync: 'a\0b\ud800' }, o)).map(({ id }) => id),
    [run.id],
  );
});

test('a run is alive while its process is, and can be taken over only after', async () => {
  const run = newRun();
  const gone = newRun();
  {
    await using other = await openPostgresStore(urlConnector(database.url), o);
    await other.runs.create(run, o);
    await other.runs.create(gone, o);
    assert.equal((await store.runs.get(run.id, o))?.alive, true);
    assert.deepEqual(
      (await store.runs.unfinished(o)).filter(({ id }) => id === run.id),
      [],
    );
    await assert.rejects(store.runs.resume(run.id, o), code('LOCK_HELD'));
    await other.runs.finish(gone.id, { state: 'done', exit: 0, finished: 5 }, o);
    assert.equal((await store.runs.get(gone.id, o))?.alive, false);
  }
  for (let alive: boolean | undefined = true; alive; ) alive = (await store.runs.get(run.id, o))?.alive;
  assert.ok((await store.runs.unfinished(o)).some(({ id }) => id === run.id));
  assert.ok(!(await store.runs.unfinished(o)).some(({ id }) => id === gone.id));
  assert.equal((await store.runs.resume(run.id, o)).alive, true);
  await store.runs.finish(run.id, { state: 'cancelled', exit: 130, finished: 9 }, o);
  assert.equal((await store.runs.get(run.id, o))?.state, 'cancelled');
});

test('runs are listed newest first, filtered, in pages, and found by the beginning of an id', async () => {
  const { store: fresh } = await freshStore();
  const runs = [
    newRun({ id: 'r_aa', kind: 'diff' }),
    newRun({ id: 'r_ab', sync: 'crm', plan: 'p_1' }),
    newRun({ id: 'r_b', kind: 'diff', sync: 'crm' }),
  ];
  for (const run of runs) await fresh.runs.create(run, o);
  await fresh.runs.finish('r_aa', { state: 'done', exit: 2, finished: 1 }, o);
  const ids = async (filter: Parameters<typeof fresh.runs.list>[0]) =>
    (await fresh.runs.list(filter, o)).map(({ id }) => id);
  assert.deepEqual(await ids({}), ['r_b', 'r_ab', 'r_aa']);
  assert.deepEqual(await ids({ limit: 1, before: 'r_b' }), ['r_ab']);
  assert.deepEqual(await ids({ kinds: ['diff'] }), ['r_b', 'r_aa']);
  assert.deepEqual(await ids({ states: ['done', 'failed'] }), ['r_aa']);
  assert.deepEqual(await ids({ sync: 'crm', kinds: ['apply'] }), ['r_ab']);
  assert.deepEqual(await ids({ plan: 'p_1' }), ['r_ab']);
  assert.equal((await fresh.runs.get('r_b', o))?.id, 'r_b');
  assert.equal((await fresh.runs.get('r_aa', o))?.id, 'r_aa');
  assert.equal(await fresh.runs.get('r_a', o), undefined);
  assert.equal(await fresh.runs.get('r_%', o), undefined);
});

test('a lost connection is an error that a repeat cures, and the run is held again', async () => {
  const run = await store.runs.create(newRun(), o);
  const kill = `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'lockstep' and pid <> pg_backend_pid()`;
  await database.query(kill);
  const other = newRun();
  for (;;) {
    try {
      await store.runs.create(other, o);
      break;
    } catch (error) {
      assert.equal((error as { code: string }).code, 'CONNECTION_LOST');
    }
  }
  assert.equal((await store.runs.get(run.id, o))?.alive, true);
});

test('an abort cancels the statement in the server', async () => {
  await database.query('begin; lock table lockstep_control.run in access exclusive mode');
  const abort = new AbortController();
  const waiting = store.runs.list({}, { signal: abort.signal });
  const admin = await openWaiters();
  abort.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/);
  assert.equal(await admin(), 0);
  await database.query('rollback');
  assert.ok((await store.runs.list({}, o)).length > 0);
});

/** Waits until a backend of the store waits for the lock; gives a function that counts those that do. */
const openWaiters = async (): Promise<() => Promise<number>> => {
  const count = async (): Promise<number> => {
    const { rows } = await database.query(
      `select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%r.correlation%'`,
    );
    return rows[0].n as number;
  };
  while ((await count()) === 0);
  return count;
};
