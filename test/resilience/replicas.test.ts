import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { memoryEndpoint } from '../../src/engines/memory/endpoint.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { LockstepError } from '../../src/model/errors.ts';
import { urlConnector } from '../../src/store/postgres/connect.ts';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { compare } from '../../src/work/compare.ts';
import { type TestDatabase, testDatabase } from '../servers/postgres.ts';
import { type ReplicaPair, startReplicaPair } from '../servers/replica.ts';
import { testAuditKeys } from '../store/fresh-store.ts';
import { apiOver, endpointsOf, idsOf, idsTable, o, until } from './support.ts';

/** One pair of servers, and what happens to it one after the other. */
let pair: ReplicaPair;
/** A server of another identity. */
let stranger: TestDatabase;
let service: Awaited<ReturnType<typeof endpointsOf>>;
let control: TestDatabase;
let store: Awaited<ReturnType<typeof openPostgresStore>>;
let app: Awaited<ReturnType<typeof apiOver>>;

const yaml = (replicas: readonly string[]): string => `version: 1
endpoints:
  crm:
    url: ${pair.primary.url()}
    writable: true
    replicas: [${replicas.map((url) => `"${url}"`).join(', ')}]
    retry: { attempts: 2, base: 10ms, max: 20ms }
    breaker: { failures: 2, reset_after: 300ms }
records:
  ts: { endpoint: crm, table: t, create: true }
`;
const health = () => service.endpoints.health()[0]!;

before(async () => {
  pair = await startReplicaPair();
  await pair.primary.query('create table t (id int primary key); insert into t values (1), (2)');
  await pair.caughtUp();
  stranger = await testDatabase();
  await stranger.query('create table t (id int primary key); insert into t values (666)');
  service = await endpointsOf(yaml([stranger.url, pair.replica.url()]));
  control = await testDatabase();
  store = await openPostgresStore(urlConnector(control.url), { ...o, auditKeys: testAuditKeys });
  app = await apiOver(store, service);
});
after(async () => {
  await app?.close();
  await store?.[Symbol.asyncDispose]();
  await control?.[Symbol.asyncDispose]();
  await service?.[Symbol.asyncDispose]();
  await pair?.[Symbol.asyncDispose]();
  await stranger?.[Symbol.asyncDispose]();
});

test('while the primary is up it is read and written, and the replica says how far it is behind', async () => {
  await using endpoint = await service.endpoints.open('crm', { ...o, writable: true });
  assert.ok(endpoint.writer);
  assert.equal(endpoint.standIn, undefined);
  assert.match(endpoint.fingerprint.address, new RegExp(`:${pair.primary.port}$`));
  assert.deepEqual(await idsOf(endpoint), ['1', '2']);
  const [other, replica] = health().replicas;
  assert.match(other!.problem!, /this is another server/);
  assert.equal(replica!.problem, undefined);
  assert.equal(replica!.role?.standby, true);
  assert.equal(typeof replica!.role?.behindMs, 'number');
  assert.equal(health().breaker, 'closed');
  assert.equal((await app.inject('/api/v1/records/ts')).statusCode, 200);
});

test('when it stops, reads come from its replica and from no other server, and say so; writes name what to do', async () => {
  await pair.primary.stop();
  // also the first one after it, whose connection breaks
  assert.equal((await app.inject('/api/v1/records/ts')).json().data?.length, 2);
  const shared = await service.endpoints.shared('crm', o);
  assert.deepEqual(await idsOf(shared), ['1', '2']);
  assert.match(shared.standIn!.reason, /the primary is down: .*nothing listens/);
  assert.equal(shared.writer, undefined);
  await using endpoint = await service.endpoints.open('crm', { ...o, writable: false, standIn: true });
  assert.deepEqual(await idsOf(endpoint), ['1', '2']);
  const report = await compare({
    source: endpoint,
    target: memoryEndpoint([{ table: idsTable, rows: [['1'], ['2']] }]),
    pairs: [{ source: 't' }],
    defaults: {},
    clock: systemClock,
    settleMs: 0,
    seed: 1n,
    sink: { wanted: () => 0, write: async () => {} },
    ...o,
  });
  assert.equal(report.pairs[0]!.identical, 2);
  assert.equal(report.verdict, 'incomplete');
  assert.match(report.coverage.not_compared[0]!.reason, /its replica was read/);
  for (const refused of [
    () => service.endpoints.open('crm', { ...o, writable: true, standIn: true }),
    () => service.endpoints.open('crm', { ...o, writable: false }),
    () => service.endpoints.shared('crm', { ...o, writable: true }),
  ])
    await assert.rejects(refused(), (error: LockstepError) => {
      assert.equal(error.code, 'PRIMARY_DOWN');
      assert.ok(error.retryAfterMs! >= 1000);
      return true;
    });
  assert.match(health().degraded!.reason, /the primary is down/);
  assert.deepEqual(
    service.changes.slice(0, 1).map((c) => [c.name, c.state]),
    [['crm', 'open']],
  );
});

