import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonValue } from '../../src/model/json.ts';
import type { Run } from '../../src/model/runs.ts';
import { freshStore } from './fresh-store.ts';
import { hostile, newRun, o } from './plain.ts';

const { store, database } = await freshStore();
const { monitoring } = store;
const start = Date.UTC(2026, 10, 21, 12);
const minute = 60_000;

/** A run of a sync that began so many minutes after the start, took two seconds, and left this report. */
const ended = async (
  sync: string,
  at: number,
  report: JsonValue,
  o_: { readonly kind?: Run['kind']; readonly state?: 'done' | 'failed' | 'cancelled' } = {},
): Promise<string> => {
  const started = start + at * minute;
  const run = await store.runs.create(newRun({ kind: o_.kind ?? 'diff', sync, started }), o);
  const state = o_.state ?? 'done';
  const error = { code: 'CONNECT', message: `billing: nobody there ${hostile}` } as const;
  const end = { state, exit: state === 'done' ? 0 : 21, finished: started + 2000, report };
  await store.runs.finish(run.id, { ...end, ...(state === 'failed' ? { error } : {}) }, o);
  return run.id;
};
const pair = (facts: Readonly<Record<string, JsonValue>> = {}): JsonValue => ({
  source: 'public.orders',
  target: 'sales.orders',
  rows: { source: 1000, target: 999 },
  identical: 997,
  different: 0,
  only_in_source: 0,
  only_in_target: 0,
  duplicate_key: 0,
  in_flight: 0,
  not_compared: [],
  ...facts,
});
const stateOf = async (sync: string) => (await monitoring.pairs(o)).filter((p) => p.sync === sync);
const total = async (metric: string, labels: Readonly<Record<string, string>>): Promise<number> =>
  (await monitoring.totals(o))
    .filter((t) => t.metric === metric && Object.entries(labels).every(([k, v]) => t.labels[k] === v))
    .reduce((n, t) => n + t.value, 0);

test('a comparison tells what its pairs came to, and when they were proved to agree', async () => {
  await ended('a', 0, { verdict: 'agrees', pairs: [pair()] });
  const rows = { source: 999, target: 1000 };
  await ended('a', 5, { verdict: 'differs', pairs: [pair({ rows, different: 2, only_in_target: 1 })] });
  const [state] = await stateOf('a');
  assert.equal(state!.at, start + 5 * minute);
  assert.equal(state!.verifiedAt, start);
  assert.deepEqual(state!.found, { only_in_source: 0, only_in_target: 1, different: 2 });
  assert.equal(state!.left, 3);
  const proofs = (await monitoring.proofs(start, o)).filter((p) => p.sync === 'a');
  assert.deepEqual(
    proofs.map(({ agrees, drift, first }) => ({ agrees, drift, first })),
    [
      { agrees: true, drift: 0, first: start },
      { agrees: false, drift: 0.003, first: start + 5 * minute },
    ],
  );
});

test('what was not compared whole, or only as flags said, is no proof of agreement', async () => {
  const agreeing = { verdict: 'agrees', pairs: [pair()] };
  await ended('b', 0, { ...agreeing, as_configured: false });
  assert.deepEqual(await stateOf('b'), []);
  for (const facts of [
    { in_flight: 1 },
    { duplicate_key: 1 },
    { unkeyed: 1 },
    { not_compared: [{ what: 'x', reason: 'y' }] },
    { complete: false },
    { outside_filter: 2 },
  ])
    await ended('b', 1, { verdict: 'incomplete', pairs: [pair(facts)] });
  const standIn = { not_compared: [{ what: 'crm', reason: 'its replica was read' }] };
  const sides = { source: { name: 'billing' }, target: { name: 'crm' } };
  await ended('b', 1, { ...agreeing, ...sides, verdict: 'incomplete', coverage: standIn });
  await ended('b', 2, agreeing, { state: 'failed' });
  await ended('b', 3, agreeing, { state: 'cancelled' });
  const [state] = await stateOf('b');
  assert.equal(state!.verifiedAt, null);
  assert.equal(state!.complete, false);
});

