import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evaluate } from '../../src/alerts/watch.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { o } from '../store/plain.ts';
import { metricsOf, sampleOf } from '../telemetry/prometheus.ts';
import { served } from './served.ts';

/** Metrics, the summary and alerts, through the API, of runs that really ran. */

const { ask, token, run: start, ended, store, config, source, target, lines } = await served();
let keys = 0;
const run = (request: { readonly kind: string; readonly sync: string }) =>
  start(request, { 'idempotency-key': `k${++keys}` });
const look = () => {
  const { log } = { log: { debug() {}, info() {}, warn() {}, error() {}, child: () => log } } as { log: never };
  return evaluate(
    {
      store,
      config: () => ({ ...config, alerts: { ...config.alerts, everyMs: 0 } }),
      redactor: { redact: (text) => text },
      clock: systemClock,
      log,
      process: 'test',
    },
    o,
  );
};

test('what a run does is seen in the metrics and in the summary', async () => {
  const compared = await run({ kind: 'diff', sync: 'look' });
  assert.equal(compared.state, 'done');
  const metrics = metricsOf((await ask('GET', '/metrics')).text);
  const of = { sync: 'look', pair: 'public.items' };
  assert.equal(sampleOf(metrics, 'lockstep_differences', { ...of, kind: 'only_in_source' }), 2);
  assert.equal(sampleOf(metrics, 'lockstep_differences', { ...of, kind: 'only_in_target' }), 1);
  assert.equal(sampleOf(metrics, 'lockstep_differences', { ...of, kind: 'different' }), 1);
  assert.equal(sampleOf(metrics, 'lockstep_differences_left', of), 4);
  assert.equal(sampleOf(metrics, 'lockstep_sync_last_verified_timestamp_seconds', of), 0);
  assert.equal(sampleOf(metrics, 'lockstep_runs_total', { sync: 'look', kind: 'diff', outcome: 'success' }), 1);
  assert.equal(
    sampleOf(metrics, 'lockstep_run_duration_seconds_count', { sync: 'look', kind: 'diff', outcome: 'success' }),
    1,
  );

  const synced = await run({ kind: 'sync', sync: 'items' });
  assert.equal(synced.state, 'done', JSON.stringify(synced));
  const { body, status } = await ask('GET', '/api/v1/monitoring/summary?window=1h');
  assert.equal(status, 200);
  assert.equal(body.sync_health.runs, 2);
  assert.equal(body.sync_health.success_rate, 1);
  assert.equal(body.sync_health.error_rate, 0);
  assert.ok(Date.parse(body.sync_health.last_sync_time) > Date.now() - 600_000);
  const items = body.syncs.find((s: { sync: string }) => s.sync === 'items');
  assert.deepEqual(
    [items.data_quality.total_records, items.data_quality.synced_records, items.data_quality.completeness],
    [4, 4, 1],
  );
  assert.equal(items.data_quality.drift, 0.8);
  assert.equal(items.performance.changes, 4);
  assert.ok(items.data_quality.oldest_proof !== null);
  const look_ = body.syncs.find((s: { sync: string }) => s.sync === 'look');
  assert.deepEqual([look_.data_quality.differing_records, look_.data_quality.oldest_proof], [4, null]);
  const one = (await ask('GET', '/api/v1/monitoring/summary?sync=eq.items')).body;
  assert.deepEqual(
    one.syncs.map((s: { sync: string }) => s.sync),
    ['items'],
  );
  assert.equal(one.sync_health.runs, 1);
  assert.equal((await ask('GET', '/api/v1/monitoring/summary?window=forever')).status, 400);
});

test('metrics are for who may see them, and name neither keys nor values of rows', async () => {
  assert.equal((await ask('GET', '/metrics', { token: null })).status, 401);
  const viewer = await token('prometheus', { scopes: ['monitoring:read'] });
  const reply = await ask('GET', '/metrics', {
    token: viewer,
    headers: { accept: 'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1' },
  });
  assert.equal(reply.status, 200);
  assert.match(reply.headers.get('content-type')!, /^text\/plain; version=0\.0\.4/);
  for (const cell of ['zoë', 'gone', '=1+1', 'inactive']) assert.ok(!reply.text.includes(cell), cell);
  assert.match(
    reply.text,
    /lockstep_http_request_duration_seconds_count\{method="GET",route="\/metrics",status="401"\} 1/,
  );
  assert.match(reply.text, /lockstep_build_info\{version="0\.1\.0"\} 1/);
});

