import assert from 'node:assert/strict';
import { test } from 'node:test';
import type pg from 'pg';
import { systemClock } from '../../src/lib/clock.ts';
import { LockstepError } from '../../src/model/errors.ts';
import type { Runs } from '../../src/model/runs.ts';
import { urlConnector } from '../../src/store/postgres/connect.ts';
import { lockKey, openDatabase } from '../../src/store/postgres/database.ts';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { recorded } from '../../src/work/recorded.ts';
import { memoryPair, synced } from '../apply/bench.ts';
import { memoryTable, table } from '../apply/tables.ts';
import { freshStore } from '../store/fresh-store.ts';
import { newRun, o } from '../store/plain.ts';
import { asked, until } from './project.ts';

const { store, database } = await freshStore();
const people = table('people', 'id! name email~?');
const lost = () => new LockstepError('CONNECTION_LOST', 'the connection broke');
const endsOf = async (run: string): Promise<number> => {
  const { rows } = await database.query(
    `select count(*)::int as n from lockstep_control.event where type = 'run.finished' and subject = 'runs/${run}'`,
  );
  return rows[0].n;
};

for (const reached of [true, false])
  test(`work that is done is recorded as done once when the store ${reached ? 'did not answer' : 'was away'} at its end`, async () => {
    const run = newRun();
    const told: string[] = [];
    const finish: Runs['finish'] = async (id, end, c) => {
      told.push(end.state);
      if (reached || told.length > 1) await store.runs.finish(id, end, c);
      if (told.length === 1) throw lost();
    };
    const ended = await recorded({ runs: { ...store.runs, finish } }, systemClock, run, o, async () => ({
      exit: 2,
      report: { made: 1 },
    }));
    assert.equal(ended.exit, 2);
    assert.deepEqual(told, ['done', 'done']);
    const { state, exit, report } = (await store.runs.get(run.id, o))!;
    assert.deepEqual([state, exit, report], ['done', 2, { made: 1 }]);
    assert.equal(await endsOf(run.id), 1);
    const failed = { state: 'failed', exit: 21, finished: Date.now() } as const;
    await assert.rejects(store.runs.finish(run.id, failed, o), { code: 'FENCED' });
    assert.equal((await store.runs.get(run.id, o))!.state, 'done');
  });

for (const ofWorkers of [false, true])
  test(`a run ${ofWorkers ? 'of the workers ' : ''}that could not be settled is settled by the next one`, async () => {
    const p = memoryPair([memoryTable(people, '1,ann,a')], [memoryTable(people, '')]);
    const writer = p.target.writer!;
    let away = false;
    const dying: typeof writer = {
      ...writer,
      apply: async (mark, batches, c) => {
        // Step 0 says that the plan is used.
        if (mark.step === 0) return writer.apply(mark, batches, c);
        away = true;
        throw lost();
      },
      applied: async (mark, c) => {
        if (away) throw lost();
        return writer.applied(mark, c);
      },
    };
    await assert.rejects(synced(store, { ...p, target: { ...p.target, writer: dying } }));
    const [run] = await store.runs.list({ limit: 1 }, o);
    assert.equal((await store.journal.open(run!.id, o)).length, 1);
    const requested = ofWorkers ? `, requested = '{"kind":"sync"}', trigger = 'api', asked_at = now(), lane = 'x'` : '';
    await database.query(
      `update lockstep_control.run set state = '${ofWorkers ? 'queued' : 'running'}', exit = null, finished = null${requested} where id = $1`,
      [run!.id],
    );

    const lock = await writer.lock({ run: 'r_other', pair: '*' }, o);
    await assert.rejects(synced(store, p), { code: 'LOCK_HELD' });
    const left = (await store.runs.get(run!.id, o))!;
    assert.deepEqual([left.state, left.alive], [ofWorkers ? 'queued' : 'running', false]);
    await lock[Symbol.asyncDispose]();
    assert.equal((await synced(store, p)).exit, 0);
    assert.deepEqual(await store.journal.open(run!.id, o), []);
    assert.equal((await store.runs.get(run!.id, o))!.state, ofWorkers ? 'queued' : 'cancelled');
  });

test('a caller that gives up while locks are taken again leaves none untaken', async () => {
  const given = new AbortController();
  const real = urlConnector(database.url);
  const clients: pg.Client[] = [];
  const connect = async (c: Parameters<typeof real.connect>[0]): Promise<pg.Client> => {
    const client = await real.connect(c);
    if (clients.push(client) === 2) {
      const query = client.query.bind(client) as (q: unknown) => Promise<unknown>;
      // The first answer of the connection that takes them again is the last that its caller waits for.
      client.query = (async (q: unknown) => {
        const answer = await query(q);
        given.abort();
        return answer;
      }) as unknown as typeof client.query;
    }
    return client;
  };
  await using locks = openDatabase({ ...real, connect });
  const names = ['gives up a', 'gives up b', 'gives up c'];
  const count = async (): Promise<number> => {
    const { rows } = await database.query(
      `select count(*)::int as n from pg_locks l join lateral unnest(array['${names.join("','")}']) x on true
       where l.locktype = 'advisory' and l.objid::bigint = ${lockKey('x')} & 4294967295`,
    );
    return rows[0].n;
  };
  for (const name of names) assert.equal(await locks.hold(name, o), true);
  assert.equal(await count(), 3);
  await clients[0]!.end();
  await until(async () => (await count()) === 0);
  await assert.rejects(locks.hold(names[0]!, { signal: given.signal }), { name: 'AbortError' });
  assert.equal(await locks.hold(names[0]!, o), true);
  assert.equal(await count(), 3);
});

test('a run that is given up is recorded whole, or found again', async () => {
  const { run } = await store.desk.request({ kind: 'diff', sync: 'dies' }, asked, o);
  {
    await using other = await openPostgresStore(urlConnector(database.url), o);
    await other.claims.claim(run.id, { ...o, worker: 'w', now: 1 });
  }
  await until(async () => !(await store.runs.get(run.id, o))!.alive);
  const recover = () => store.claims.recover({ ...o, silentMs: 600_000, deaths: 1, now: Date.now() });
  await database.query('alter table lockstep_control.run_fact rename to run_fact_away');
  await assert.rejects(recover(), { code: 'DATABASE' });
  await database.query('alter table lockstep_control.run_fact_away rename to run_fact');
  const before = (await store.runs.get(run.id, o))!;
  assert.deepEqual([before.state, before.asked!.deaths, await endsOf(run.id)], ['running', 0, 0]);
  assert.deepEqual(
    (await recover()).failed.map(({ id, error }) => [id, error?.code]),
    [[run.id, 'WORKER_LOST']],
  );
  assert.equal(await endsOf(run.id), 1);
  const facts = await database.query('select code from lockstep_control.run_fact where run = $1', [run.id]);
  assert.deepEqual(facts.rows, [{ code: 'WORKER_LOST' }]);
});