test('a sync that repaired everything proves agreement; one that left rows says how many at most', async () => {
  const pairs = [pair({ different: 7 }), pair({ source: 'public.users', target: 'users' })];
  const base = { applied: { insert: 0, update: 7, delete: 0 }, already: 0, conflicts: 0, pairs };
  const all = { ...base, verdict: 'agrees', planned: { insert: 0, update: 7, delete: 0, withheld: 0 } };
  await ended('c', 0, { ...all, skipped: { moved: 0, already_synced: 10 }, rejected: 0 }, { kind: 'sync' });
  assert.deepEqual(
    (await stateOf('c')).map((p) => [p.pair, p.left, p.verifiedAt === start, p.found.different]),
    [
      ['public.orders', 0, true, 7],
      ['public.users', 0, true, 0],
    ],
  );
  const some = { ...base, verdict: 'differs', planned: { insert: 0, update: 7, delete: 0, withheld: 1 } };
  await ended('c', 9, { ...some, skipped: { moved: 1, already_synced: 10 }, rejected: 2 }, { kind: 'sync' });
  assert.deepEqual(
    (await stateOf('c')).map((p) => [p.pair, p.left, p.verifiedAt === start]),
    [
      ['public.orders', 4, true],
      ['public.users', 0, false],
    ],
  );
});

test('an older run that ends late changes nothing of what a newer one found', async () => {
  await ended('d', 10, { verdict: 'agrees', pairs: [pair()] });
  await ended('d', 3, { verdict: 'differs', pairs: [pair({ different: 5 })] });
  const [state] = await stateOf('d');
  assert.equal(state!.left, 0);
  assert.equal((await monitoring.proofs(start, o)).filter((p) => p.sync === 'd').length, 1);
});

test('comparisons a few seconds apart are one proof as long as they come to the same', async () => {
  for (let i = 0; i < 5; i++) await ended('e', i / 10, { verdict: 'agrees', pairs: [pair()] });
  await ended('e', 1, { verdict: 'differs', pairs: [pair({ different: 1 })] });
  await ended('e', 1.1, { verdict: 'agrees', pairs: [pair()] });
  await ended('e', 9, { verdict: 'agrees', pairs: [pair()] });
  const proofs = (await monitoring.proofs(start, o)).filter((p) => p.sync === 'e');
  assert.deepEqual(
    proofs.map((p) => [(p.first - start) / minute, (p.last - start) / minute, p.agrees]),
    [
      [0, 0.4, true],
      [1, 1, false],
      [1.1, 1.1, true],
      [9, 9, true],
    ],
  );
  const late = (await monitoring.proofs(start + 5 * minute, o)).filter((p) => p.sync === 'e');
  assert.deepEqual(
    late.map((p) => (p.first - start) / minute),
    [1.1, 9],
  );
  await monitoring.forget(start + 5 * minute, o);
  assert.equal((await monitoring.proofs(start, o)).filter((p) => p.sync === 'e').length, 1);
});

test('totals only grow: a run that ends twice counts what is more, and its outcome once', async () => {
  const labels = { sync: 'f' };
  const report = (n: number): JsonValue => ({
    plan: 'p',
    applied: { insert: n, update: 0, delete: 0 },
    moved: 1,
    rejected: 0,
  });
  const id = await ended('f', 0, report(3), { kind: 'apply', state: 'failed' });
  assert.equal(await total('lockstep_changes_total', { ...labels, op: 'insert' }), 3);
  await store.runs.resume(id, o);
  const phase = (name: string, from: number) => ({ name, started: start + from, finished: start + from + 1500 });
  await store.runs.update(id, { phases: [phase('detect', 0), phase('apply', 3000)] }, o);
  const end = { state: 'done', exit: 0, finished: start + 9000 } as const;
  await store.runs.finish(id, { ...end, report: report(10) }, o);
  await store.runs.finish(id, { ...end, report: report(10) }, o);
  assert.equal(await total('lockstep_changes_total', { ...labels, op: 'insert' }), 10);
  assert.equal(await total('lockstep_changes_total', { ...labels, outcome: 'skipped' }), 1);
  assert.equal(await total('lockstep_runs_total', { ...labels, outcome: 'failure' }), 1);
  assert.equal(await total('lockstep_runs_total', { ...labels, outcome: 'success' }), 1);
  assert.equal(await total('lockstep_run_errors_total', { ...labels, code: 'CONNECT' }), 1);
  assert.equal(await total('lockstep_run_duration_seconds_bucket', { ...labels, le: '5', outcome: 'failure' }), 1);
  assert.equal(await total('lockstep_run_phase_seconds_total', labels), 1.5);
  const [fact] = (await monitoring.lastRuns(3, o)).filter((f) => f.sync === 'f');
  assert.deepEqual([fact!.state, fact!.created, fact!.skipped, fact!.code], ['done', 10, 1, null]);
});

