import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { evaluate } from '../../src/alerts/watch.ts';
import { sealJson } from '../../src/backup/manifest.ts';
import { noteDamaged, noteVerified, placeFile } from '../../src/backup/shelf.ts';
import { newId } from '../../src/lib/ids.ts';
import { redactor } from '../../src/lib/redact.ts';
import type { NewConflict } from '../../src/model/conflicts.ts';
import type { Key } from '../../src/model/row.ts';
import { damagedBackups } from '../../src/service/backups.ts';
import { freshStore } from '../store/fresh-store.ts';
import { newRun, o } from '../store/plain.ts';
import { configOf, ended, heldClock, hour, minute, pairs, quietLog, start } from './world.ts';

/** Each rule fires on a planted cause, and resolves by itself when the cause is gone. Only the time is made up. */

const { store, database } = await freshStore();
const clock = heldClock();
let schedule = '';

/** Only this rule is on, with these settings. */
const only = (rule: string, settings = '{}'): string =>
  `alerts: { every: 0, rules: { ${[
    'sync_failed',
    'slow_run',
    'endpoint_latency',
    'drift',
    'unverified',
    'error_budget',
    'queue_backlog',
    'conflict_spike',
    'conflicts_waiting',
    'breaker_open',
    'approval_waiting',
    'backup_failed',
    'backup_stale',
  ]
    .map((name) => `${name}: ${name === rule ? settings : 'false'}`)
    .join(', ')} } }\n`;

const look = async (text: string): Promise<void> => {
  const config = configOf(text, {}, schedule);
  const options = {
    store,
    config: () => config,
    damagedBackups: () => damagedBackups(config),
    redactor: redactor(),
    clock,
    log: quietLog().log,
    process: 't',
  };
  assert.ok(await evaluate(options, o));
};
const standing = async (rule: string): Promise<readonly [subject: string, state: string][]> =>
  (await store.alerts.list({ rule, states: ['pending', 'firing'] }, o))
    .map((a): [string, string] => [a.subject, a.state])
    .sort();
const lastOf = async (rule: string) => (await store.alerts.list({ rule, limit: 1 }, o))[0]!;
const pass = (ms: number): void => {
  clock.at += ms;
};
const forget = (): Promise<unknown> =>
  database.query('truncate lockstep_control.run, lockstep_control.pair_state, lockstep_control.proof cascade');

test('a sync that failed fires, says what to run, and resolves with the next one that is done', async () => {
  await ended(store, clock, 'licences', { state: 'failed' });
  pass(minute);
  const run = await ended(store, clock, 'licences', { state: 'failed' });
  await ended(store, clock, 'licences', { state: 'cancelled' });
  await ended(store, clock, 'forgotten', { state: 'failed' });
  await look(only('sync_failed'));
  assert.deepEqual(await standing('sync_failed'), [['syncs/licences', 'firing']]);
  const alert = await lastOf('sync_failed');
  assert.equal(alert.since, start);
  assert.equal(alert.command, `lockstep show ${run}`);
  assert.match(
    `${alert.summary} ${alert.detail}`,
    /^licences: the last sync failed \(CONNECT\).*nothing listens.*2 runs in a row/,
  );
  pass(minute);
  await ended(store, clock, 'licences', { kind: 'diff' });
  await look(only('sync_failed'));
  assert.equal((await standing('sync_failed')).length, 1, 'a comparison does not mend an apply');
  await ended(store, clock, 'licences');
  await look(only('sync_failed'));
  assert.deepEqual(await standing('sync_failed'), []);
  assert.equal((await lastOf('sync_failed')).resolved, clock.at);
  await forget();
});

