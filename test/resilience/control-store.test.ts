import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { LockstepError } from '../../src/model/errors.ts';
import type { NewRun, Store } from '../../src/model/store.ts';
import { urlConnector } from '../../src/store/postgres/connect.ts';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { testDatabase } from '../servers/postgres.ts';
import { type ReplicaPair, startReplicaPair } from '../servers/replica.ts';
import { o, until } from './support.ts';

let pair: ReplicaPair;
let store: Store;

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
  store = await openPostgresStore(urlConnector(both()), o);
});
after(async () => {
  await store?.[Symbol.asyncDispose]();
  await pair?.[Symbol.asyncDispose]();
});

test('of several hosts the one that takes writes is found, whichever comes first', async () => {
  await store.runs.create(newRun('r_1'), o);
  assert.deepEqual(await ids(), ['r_1']);
  assert.equal(store.description.includes('tester:tester'), false);
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
  // who starts now can read, too
  await using late = await openPostgresStore(urlConnector(both()), o);
  assert.deepEqual(await ids(late), ['r_1']);
});

test('it comes back, and takes writes again without a restart', async () => {
  await pair.primary.start();
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