test('many runs that end at once are all counted', async () => {
  await Promise.all(
    Array.from({ length: 24 }, (_, i) =>
      ended(`g${i % 3}`, i, { verdict: 'differs', pairs: [pair({ different: 1 }), pair({ source: 'public.users' })] }),
    ),
  );
  for (const sync of ['g0', 'g1', 'g2']) {
    assert.equal(await total('lockstep_runs_total', { sync }), 8);
    assert.equal(await total('lockstep_differences_found_total', { sync }), 8);
    assert.equal(await total('lockstep_rows_compared_total', { sync }), 16_000);
  }
});

test('the newest runs of each sync and kind are found, and sums over a time', async () => {
  for (let i = 0; i < 4; i++) await ended('h', 100 + i, { verdict: 'agrees', pairs: [pair()] });
  await ended('h', 104, null, { kind: 'sync', state: 'failed' });
  const facts = (await monitoring.lastRuns(2, o)).filter((f) => f.sync === 'h');
  assert.deepEqual(
    facts.map((f) => [f.kind, (f.started - start) / minute, f.state]),
    [
      ['sync', 104, 'failed'],
      ['diff', 103, 'done'],
      ['diff', 102, 'done'],
    ],
  );
  const [summary] = (await monitoring.summaries(start + 101.5 * minute, o)).filter((s) => s.sync === 'h');
  assert.deepEqual(summary, {
    sync: 'h',
    runs: 3,
    done: 2,
    failed: 1,
    cancelled: 0,
    durationMs: 2000,
    rows: 2000,
    changes: 0,
    skipped: 0,
    rejected: 0,
    conflicts: 0,
    last: start + 103 * minute + 2000,
  });
});

test('business metrics are kept exactly and summed exactly', async () => {
  const report = (sum: string): JsonValue => ({
    applied: { insert: 1, update: 0, delete: 0 },
    business: { revenue: sum, odd: 'x' },
  });
  await ended('i', 0, report('0.1'), { kind: 'sync' });
  await ended('i', 1, report('12345678901234567890.2'), { kind: 'sync' });
  const again = await ended('i', 2, report('7'), { kind: 'sync', state: 'failed' });
  await store.runs.resume(again, o);
  await store.runs.finish(again, { state: 'done', exit: 0, finished: start + 1, report: report('0.0') }, o);
  const whole = await monitoring.measuredTotals(o);
  assert.deepEqual(
    whole.map((m) => [m.metric, m.runs, m.sum]),
    [['revenue', 3, '12345678901234567890.3']],
  );
  await database.query('delete from lockstep_control.measure where run = $1', [again]);
  const [sum] = await monitoring.measuredSums(start, o);
  assert.deepEqual(
    [sum!.metric, sum!.runs, sum!.sum, sum!.last],
    ['revenue', 2, '12345678901234567890.3', '12345678901234567890.2'],
  );
  assert.deepEqual(
    (await monitoring.measured({ metric: 'revenue', limit: 9 }, o)).map((m) => m.value),
    ['12345678901234567890.2', '0.1'],
  );
});

test('the queue shows who waits and since when', async () => {
  const run = await store.runs.create(newRun({ sync: 'q', started: start }), o);
  await database.query(
    `update lockstep_control.run set state = 'queued', requested = '{}', asked_at = started where id = $1`,
    [run.id],
  );
  const queue = await monitoring.queue(o);
  assert.deepEqual([queue.queued, queue.oldest], [1, start]);
});

test('what processes saw of an endpoint stands until they say it anew, or have been silent', async () => {
  const sample = (p95: number) => [{ endpoint: 'crm', count: 10, failed: 0, p95, breaker: 'open' as const }];
  await monitoring.sample('w1', start, sample(900), o);
  await monitoring.sample('w2', start + minute, sample(20), o);
  await monitoring.sample('w3', start + minute, sample(30), o);
  await monitoring.sample('w2', start + minute, sample(25), o);
  const seen = { endpoint: 'crm', count: 10, failed: 0, breaker: 'open' };
  assert.deepEqual(await monitoring.samples(start + 1, o), [
    { ...seen, process: 'w2', p95: 25 },
    { ...seen, process: 'w3', p95: 30 },
  ]);
});
