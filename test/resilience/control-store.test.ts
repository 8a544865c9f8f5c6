import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import type { LockstepError } from '../../src/model/errors.ts';
import type { NewRun } from '../../src/model/runs.ts';
import type { ServiceStore } from '../../src/model/service-store.ts';
import type { Store } from '../../src/model/store.ts';
import { urlConnector } from '../../src/store/postgres/connect.ts';
import { openDatabase } from '../../src/store/postgres/database.ts';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { testDatabase } from '../servers/postgres.ts';
import { type ReplicaPair, startReplicaPair } from '../servers/replica.ts';
import { testAuditKeys } from '../store/fresh-store.ts';
import { apiOver, endpointsOf, o, until } from './support.ts';

let pair: ReplicaPair;
let store: ServiceStore;

const both = (): string =>
  `postgres://tester:tester@127.0.0.1:${pair.replica.port},127.0.0.1:${pair.primary.port}/postgres?target_session_attrs=read-write`;
const newRun = (id: string): NewRun => ({
  id,
  kind: 'diff',
  sync: null,
  source: null,
  target: null,
  correlation: 'c',
  actor: 'test',
  started: 1_000,
});
const ids = async (from: Store = store): Promise<readonly string[]> =>
  (await from.runs.list({}, o)).map((run) => run.id).sort();

before(async () => {
  pair = await startReplicaPair();
  store = await openPostgresStore(urlConnector(both()), { ...o, auditKeys: testAuditKeys });
});
after(async () => {
  await store?.[Symbol.asyncDispose]();
  await pair?.[Symbol.asyncDispose]();
});

test('of several hosts the one that takes writes is found, whichever comes first', async () => {
  await store.runs.create(newRun('r_1'), o);
  assert.deepEqual(await ids(), ['r_1']);
  assert.equal(store.description.includes('tester:tester'), false);
  // what signs cursors is made once, when somebody first reads a list
  await store.sharedSecret('cursors', o);
  await pair.caughtUp();
});

test('while it is down what is there is read from the replica, and a write says when to try again', async () => {
  await pair.primary.stop();
  // what was sent to it when it broke is lost, what is sent next is not
  await ids().catch((error: LockstepError) => assert.equal(error.code, 'CONNECTION_LOST'));
  assert.deepEqual(await ids(), ['r_1']);
  assert.equal((await store.runs.get('r_1', o))?.actor, 'test');
  for (const write of [
    () => store.runs.create(newRun('r_2'), o),
    () => store.runs.update('r_1', { report: 1 }, o),
    () => store.runs.resume('r_1', o),
  ])
    await assert.rejects(write, (error: LockstepError) => {
      assert.equal(error.code, 'PRIMARY_DOWN', error.message);
      assert.ok(error.retryAfterMs! > 0);
      return true;
    });
  // and over HTTP: what is there is shown, the rest says when to ask again
  const {
    config,
    endpoints,
    timings,
    [Symbol.asyncDispose]: dispose,
  } = await endpointsOf(
    'version: 1\nendpoints: { a: { url: "sqlite:a.db" }, b: { url: "sqlite:b.db" } }\nsyncs: { s: { source: a, target: b } }\n',
  );
  await using _endpoints = { [Symbol.asyncDispose]: dispose };
  const app = await apiOver(store, { config, endpoints, timings });
  const ready = await app.inject('/readyz?verbose');
  assert.deepEqual([ready.statusCode, ready.json().status], [200, 'degraded']);
  assert.equal((await app.inject('/health')).json().parts.control_store.status, 'degraded');
  const shown = await app.inject('/api/v1/runs');
  assert.deepEqual([shown.statusCode, shown.json().data?.length], [200, 1], shown.payload);
  const asked = await app.inject({ method: 'POST', url: '/api/v1/runs', payload: { kind: 'diff', sync: 's' } });
  assert.deepEqual([asked.statusCode, asked.json().code], [503, 'PRIMARY_DOWN'], asked.payload);
  assert.ok(Number(asked.headers['retry-after']) > 0);
  await app.close();
  // who starts now can read, too
  await using late = await openPostgresStore(urlConnector(both()), o);
  assert.deepEqual(await ids(late), ['r_1']);
});

test('a primary that vanishes without a word is given up, also by who was waiting for it', async () => {
  await pair.primary.start();
  let frozen = false;
  const open = new Set<Socket>();
  // like a host that lost its power: nothing is refused, nothing is answered
  const listener = createServer((client) => {
    const upstream = connect(pair.primary.port, '127.0.0.1');
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(from);
      from.on('error', () => {});
      from.on('data', (piece) => frozen || to.write(piece));
      from.on('close', () => frozen || to.destroy());
    }
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const url = `postgres://tester:tester@127.0.0.1:${port},127.0.0.1:${pair.replica.port}/postgres`;
  const database = openDatabase(urlConnector(url), { suspectMs: 100, answerMs: 300 });
  const where = async (): Promise<unknown> =>
    (await database.query('select pg_is_in_recovery() as standby', [], o))[0]!['standby'];
  assert.equal(await where(), false);
  const waiting = assert.rejects(database.query('select pg_sleep(600)', [], o), { code: 'CONNECTION_LOST' });
  frozen = true;
  await waiting;
  assert.equal(await where(), true);
  for (const socket of open) socket.destroy();
  await database[Symbol.asyncDispose]();
  listener.close();
});

test('it comes back, and takes writes again without a restart', async () => {
  await until(() =>
    store.runs.create(newRun('r_3'), o).then(
      () => true,
      (error: LockstepError) => {
        assert.ok(['PRIMARY_DOWN', 'CONNECTION_LOST'].includes(error.code), error.message);
        return false;
      },
    ),
  );
  assert.deepEqual(await ids(), ['r_1', 'r_3']);
  assert.equal((await store.runs.get('r_3', o))?.alive, true);
  await pair.caughtUp();
});

test('a replica that was promoted is found, and the old primary, overtaken, is not used again', async () => {
  await pair.primary.stop();
  await pair.replica.promote();
  await until(() =>
    store.runs.create(newRun('r_4'), o).then(
      () => true,
      () => false,
    ),
  );
  assert.deepEqual(await ids(), ['r_1', 'r_3', 'r_4']);
  await pair.primary.start();
  await using late = await openPostgresStore(urlConnector(both()), o);
  await late.runs.create(newRun('r_5'), o);
  await store.runs.create(newRun('r_6'), o);
  assert.deepEqual(await ids(), ['r_1', 'r_3', 'r_4', 'r_5', 'r_6']);
  const [row] = await pair.replica.query('select count(*)::int as n from lockstep_control.run');
  assert.equal(row!['n'], 5);
});

test('a host of another server is refused', async () => {
  await using stranger = await testDatabase();
  const { username, password, host, pathname } = new URL(stranger.url);
  // both let the same login in, to a database of the same name
  if (username !== 'tester')
    await pair.replica.query(`create role "${username}" superuser login password '${password}'`);
  await pair.replica.query(`create database ${stranger.name}`);
  const url = `postgres://${username}:${password}@${host},127.0.0.1:${pair.replica.port}${pathname}`;
  await assert.rejects(urlConnector(url).connect(o), { code: 'STORE', message: /is another server than the others/ });
  await assert.rejects(async () => urlConnector(`${url}?target_session_attrs=standby`), { code: 'CONFIG' });
});
