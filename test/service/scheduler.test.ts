import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Config, Sync } from '../../src/config/config.ts';
import { redactor } from '../../src/lib/redact.ts';
import type { Run } from '../../src/model/runs.ts';
import type { ServiceStore } from '../../src/model/service-store.ts';
import { startScheduler } from '../../src/service/scheduler.ts';
import { urlConnector } from '../../src/store/postgres/connect.ts';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { openLog } from '../../src/telemetry/log.ts';
import { inProcess } from '../cli/in-process.ts';
import { freshStore } from '../store/fresh-store.ts';
import { o } from '../store/plain.ts';
import { asked, until } from './project.ts';

const { store, database } = await freshStore();
const other = await openPostgresStore(urlConnector(database.url), o);
after(() => other[Symbol.asyncDispose]());

const sync = (name: string, more: Partial<Sync>): Sync => ({ name, mode: 'compare', ...more }) as Sync;
const configOf = (...syncs: readonly Sync[]): Config =>
  ({ file: 'lockstep.yaml', endpoints: {}, syncs: Object.fromEntries(syncs.map((s) => [s.name, s])) }) as Config;
const log = openLog({ level: 'silent', write: () => {}, clock: { now: () => 0 }, redactor: redactor() });

/** Schedulers over a time that the test sets. They look again when they are told to. */
const schedulers = async (stores: readonly ServiceStore[], config: Config, start: number) => {
  const stop = new AbortController();
  const time = { now: start };
  const clock = { now: () => time.now, elapsed: () => performance.now(), sleep: async () => {} };
  const all = stores.map((s) =>
    startScheduler({ store: s, config: () => config, clock, random: () => 0.5, log, signal: stop.signal }),
  );
  await Promise.all(all.map((s) => s.reload()));
  return {
    /** Sets the time; resolves when they have moved every schedule past it. */
    at: async (now: number): Promise<void> => {
      time.now = now;
      for (const s of all) await s.reload();
      await until(async () => (await store.schedules.list(o)).every((s) => s.next === null || s.next > now));
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await Promise.all(all.map((s) => s.ended));
    },
  };
};
const runsOf = (name: string): Promise<readonly Run[]> => store.runs.list({ sync: name }, o);
const end = async (run: Run, state: 'done' | 'failed' = 'done'): Promise<void> => {
  await store.claims.claim(run.id, { ...o, worker: 'w', now: 1 });
  await store.runs.finish(run.id, { state, exit: 0, finished: 1 }, o);
};
const every = (everyMs: number, more = {}) =>
  ({ schedule: { everyMs, jitterMs: 0, missed: 'run_once', ...more } }) as Partial<Sync>;
const minute = 60_000;
const t0 = Date.UTC(2026, 10, 21);

test('two schedulers make one start each time it is due', async () => {
  await using s = await schedulers(
    [store, other],
    configOf(sync('a', every(minute)), sync('w', { ...every(minute), mode: 'mirror' })),
    t0,
  );
  for (let n = 1; n <= 5; n++) {
    await s.at(t0 + n * minute);
    const found = await runsOf('a');
    assert.equal(found.length, n);
    await end(found[0]!);
    await end((await runsOf('w'))[0]!);
  }
  const [run] = await runsOf('a');
  assert.deepEqual(run!.asked!.request, { kind: 'diff', sync: 'a' });
  assert.equal(run!.asked!.trigger, 'schedule');
  assert.deepEqual((await runsOf('w'))[0]!.asked!.request, { kind: 'sync', sync: 'w' });
});

test('no start is made while a run of the sync waits or is at work, or it is paused', async () => {
  await using s = await schedulers([store], configOf(sync('b', every(minute))), t0);
  await s.at(t0 + minute);
  await s.at(t0 + 2 * minute);
  assert.equal((await runsOf('b')).length, 1, 'the first one waits');
  await end((await runsOf('b'))[0]!);
  await store.desk.pause('b', 'ann', o);
  await s.at(t0 + 3 * minute);
  assert.equal((await runsOf('b')).length, 1, 'paused');
  await store.desk.resume('b', 'ann', o);
  await s.at(t0 + 4 * minute);
  assert.equal((await runsOf('b')).length, 2);
});

test('a run that waits because its sync is paused says so, until it is resumed', async () => {
  const shown = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await inProcess([...args, '--control', database.url]);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  await store.desk.pause('held', 'ann', o);
  const { run } = await store.desk.request({ kind: 'diff', sync: 'held' }, asked, o);
  const { by, since } = run.asked!.paused!;
  const at = new Date(since).toISOString().replace(/\.\d+Z$/, 'Z');
  assert.equal(by, 'ann');
  assert.match(await shown('runs', 'held'), new RegExp(`queued +waits: paused since ${at} by ann`));
  assert.match(await shown('show', run.id), new RegExp(`waits +its sync is paused since ${at} by ann: it begins when`));
  const json = async () => JSON.parse(await shown('runs', 'held', '--format', 'json')).runs[0];
  assert.deepEqual((await json()).paused, { by: 'ann', since: at });
  const free = await store.desk.request({ kind: 'diff', sync: 'free' }, asked, o);
  assert.equal(free.run.asked!.paused, undefined);
  await store.desk.resume('held', 'ann', o);
  assert.equal((await json()).paused, null);
  assert.doesNotMatch(await shown('runs', 'held'), /paused/);
});

test('starts that were missed are made up for once, or passed over', async () => {
  const config = configOf(sync('once', every(minute)), sync('skip', every(minute, { missed: 'skip' })));
  {
    await using _before = await schedulers([store], config, t0);
  }
  await using s = await schedulers([store], config, t0 + 100 * minute);
  await s.at(t0 + 100 * minute);
  assert.equal((await runsOf('once')).length, 1);
  assert.equal((await runsOf('skip')).length, 0);
  await s.at(t0 + 101 * minute);
  assert.equal((await runsOf('skip')).length, 1, 'the next one is in time');
});

test('a start is put off by a random time, and the grid stays', async () => {
  await using s = await schedulers([store], configOf(sync('j', every(minute, { jitterMs: 9_999 }))), t0);
  const [state] = await store.schedules.list(o);
  assert.equal(state!.due, t0 + minute);
  assert.equal(state!.next, t0 + minute + 5000);
  await s.at(t0 + minute + 4999);
  assert.equal((await runsOf('j')).length, 0);
  await s.at(t0 + minute + 5000);
  assert.equal((await runsOf('j')).length, 1);
  assert.equal((await store.schedules.list(o))[0]!.due, t0 + 2 * minute);
});

test('a sync follows another each time that one has ended well, and not what had been before', async () => {
  const first = await store.desk.request({ kind: 'diff', sync: 'lead' }, asked, o);
  await end(first.run);
  await using _s = await schedulers([store, other], configOf(sync('lead', {}), sync('tail', { after: 'lead' })), t0);
  const failed = await store.desk.request({ kind: 'diff', sync: 'lead' }, asked, o);
  await end(failed.run, 'failed');
  const second = await store.desk.request({ kind: 'diff', sync: 'lead' }, asked, o);
  await end(second.run);
  const [run] = await until(async () => {
    const found = await runsOf('tail');
    return found.length > 0 && found;
  });
  assert.equal(run!.asked!.trigger, 'after');
  const state = (await store.schedules.list(o)).find((x) => x.sync === 'tail');
  assert.equal(state!.lastAfter, second.run.id);
  assert.equal((await runsOf('tail')).length, 1);
});
