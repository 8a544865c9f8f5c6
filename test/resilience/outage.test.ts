import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startAlone } from '../servers/replica.ts';
import { project, until } from '../service/project.ts';
import { o } from '../store/plain.ts';

/** Story: database 2 is stopped while statuses are carried over, and comes back. */
const password = 'Wr0ng@:/?#%horse';
const db2 = await startAlone();
after(() => db2[Symbol.asyncDispose]());
const { dir, store, source: db1, control, start } = await project('');

await db1.query('create table subscriptions (id int primary key, status text not null)');
await db1.query("insert into subscriptions select i, 'active' from generate_series(1, 50) i");
await db2.query(`create role keeper login password '${password}'; grant create on database postgres to keeper;
  create table subscriptions (id int primary key, status text not null);
  grant select, insert, update, delete on subscriptions to keeper`);
writeFileSync(join(dir, '.env'), `DB2_PASSWORD='${password}'\n`);
writeFileSync(
  join(dir, 'lockstep.yaml'),
  `version: 1
control: "${control.url}"
server: { auth: { mode: none }, workers: 1, log: { level: info } }
endpoints:
  db1: { url: "${db1.url}" }
  db2:
    engine: postgres
    host: 127.0.0.1
    port: ${db2.port}
    user: keeper
    password: "\${env:DB2_PASSWORD}"
    database: postgres
    writable: true
    retry: { attempts: 2, base: 10ms, max: 20ms }
    breaker: { failures: 2, reset_after: 1s }
syncs:
  subscriptions: { source: db1, target: db2, settle: 0s, schedule: { every: 1s }, guards: { max_changes: 1000, max_change_ratio: 100% },
    pairs: [{ source: public.subscriptions, key: [id] }] }
`,
);

const service = start('serve', '--port', '0');
const { url } = (await service.line((line) => line['message'] === 'listening')) as { readonly url: string };
const ask = async (path: string) => {
  const reply = await fetch(`${url}${path}`);
  const text = await reply.text();
  assert.equal(text.includes(password) || text.includes(encodeURIComponent(password)), false, path);
  // biome-ignore lint/suspicious/noExplicitAny: what is expected of it stands below
  return { status: reply.status, body: JSON.parse(text) as any };
};
const statuses = async (): Promise<string> =>
  JSON.stringify(await db2.query('select status, count(*)::int as n from subscriptions group by 1 order by 1'));
const breaker = async (): Promise<readonly string[]> =>
  (
    await store.events.after('0', { types: ['breaker.opened', 'breaker.half_open', 'breaker.closed'], limit: 1000 }, o)
  ).map((event) => event.type.slice('breaker.'.length));

test('while it is up a status is carried over within the interval, and everything is well', async () => {
  await until(async () => (await statuses()) === '[{"status":"active","n":50}]');
  const { status, body } = await ask('/health');
  assert.equal(status, 200);
  assert.equal(body.status, 'ok', JSON.stringify(body));
  assert.equal((await ask('/livez')).body.status, 'ok');
  const ready = await ask('/readyz?verbose');
  assert.deepEqual(
    ready.body.checks.map((c: { name: string; status: string }) => [c.name, c.status]),
    [
      ['control_store', 'ok'],
      ['migrations', 'ok'],
      ['configuration', 'ok'],
    ],
  );
});

test('when it is stopped errors are logged, the process lives, the breaker opens', async () => {
  await db2.stop();
  await db1.query("update subscriptions set status = 'canceled' where id <= 20");
  await until(async () => (await breaker()).includes('opened'));
  const opened = await service.line((line) => line['message'] === 'circuit breaker is open');
  assert.equal(opened['endpoint'], 'db2');
  const [event] = await store.events.after('0', { types: ['breaker.opened'], limit: 1 }, o);
  assert.equal(event!.subject, 'endpoints/db2');
  // runs that come now are refused at once, and say when it is tried again
  await until(async () => (await store.failures(0, o)).some((f) => f.code === 'CIRCUIT_OPEN'));
  const errors = (await ask('/api/v1/monitoring/errors')).body.data as { kind: string; example: { message: string } }[];
  assert.match(
    errors.find((e) => e.kind === 'CIRCUIT_OPEN')!.example.message,
    /^db2: circuit breaker is open .* tried again at 20\d\d-/,
  );
  assert.ok(errors.some((e) => e.kind === 'CONNECT'));
  assert.equal((await ask('/livez')).status, 200);
  assert.equal((await ask('/readyz')).status, 200);
  const databases = (await ask('/api/v1/monitoring/database/health')).body;
  assert.equal(databases.status, 'degraded');
  const [first, second] = databases.endpoints;
  assert.deepEqual([first.name, first.status, second.name, second.status], ['db1', 'ok', 'db2', 'down']);
  assert.equal(typeof first.latency_ms, 'number');
  assert.equal(first.replication.standby, false);
  assert.match(second.message, /nothing listens|circuit breaker is open/);
  assert.equal((await ask('/api/monitoring/database/health')).body.endpoints.length, 2);
  assert.equal(service.child.exitCode, null);
});

test('when it is back it catches up with nothing lost, and the breaker closes', async () => {
  await db1.query("update subscriptions set status = 'past_due' where id > 45");
  await db2.start();
  const wanted = JSON.stringify([
    { status: 'active', n: 25 },
    { status: 'canceled', n: 20 },
    { status: 'past_due', n: 5 },
  ]);
  await until(async () => (await statuses()) === wanted);
  await until(async () => (await breaker()).at(-1) === 'closed');
  assert.ok((await breaker()).join(' ').includes('opened half_open closed'), (await breaker()).join(' '));
  // every run that was begun has an end
  await until(async () => (await store.runs.list({ states: ['running'] }, o)).length <= 1);
});

test('the performance page knows the statements of the worker, without a value', async () => {
  const body = await until(async () => {
    const found = (await ask('/api/v1/monitoring/performance')).body;
    return found.statements.some((s: { process: string | null }) => s.process !== null) && found;
  });
  assert.ok(body.routes.some((r: { route: string; p95_ms: number }) => r.route === '/health' && r.p95_ms > 0));
  assert.ok(body.statements.some((s: { sql: string; endpoint: string }) => /subscriptions/.test(s.sql)));
  assert.equal(JSON.stringify(body).includes('past_due'), false);
  assert.equal((await ask('/api/monitoring/performance')).status, 200);
  assert.equal((await ask('/api/v1/monitoring/errors?window=soon')).status, 400);
});

test('no log line, no event and no record holds its password', async () => {
  service.child.kill('SIGTERM');
  assert.equal(await service.ended, 0);
  const events = await store.events.after('0', { limit: 10_000 }, o);
  const runs = await store.runs.list({ limit: 1000 }, o);
  const all = JSON.stringify([service.lines, events, runs]);
  assert.ok(all.length > 1000);
  for (const form of [password, encodeURIComponent(password), JSON.stringify(password).slice(1, -1)])
    assert.equal(all.includes(form), false);
});