test('a run that takes much longer than its like fires, also while it still runs', async () => {
  const rule = only('slow_run', '{ least: 5s, runs: 8 }');
  const report = { pairs: pairs({ licences: 0 }) };
  for (let i = 0; i < 10; i++) {
    pass(minute);
    await ended(store, clock, 'licences', { tookMs: 10_000 + (i % 3) * 300, report });
  }
  await look(rule);
  assert.deepEqual(await standing('slow_run'), []);
  pass(minute);
  await ended(store, clock, 'licences', { tookMs: 40_000, report });
  await look(rule);
  assert.deepEqual(await standing('slow_run'), [['syncs/licences/sync', 'firing']]);
  assert.match((await lastOf('slow_run')).summary, /^licences: sync took 40 s; it usually takes 10 s/);
  pass(minute);
  await ended(store, clock, 'licences', { tookMs: 10_200, report });
  await look(rule);
  assert.deepEqual(await standing('slow_run'), []);

  const { id } = await store.runs.create(newRun({ kind: 'sync', sync: 'licences', started: clock.at }), o);
  pass(30_000);
  await look(rule);
  assert.deepEqual(await standing('slow_run'), [], 'one before took longer');
  pass(30_000);
  await look(rule);
  assert.match((await lastOf('slow_run')).summary, /has been running for 1 min/);
  await store.runs.finish(id, { state: 'cancelled', exit: 130, finished: clock.at }, o);
  await look(rule);
  assert.deepEqual(await standing('slow_run'), []);
  await forget();
});

test('a run over many more rows is not slow for that', async () => {
  const big = [
    { source: 'licences', target: 'licences', rows: { source: 1_000_000, target: 1_000_000 }, identical: 1_000_000 },
  ];
  for (let i = 0; i < 9; i++)
    await ended(store, clock, 'licences', { tookMs: 10_000, report: { pairs: pairs({ licences: 0 }) } });
  pass(minute);
  await ended(store, clock, 'licences', { tookMs: 600_000, report: { pairs: big } });
  await look(only('slow_run', '{ least: 5s }'));
  assert.deepEqual(await standing('slow_run'), []);
  await forget();
});

test('drift above its threshold fires per pair, also where the run repaired it, and resolves when it is less', async () => {
  const rule = only('drift', '{ above: 1% }');
  await ended(store, clock, 'licences', { kind: 'diff', report: { pairs: pairs({ licences: 11, plans: 10 }) } });
  await look(rule);
  assert.deepEqual(await standing('drift'), [['syncs/licences/licences', 'firing']]);
  assert.match((await lastOf('drift')).summary, /1\.1 % of the rows of licences differed; at most 1 % is allowed/);
  pass(minute);
  await ended(store, clock, 'licences', { kind: 'diff', report: { pairs: pairs({ licences: 3, plans: 10 }) } });
  await look(rule);
  assert.deepEqual(await standing('drift'), []);
  await forget();
});

test('a pair that was not proved to agree for too long fires, also one that was never compared', async () => {
  const rule = only('unverified');
  await look(rule);
  assert.deepEqual(await standing('unverified'), [['syncs/users', 'pending']]);
  pass(hour + 1);
  await look(rule);
  assert.deepEqual(await standing('unverified'), [['syncs/users', 'firing']]);
  await ended(store, clock, 'users', { kind: 'diff', report: { pairs: pairs({ 'public.users': 0 }) } });
  await look(rule);
  assert.deepEqual(await standing('unverified'), []);

  pass(hour + minute);
  await ended(store, clock, 'users', { kind: 'diff', report: { pairs: pairs({ 'public.users': 2 }) } });
  await look(rule);
  assert.deepEqual(await standing('unverified'), [['syncs/users/public.users', 'firing']]);
  assert.match((await lastOf('unverified')).summary, /proved to agree 1 h 1 min ago; at most 1 h is allowed/);
  await ended(store, clock, 'users', {
    kind: 'sync',
    report: { pairs: pairs({ 'public.users': 2 }), verdict: 'agrees' },
  });
  await look(rule);
  assert.deepEqual(await standing('unverified'), []);
  await forget();
});

test('of a sync without a service level that is what a schedule promises, or the rule', async () => {
  await ended(store, clock, 'licences', { kind: 'diff', report: { pairs: pairs({ licences: 0, gone: 0 }) } });
  await ended(store, clock, 'users', { kind: 'diff', report: { pairs: pairs({ users: 0 }) } });
  pass(25 * hour);
  await ended(store, clock, 'users', { kind: 'diff', report: { pairs: pairs({ users: 0 }) } });
  await look(only('unverified'));
  assert.deepEqual(await standing('unverified'), []);
  schedule = 'schedule: { every: 1h }';
  await look(only('unverified'));
  assert.deepEqual(
    await standing('unverified'),
    [['syncs/licences/licences', 'firing']],
    'not of a pair that is no more',
  );
  schedule = '';
  await look(only('unverified', '{ after: 26h }'));
  assert.deepEqual(await standing('unverified'), []);
  await forget();
});