test('an alert is seen, acknowledged and silenced, by who may', async () => {
  await source.query('alter table items rename to items_elsewhere');
  const failed = await run({ kind: 'sync', sync: 'items' });
  assert.equal(failed.state, 'failed');
  await look();
  const { body } = await ask('GET', '/api/v1/alerts?state=eq.firing&rule=eq.sync_failed');
  assert.equal(body.data.length, 1);
  const [alert] = body.data;
  assert.equal(alert.subject, 'syncs/items');
  assert.equal(alert.command, `lockstep show ${failed.id}`);
  assert.equal((await ask('GET', `/api/v1/alerts/${alert.id}`)).body.summary, alert.summary);

  const viewer = await token('viewer', { role: 'viewer' });
  assert.equal((await ask('POST', `/api/v1/alerts/${alert.id}/acknowledge`, { token: viewer })).status, 403);
  const acked = await ask('POST', `/api/v1/alerts/${alert.id}/acknowledge`, { json: { note: 'on it' } });
  assert.deepEqual([acked.status, acked.body.acknowledged.note], [200, 'on it']);
  assert.match(acked.body.acknowledged.by, /boss/);

  const bound = await token('bound', { role: 'admin', syncs: ['look'] });
  assert.equal((await ask('GET', `/api/v1/alerts/${alert.id}`, { token: bound })).status, 404);
  assert.deepEqual((await ask('GET', '/api/v1/alerts?rule=eq.sync_failed', { token: bound })).body.data, []);
  const json = { for: '2h', reason: 'maintenance' };
  assert.equal((await ask('POST', '/api/v1/silences', { token: bound, json })).status, 404);
  assert.equal((await ask('POST', '/api/v1/silences', { token: bound, json: { ...json, sync: 'items' } })).status, 404);

  const made = await ask('POST', '/api/v1/silences', { json: { ...json, sync: 'items' } });
  assert.equal(made.status, 201);
  assert.equal((await ask('GET', '/api/v1/silences')).body.data[0].reason, 'maintenance');
  assert.equal((await ask('DELETE', `/api/v1/silences/${made.body.id}`)).status, 204);
  assert.equal((await ask('DELETE', `/api/v1/silences/${made.body.id}`)).status, 404);
  assert.deepEqual((await ask('GET', '/api/v1/silences')).body.data, []);

  await source.query('alter table items_elsewhere rename to items');
  await run({ kind: 'sync', sync: 'items' });
  await look();
  assert.equal((await ask('GET', `/api/v1/alerts/${alert.id}`)).body.state, 'resolved');
  assert.equal((await ask('POST', `/api/v1/alerts/${alert.id}/acknowledge`)).status, 409);
  const audit = await ask('GET', '/api/v1/audit?action=eq.alert.silence');
  assert.deepEqual(
    audit.body.data.map((e: { outcome: string }) => e.outcome),
    ['done', 'intended'],
  );
});

test('the lines of a run carry the correlation id of the request that asked for it, its phases and batches', async () => {
  const started = await ask('POST', '/api/v1/runs', { json: { kind: 'diff', sync: 'look' } });
  const id = started.headers.get('x-request-id')!;
  const body = await ended(started.body.id);
  const own = lines.map((line) => JSON.parse(line)).filter((line) => line.correlation === id);
  assert.ok(own.some((line) => line.message === 'request' && line.status === 202));
  assert.equal(body.correlation, id);
  const phases = own.filter((line) => line.run === body.id).map((line) => line.phase);
  for (const phase of ['collect', 'detect', 'record']) assert.ok(phases.includes(phase), `no line of ${phase}`);
});

test('the databases are told for which request they work', async () => {
  await target.query(`
    create table seen (who text);
    create function note() returns trigger language plpgsql as $$
    begin insert into seen values (current_setting('application_name')); return new; end $$;
    create trigger note before insert on items for each row execute function note()`);
  await source.query(`insert into items values (50, 'late', 1, 'active')`);
  const synced = await run({ kind: 'sync', sync: 'items' });
  assert.equal(synced.state, 'done', JSON.stringify(synced));
  const { rows } = await target.query('select distinct who from seen');
  assert.deepEqual(rows, [{ who: `lockstep ${synced.correlation}` }]);
});
