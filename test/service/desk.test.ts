import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import pg from 'pg';
import type { Difference } from '../../src/model/change.ts';
import { takeSlots } from '../../src/service/slots.ts';
import { urlConnector } from '../../src/store/postgres/connect.ts';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { freshStore } from '../store/fresh-store.ts';
import { newRun, o } from '../store/plain.ts';
import { asked, until } from './project.ts';

const { store, database } = await freshStore();
const other = await openPostgresStore(urlConnector(database.url), o);
after(() => other[Symbol.asyncDispose]());
const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;
const runOf = (job: { readonly data: unknown } | undefined): string | undefined =>
  (job?.data as { readonly run: string } | undefined)?.run;
/** Takes and forgets what is left. */
const drained = async (): Promise<void> => {
  for (;;) {
    const jobs = await store.queue.take('run', { ...o, most: 9 });
    for (const job of jobs) await store.queue.done('run', job, o);
    if (jobs.length === 0) return;
  }
};
const worker = { ...o, worker: 'w', now: 1 };

test('a run is asked for with its job in one transaction: both are there, or neither', async () => {
  const { run, repeated } = await store.desk.request({ kind: 'diff', sync: 'one' }, asked, o);
  assert.equal(repeated, false);
  assert.equal(run.state, 'queued');
  assert.deepEqual(run.asked!.request, { kind: 'diff', sync: 'one' });
  const [job] = await other.queue.take('run', { ...o, most: 2 });
  assert.equal(runOf(job), run.id);
  await other.queue.done('run', job!, o);

  // a second statement of the transaction fails: the events table is gone for it
  await database.query('alter table lockstep_control.event rename to event_away');
  await assert.rejects(store.desk.request({ kind: 'diff', sync: 'two' }, asked, o), code('DATABASE'));
  await database.query('alter table lockstep_control.event_away rename to event');
  assert.deepEqual(await store.runs.list({ sync: 'two' }, o), []);
  assert.deepEqual(await store.queue.take('run', { ...o, most: 1 }), []);
});

test('the same key gives the same run, also to many at once; another question under it is refused', async () => {
  const key = { ...asked, idempotencyKey: 'k1' };
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, i) => (i % 2 ? store : other).desk.request({ kind: 'sync', sync: 's' }, key, o)),
  );
  assert.equal(new Set(answers.map((a) => a.run.id)).size, 1);
  assert.equal(answers.filter((a) => !a.repeated).length, 1);
  const another = { kind: 'sync', sync: 's', full: true } as const;
  await assert.rejects(store.desk.request(another, key, o), code('IDEMPOTENCY_MISMATCH'));
  const byOther = await store.desk.request(another, { ...key, actor: 'somebody else' }, o);
  assert.equal(byOther.repeated, false);
  await drained();
});

test('of one lane one job is out at a time, in the order in which they came; of others any', async () => {
  const first = await store.desk.request({ kind: 'diff', sync: 'lane' }, asked, o);
  const second = await store.desk.request({ kind: 'sync', sync: 'lane' }, asked, o);
  const beside = await store.desk.request({ kind: 'diff', sync: 'beside' }, asked, o);
  const taken = [
    ...(await store.queue.take('run', { ...o, most: 9 })),
    ...(await other.queue.take('run', { ...o, most: 9 })),
  ];
  assert.deepEqual(taken.map(runOf), [first.run.id, beside.run.id]);
  await store.queue.done('run', taken[0]!, o);
  const [next] = await other.queue.take('run', { ...o, most: 9 });
  assert.equal(runOf(next), second.run.id);
  for (const job of [taken[1]!, next!]) await store.queue.done('run', job, o);
});