test('a used-up error budget fires, and resolves as the window moves on', async () => {
  const agreeing = { kind: 'diff', report: { pairs: pairs({ users: 0 }) } } as const;
  const hours = async (n: number): Promise<void> => {
    for (let i = 0; i < n; i++) {
      pass(hour - minute);
      await ended(store, clock, 'users', agreeing);
    }
  };
  await hours(10);
  await look(only('error_budget'));
  assert.deepEqual(await standing('error_budget'), []);
  pass(3 * hour);
  await ended(store, clock, 'users', agreeing);
  await look(only('error_budget'));
  assert.deepEqual(await standing('error_budget'), [['syncs/users/users', 'firing']]);
  assert.match((await lastOf('error_budget')).detail, /90 % is promised/);
  await hours(22);
  await look(only('error_budget'));
  assert.deepEqual(await standing('error_budget'), []);
  await forget();
});

test('a backlog fires when it has lasted, by its length or by its age', async () => {
  const queue = async (n: number): Promise<void> => {
    for (let i = 0; i < n; i++) await store.runs.create(newRun({ sync: 'licences', started: clock.at }), o);
    await database.query(
      `update lockstep_control.run set state = 'queued', requested = '{}', asked_at = started where state = 'running'`,
    );
  };
  const rule = only('queue_backlog', '{ waiting: 3, older_than: 10m, for: 1m }');
  await queue(2);
  await look(rule);
  assert.deepEqual(await standing('queue_backlog'), []);
  await queue(1);
  await look(rule);
  assert.deepEqual(await standing('queue_backlog'), [['queue', 'pending']]);
  pass(minute);
  await look(rule);
  assert.deepEqual(await standing('queue_backlog'), [['queue', 'firing']]);
  await forget();
  await look(rule);
  assert.deepEqual(await standing('queue_backlog'), []);
  await queue(1);
  pass(11 * minute);
  await look(rule);
  assert.deepEqual(await standing('queue_backlog'), [['queue', 'pending']]);
  await forget();
  await look(rule);
  assert.deepEqual(await store.alerts.list({ rule: 'queue_backlog', states: ['pending', 'firing'] }, o), []);
  assert.equal((await store.alerts.list({ rule: 'queue_backlog' }, o)).length, 1, 'what never fired leaves nothing');
});

test('conflicts that nobody decides fire, by their age or number, and resolve when they are decided', async () => {
  const met = (id: string): NewConflict => ({
    ...{ sync: 'licences', pair: 'public.licences', run: 'r_1', key: [id] as unknown as Key, type: 'update_update' },
    ...{ columns: [], keyWidth: 0, base: null, source: [], target: [], state: 'pending', reason: 'both' },
  });
  const kept = await store.conflicts.record([met('1'), met('2')], clock.at, o);
  const rule = only('conflicts_waiting', '{ older_than: 2h, more_than: 2 }');
  await look(rule);
  assert.deepEqual(await standing('conflicts_waiting'), []);
  pass(2 * hour);
  await look(rule);
  assert.deepEqual(await standing('conflicts_waiting'), [['syncs/licences', 'firing']]);
  assert.match((await lastOf('conflicts_waiting')).summary, /2 conflicts wait for a person, the oldest for 2 h/);
  for (const { id } of kept) {
    await store.conflicts.decide(id, { take: 'source', by: 'me', at: clock.at, why: null }, o);
  }
  await look(rule);
  assert.deepEqual(await standing('conflicts_waiting'), []);
  const more = await store.conflicts.record([met('3'), met('4'), met('5')], clock.at, o);
  await look(rule);
  assert.deepEqual(await standing('conflicts_waiting'), [['syncs/licences', 'firing']], 'more than two');
  await store.conflicts.close(
    more.map((c) => c.id),
    { state: 'gone', run: 'r_2', at: clock.at },
    o,
  );
  await look(rule);
  assert.deepEqual(await standing('conflicts_waiting'), []);
});

test('many more conflicts than usual fire', async () => {
  for (let i = 0; i < 5; i++) await ended(store, clock, 'licences', { report: { conflicts: 4 } });
  pass(minute);
  await ended(store, clock, 'licences', { report: { conflicts: 11 } });
  await look(only('conflict_spike'));
  assert.deepEqual(await standing('conflict_spike'), [], 'not three times as many');
  pass(minute);
  await ended(store, clock, 'licences', { report: { conflicts: 13 } });
  await look(only('conflict_spike'));
  assert.deepEqual(await standing('conflict_spike'), [['syncs/licences', 'firing']]);
  pass(minute);
  await ended(store, clock, 'licences', { report: { conflicts: 5 } });
  await look(only('conflict_spike'));
  assert.deepEqual(await standing('conflict_spike'), []);
  await forget();
});