test('the API serves what is there meanwhile, and says when a write may be tried again', async () => {
  const list = await app.inject('/api/v1/records/ts');
  assert.deepEqual([list.statusCode, list.json().data?.length], [200, 2], list.payload);
  const made = await app.inject({
    method: 'POST',
    url: '/api/v1/records/ts',
    headers: { 'idempotency-key': 'seven' },
    payload: { id: 7 },
  });
  assert.deepEqual([made.statusCode, made.json().code], [503, 'PRIMARY_DOWN'], made.payload);
  assert.ok(Number(made.headers['retry-after']) >= 1);
  const { endpoints } = (await app.inject('/api/v1/monitoring/database/health')).json();
  assert.equal(endpoints[0].status, 'degraded');
  assert.match(endpoints[0].message, /the primary is down/);
  assert.equal(endpoints[0].replication.standby, true);
  assert.deepEqual(
    endpoints[0].replicas.map((r: { status: string }) => r.status),
    ['down', 'ok'],
  );
});

test('who has never seen the primary does not believe a replica', async () => {
  await using fresh = await endpointsOf(yaml([pair.replica.url()]));
  await assert.rejects(
    fresh.endpoints.open('crm', { ...o, writable: false, standIn: true }),
    (error: LockstepError) => {
      assert.equal(error.code, 'CONNECT');
      assert.match(error.details.join('\n'), /nobody knows whether this is its copy/);
      return true;
    },
  );
  const fingerprint = (await service.endpoints.shared('crm', o)).fingerprint;
  await using told = await endpointsOf(yaml([stranger.url, pair.replica.url()]), { known: async () => fingerprint });
  await using endpoint = await told.endpoints.open('crm', { ...o, writable: false, standIn: true });
  assert.deepEqual(await idsOf(endpoint), ['1', '2']);
});

test('it comes back, and everything is as before without a restart', async () => {
  await pair.primary.start();
  await until(async () => (await service.endpoints.shared('crm', o)).standIn === undefined);
  const shared = await service.endpoints.shared('crm', { ...o, writable: true });
  assert.match(shared.fingerprint.address, new RegExp(`:${pair.primary.port}$`));
  assert.ok(shared.writer);
  assert.equal(health().degraded, undefined);
  assert.equal(health().breaker, 'closed');
  assert.deepEqual(service.changes.map((c) => c.state).slice(-2), ['half_open', 'closed']);
});

test('a replica that was promoted takes its place, for writes too; the old primary, overtaken, does not', async () => {
  await pair.primary.query('insert into t values (3)');
  await pair.caughtUp();
  await pair.primary.stop();
  await pair.replica.promote();
  {
    await using endpoint = await service.endpoints.open('crm', { ...o, writable: true });
    assert.match(endpoint.fingerprint.address, new RegExp(`:${pair.replica.port}$`));
    assert.ok(endpoint.writer);
    assert.equal(endpoint.standIn, undefined);
    assert.match(health().promoted!.address, new RegExp(`:${pair.replica.port}$`));
  }
  await pair.replica.query('insert into t values (4)');
  await pair.primary.start();
  await pair.primary.query('insert into t values (999)');
  // the breaker lets the old primary answer again
  await until(async () => {
    await using endpoint = await service.endpoints.open('crm', { ...o, writable: true });
    assert.deepEqual(await idsOf(endpoint), ['1', '2', '3', '4']);
    return health().breaker === 'closed';
  });
  await using fresh = await endpointsOf(yaml([pair.replica.url()]));
  await using endpoint = await fresh.endpoints.open('crm', { ...o, writable: true });
  assert.deepEqual(await idsOf(endpoint), ['1', '2', '3', '4']);
});