test('a late word of a worker that was taken for dead changes nothing', async () => {
  const { run } = await store.desk.request({ kind: 'diff', sync: 'late' }, asked, o);
  const claimed = await store.claims.claim(run.id, worker);
  assert.equal(claimed!.asked!.attempt, 1);
  assert.equal(await other.claims.claim(run.id, worker), undefined, 'two processes have it');
  const pairs = [{ name: 't', target: 't', columns: [], keyWidth: 1 }];
  const writer = await store.differences.writer(run.id, pairs, o);
  await writer.add(
    't',
    [{ kind: 'only_in_source', key: ['1'], source: ['1'], target: null } as unknown as Difference],
    o,
  );
  // the session with the lock ends, as that of a process that says nothing is ended
  await database.query(
    `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objsubid = 1
       and database = (select oid from pg_database where datname = current_database())`,
  );
  await until(
    async () => (await other.claims.recover({ ...o, silentMs: 60_000, deaths: 3, now: 1 })).requeued.length > 0,
  );
  const again = await other.claims.claim(run.id, worker);
  assert.equal(again!.asked!.attempt, 2);
  assert.deepEqual(
    (await store.claims.beat([run.id], o)).map((b) => b.mine),
    [false],
  );
  await assert.rejects(store.runs.update(run.id, { report: { late: true } }, o), code('FENCED'));
  await assert.rejects(writer.flush(o), code('FENCED'));
  await writer[Symbol.asyncDispose]();
  await assert.rejects(store.runs.finish(run.id, { state: 'done', exit: 0, finished: 2 }, o), code('FENCED'));
  assert.equal((await store.runs.get(run.id, o))!.state, 'running');
  await other.runs.finish(run.id, { state: 'done', exit: 0, finished: 3 }, o);
  const found = [];
  for await (const batch of store.differences.list(run.id, {}, o)) found.push(...batch);
  assert.deepEqual(found, []);
});

test('a run that was begun by hand is not taken over by workers', async () => {
  const run = await store.runs.create(newRun({ sync: 'hand' }), o);
  assert.equal(await other.claims.claim(run.id, worker), undefined);
  await assert.rejects(store.desk.cancel(run.id, 'bob', o), code('CONFLICT'));
  await store.runs.finish(run.id, { state: 'done', exit: 0, finished: 1 }, o);
  await assert.rejects(store.desk.cancel(run.id, 'bob', o), code('CONFLICT'));
  await assert.rejects(store.desk.cancel('r_none', 'bob', o), code('NOT_FOUND'));
});

test('places at an endpoint are counted over all workers, and end with their process', async () => {
  const limits = [
    { endpoint: 'b', most: 1 },
    { endpoint: 'a', most: 2 },
  ];
  const one = await takeSlots(store.claims, limits, o);
  assert.ok(one);
  assert.equal(await takeSlots(other.claims, limits, o), undefined, 'b has one place');
  const only = [{ endpoint: 'a', most: 2 }];
  const two = await takeSlots(store.claims, only, o);
  assert.ok(two, 'one process takes two places as two');
  assert.equal(await takeSlots(other.claims, only, o), undefined);
  await one.release(o);
  const three = await takeSlots(other.claims, limits, o);
  assert.ok(three);
  for (const slots of [two, three]) await slots.release(o);
});

test('events appear in the order of their numbers, however their transactions end', async () => {
  const event = (type: string) => ({ at: 1, type, subject: 's', sync: null, correlation: null, data: {} });
  const after = await store.events.latest(o);
  const slow = new pg.Client({ connectionString: database.url });
  await slow.connect();
  const add = `select lockstep_control.add_events('{2026-01-01}', '{slow}', '{s}', array[null], array[null], '{{}}'::text[])`;
  await slow.query('begin');
  await slow.query(add.replace(`'{{}}'::text[]`, `array['{}']`));
  let there = false;
  const late = store.events.append([event('late')], o).then(() => {
    there = true;
  });
  await until(async () => {
    const { rows } = await database.query(`select from pg_locks where locktype = 'advisory' and not granted`);
    return rows.length > 0;
  });
  assert.deepEqual(await other.events.after(after, { limit: 9 }, o), []);
  assert.equal(there, false);
  await slow.query('commit');
  await slow.end();
  await late;
  const seen = await other.events.after(after, { limit: 9 }, o);
  assert.deepEqual(
    seen.map((e) => e.type),
    ['slow', 'late'],
  );
  assert.ok(BigInt(seen[0]!.id) < BigInt(seen[1]!.id));
});

test('the store can be tended', async () => {
  const after = await store.events.latest(o);
  const old = { at: 1, type: 'x', subject: 's', sync: null, correlation: null, data: {} };
  await store.events.append([old, { ...old, at: Date.now() }], o);
  await store.tend(o);
  const left = await store.events.after(after, { limit: 9 }, o);
  assert.deepEqual(
    left.map((e) => e.at > 1),
    [true],
  );
});

test('who listens is told at once, in another process, too', async () => {
  const stop = new AbortController();
  const arrivals = other.events.arrivals(stop)[Symbol.asyncIterator]();
  await arrivals.next();
  // what was told while the connection was made
  await arrivals.next();
  let told = 0;
  const counting = (async () => {
    while (!(await arrivals.next()).done) told++;
  })();
  const began = told;
  await store.events.append([{ at: 1, type: 'x', subject: 's', sync: null, correlation: null, data: {} }], o);
  await until(async () => told > began, 1);
  stop.abort();
  await counting;
});