test('a slow endpoint fires when it stays slow, and an open breaker at once; silent processes do not count', async () => {
  const sample = (process: string, p95: number, breaker: 'open' | 'closed' = 'closed') =>
    store.monitoring.sample(process, clock.at, [{ endpoint: 'crm', count: 50, failed: 1, p95, breaker }], o);
  const slow = only('endpoint_latency', '{ above: 2s, for: 2m }');
  await sample('w1', 3000);
  await sample('w2', 100);
  await look(slow);
  assert.deepEqual(await standing('endpoint_latency'), [['endpoints/crm', 'pending']]);
  pass(2 * minute);
  await sample('w1', 2500);
  await look(slow);
  assert.deepEqual(await standing('endpoint_latency'), [['endpoints/crm', 'firing']]);
  await sample('w1', 200);
  await look(slow);
  assert.deepEqual(await standing('endpoint_latency'), []);

  await sample('w1', 200, 'open');
  await look(only('breaker_open'));
  assert.deepEqual(await standing('breaker_open'), [['endpoints/crm', 'firing']]);
  pass(2 * minute);
  await sample('w2', 200);
  await look(only('breaker_open'));
  assert.deepEqual(await standing('breaker_open'), []);
});

test('a backup that failed fires, and one that is too old', async () => {
  await ended(store, clock, null, { kind: 'backup' });
  pass(hour);
  await ended(store, clock, null, { kind: 'backup', state: 'failed' });
  await look(only('backup_failed'));
  assert.deepEqual(await standing('backup_failed'), [['backups', 'firing']]);
  pass(26 * hour);
  await look(only('backup_stale'));
  assert.deepEqual(await standing('backup_stale'), [['backups', 'firing']]);
  assert.match((await lastOf('backup_stale')).summary, /The last backup is 1 d 3 h old/);
  await ended(store, clock, null, { kind: 'backup' });
  for (const rule of ['backup_failed', 'backup_stale']) {
    await look(only(rule));
    assert.deepEqual(await standing(rule), []);
  }
  await forget();
});

test('a backup that was found damaged since is not the last one, until it is proved again', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-stale-'));
  const made = async (): Promise<string> => {
    const folder = join(dir, newId('b', clock.at - 500));
    mkdirSync(folder);
    await placeFile(folder, 'manifest.json', sealJson({ format: 1, encryption: null }, undefined));
    await noteVerified(folder, clock.at);
    await ended(store, clock, null, { kind: 'backup' });
    return folder;
  };
  const backups = `${only('backup_stale')}backups: { control: true, directory: "${dir}" }\n`;
  try {
    const first = await made();
    pass(24 * hour);
    const second = await made();
    pass(3 * hour);
    await look(backups);
    assert.deepEqual(await standing('backup_stale'), []);
    await noteDamaged(second, clock.at, new Error('it is cut off'));
    await look(backups);
    assert.deepEqual(await standing('backup_stale'), [['backups', 'firing']]);
    assert.match((await lastOf('backup_stale')).summary, /The last backup that is not damaged is 1 d 3 h old/);
    assert.equal((await lastOf('backup_stale')).command, 'lockstep backup list');
    await noteVerified(second, clock.at);
    await look(backups);
    assert.deepEqual(await standing('backup_stale'), []);
    pass(minute);
    for (const folder of [first, second]) rmSync(join(folder, 'manifest.json'));
    await look(backups);
    assert.match((await lastOf('backup_stale')).summary, /Every backup was found damaged/);
  } finally {
    rmSync(dir, { recursive: true });
  }
  await forget();
});

test('a rule that is limited to some syncs sees no others', async () => {
  await ended(store, clock, 'licences', { state: 'failed' });
  await ended(store, clock, 'users', { state: 'failed' });
  await look(only('sync_failed', '{ only: [users], severity: info }'));
  assert.deepEqual(await standing('sync_failed'), [['syncs/users', 'firing']]);
  assert.equal((await lastOf('sync_failed')).severity, 'info');
  await forget();
});
