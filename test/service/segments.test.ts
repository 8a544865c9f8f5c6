import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { postgres } from '../../src/engines/postgres/index.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Difference } from '../../src/model/change.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { PairReport } from '../../src/model/report.ts';
import type { Segments } from '../../src/model/segments.ts';
import type { ServiceStore } from '../../src/model/service-store.ts';
import { workOnSegments } from '../../src/service/segment-work.ts';
import { spreadOver } from '../../src/service/segments.ts';
import { urlConnector } from '../../src/store/postgres/connect.ts';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { alignAll, type PairRequest } from '../../src/work/compare.ts';
import { factsOf } from '../../src/work/recorded.ts';
import { type SavedDiff, saveDiff } from '../../src/work/save-diff.ts';
import { type TestDatabase, testDatabase } from '../servers/postgres.ts';
import { newRun } from '../store/plain.ts';
import { until } from './project.ts';

const { signal } = new AbortController();
const o = { signal };
const patient = { signal, silentMs: 60_000 };
const rows = 20_000;
const segmentsWanted = 8;
const stack = new AsyncDisposableStack();
let [left, right, control] = [] as unknown as [TestDatabase, TestDatabase, TestDatabase];
let store: ServiceStore;

/** A store of its own, as another process would have it. */
const openStore = async (): Promise<ServiceStore> => openPostgresStore(urlConnector(control.url), o);

const sides = async (): Promise<{ source: Endpoint; target: Endpoint } & AsyncDisposable> => {
  const connect = (name: string, url: string): Promise<Endpoint> =>
    postgres.connect(postgres.parse(url), { name, writable: false, signal });
  const [source, target] = [await connect('left', left.url), await connect('right', right.url)];
  return {
    source,
    target,
    [Symbol.asyncDispose]: async () => {
      await source[Symbol.asyncDispose]();
      await target[Symbol.asyncDispose]();
    },
  };
};

before(async () => {
  [left, right, control] = [await testDatabase(), await testDatabase(), await testDatabase()];
  for (const db of [left, right, control]) stack.use(db);
  for (const db of [left, right]) {
    await db.query('create table things (id bigint primary key, v text, amount numeric(12, 2))');
    await db.query(`insert into things select i, 'value ' || i, i / 7.0 from generate_series(1, ${rows}) i`);
  }
  await right.query(`update things set v = 'other' where id % 1000 = 1`);
  await right.query('delete from things where id % 2500 = 0');
  await right.query('insert into things select -i, null, i from generate_series(1, 15) i');
  for (const db of [left, right]) await db.query('analyze things');
  store = stack.use(await openStore());
});
after(() => stack.disposeAsync());

const stored = async (run: string): Promise<Difference[]> => {
  const found: Difference[] = [];
  for await (const batch of store.differences.list(run, {}, o)) for (const d of batch) found.push(d.difference);
  return found;
};

/** Compares and saves; `segments`: spread over whoever helps. */
const diff = async (
  run: string,
  segments?: Segments,
  more: { signal?: AbortSignal; resume?: string; standIn?: Endpoint['standIn']; pairs?: readonly PairRequest[] } = {},
): Promise<SavedDiff> => {
  await using both = await sides();
  const s = { source: { ...both.source, ...(more.standIn ? { standIn: more.standIn } : {}) }, target: both.target };
  return await saveDiff({
    ...s,
    store,
    sync: null,
    actor: 'me@laptop',
    correlation: 'c1',
    facts: { source: factsOf(s.source, 'left'), target: factsOf(s.target, 'right') },
    clock: systemClock,
    seed: 5n,
    settleMs: 50,
    sink: { wanted: () => 0, write: async () => {} },
    exitOf: () => 0,
    ...(segments === undefined
      ? {}
      : {
          spread: spreadOver({
            run,
            segments,
            worker: 'coordinator',
            cut: { ranges: () => segmentsWanted, smallRows: 1000 },
          }),
        }),
    signal,
    resume:
      more.resume ??
      (
        await store.runs.create(
          newRun({ id: run, kind: 'diff', source: factsOf(s.source, 'left'), target: factsOf(s.target, 'right') }),
          o,
        )
      ).id,
    ...(more.signal ? { signal: more.signal } : {}),
    ...(more.pairs ? { pairs: more.pairs } : {}),
  });
};

const counts = ({ elapsed_ms, settle_ms, explain, ranges, strategy, ...rest }: PairReport) => rest;

/** Another worker, with a store and connections of its own, which helps until there is nothing left to take. */
const helper = async (run: string, name: string, takes: string[]): Promise<void> => {
  await using s = await sides();
  await using own = await openStore();
  const { pairs } = await alignAll({ ...s, signal });
  for (;;) {
    const set = await own.segments.find(run, pairs[0]!.name, o);
    if (set === undefined) {
      await systemClock.sleep(5, signal);
      continue;
    }
    const options = {
      pair: pairs[0]!,
      endpoints: s,
      clock: systemClock,
      signal,
      settleMs: 50,
      seed: 9n,
      sink: { wanted: () => 0, write: async () => {} },
    };
    return workOnSegments({ segments: noting(own.segments, name, takes), worker: name, set, options });
  }
};

const noting = (segments: Segments, name: string, takes: string[]): Segments => ({
  ...segments,
  take: async (...a) => {
    const taken = await segments.take(...a);
    if (taken) takes.push(`${name} ${taken.n} ${taken.attempt}`);
    return taken;
  },
});

let whole: SavedDiff;
let expected: Difference[];
test('a comparison that several workers share finds what one finds, in the same order', async () => {
  whole = await diff('r_whole');
  expected = await stored('r_whole');
  assert.equal(expected.length, 20 + 8 + 15);
  const takes: string[] = [];
  const [spread] = await Promise.all([
    diff('r_spread', noting(store.segments, 'coordinator', takes)),
    helper('r_spread', 'second', takes),
    helper('r_spread', 'third', takes),
  ]);
  assert.deepEqual(counts(spread.compared.pairs[0]!), counts(whole.compared.pairs[0]!));
  assert.deepEqual(await stored('r_spread'), expected);
  assert.equal(spread.compared.pairs[0]!.ranges?.length, segmentsWanted);
  assert.ok(spread.compared.pairs[0]!.ranges!.every((r) => r.positions.source && r.positions.target));
  assert.equal(takes.length, segmentsWanted, takes.join());
  assert.ok(new Set(takes.map((t) => t.split(' ')[0])).size > 1, `one did all: ${takes}`);
  assert.equal(await store.segments.find('r_spread', 'public.things', o), undefined, 'nothing is left behind');
});

test('segments of a worker that is killed with -9 are taken over at once, and nothing is counted twice', async () => {
  const takes: string[] = [];
  const gate = Promise.withResolvers<void>();
  const killed = Promise.withResolvers<string>();
  const coordinated = diff('r_killed', {
    ...noting(store.segments, 'coordinator', takes),
    take: async (...a) => {
      // the other one comes first
      if (takes.length === 0) await gate.promise;
      return noting(store.segments, 'coordinator', takes).take(...a);
    },
  });
  while ((await store.segments.find('r_killed', 'public.things', o)) === undefined) await systemClock.sleep(5, signal);
  const script = fileURLToPath(new URL('segment-worker.ts', import.meta.url));
  const child = spawn(process.execPath, [script, control.url, left.url, right.url, 'r_killed', 'public.things'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child.stdout.once('data', (line: Buffer) => killed.resolve(line.toString().trim()));
  const first = (await killed.promise).split('\n')[0];
  const before = await control.query(
    `select worker from lockstep_control.segment where segment_set = (select id from lockstep_control.segment_set where run = 'r_killed') and n = ${first}`,
  );
  assert.equal(before.rows[0].worker, `killed ${child.pid}`);
  child.kill('SIGKILL');
  await once(child, 'exit');
  gate.resolve();
  const spread = await coordinated;
  assert.ok(takes.includes(`coordinator ${first} 2`), takes.join());
  assert.deepEqual(counts(spread.compared.pairs[0]!), counts(whole.compared.pairs[0]!));
  assert.deepEqual(await stored('r_killed'), expected);
});

test('a worker that sleeps too long and wakes up adds nothing to what another has done in its place', async () => {
  await using sleeper = await openStore();
  await store.runs.create(newRun({ id: 'r_sleeps', kind: 'diff' }), o);
  await store.runs.resume('r_sleeps', o);
  const set = {
    id: 's_1',
    run: 'r_sleeps',
    pair: 'p',
    what: 'w',
    way: 'rows',
    why: 'because',
    total: 1,
    kept: Infinity,
  };
  const difference = (n: string): Difference =>
    ({ kind: 'only_in_source', key: [n], source: [n], target: null }) as never;
  await store.segments.open(set, [{}], o);
  const asleep = (await sleeper.segments.take(set, { ...o, worker: 'sleeper', silentMs: 60_000 }))!;
  const late = sleeper.segments.writer(asleep);
  await late.add(
    Array.from({ length: 600 }, (_, i) => difference(`sleeper ${i}`)),
    o,
  );
  assert.equal(await store.segments.take(set, { ...o, worker: 'w', silentMs: 60_000 }), undefined, 'it is at work');
  await control.query(
    `update lockstep_control.segment set seen_at = now() - interval '61 s' where segment_set = 's_1'`,
  );
  const taken = (await store.segments.take(set, { ...o, worker: 'w', silentMs: 60_000 }))!;
  assert.equal(taken.attempt, 2);
  const writer = store.segments.writer(taken);
  await writer.add([difference('own')], o);
  await late.add(
    Array.from({ length: 600 }, (_, i) => difference(`late ${i}`)),
    o,
  );
  assert.equal(await sleeper.segments.beat(asleep, o), false);
  assert.equal(await late.end({ from: 'sleeper' }, o), false);
  assert.deepEqual(await store.segments.counts(set, patient), { total: 1, done: 0, free: 0, worn: 0 });
  assert.equal(await writer.end({ from: 'own' }, o), true);
  assert.equal(await late.end({ from: 'sleeper' }, o), false);
  assert.deepEqual(await store.segments.results(set, o), [{ from: 'own' }]);
  const found = (await Array.fromAsync(store.segments.differences(set, o))).flat().map((d) => d.key[0]);
  assert.deepEqual(found, ['own']);
});

test('what was begun of an earlier cut of the pair does not count in a later one, nor can its process end that', async () => {
  await using old = await openStore();
  const asked = { actor: 'tester', correlation: 'c', trigger: 'api' } as const;
  const { run } = await store.desk.request({ kind: 'diff', sync: 'ab' }, asked, o);
  const now = Date.now();
  await old.claims.claim(run.id, { ...o, worker: 'old', now });
  const first = { id: 's_old', run: run.id, pair: 'p', what: 'w', way: 'rows', why: 'because', total: 2, kept: 0 };
  await old.segments.open(first, [{}, {}], o);
  const taken = (await old.segments.take(first, { ...o, worker: 'old', silentMs: 60_000 }))!;
  // it gives no sign of life, and another process goes on
  await until(async () => (await store.claims.recover({ ...o, silentMs: 0, deaths: 9, now })).requeued.length > 0);
  await until(async () => store.claims.claim(run.id, { ...o, worker: 'new', now }));
  const second = { ...first, id: 's_new' };
  await store.segments.open(second, [{}, {}], o);
  await store.segments.take(second, { ...o, worker: 'new', silentMs: 60_000 });
  assert.equal(await old.segments.writer(taken).end({}, o), false);
  assert.equal(await old.segments.beat(taken, o), false);
  await assert.rejects(old.segments.open(first, [{}], o), { code: 'FENCED' });
  await old.segments.close(second, o);
  assert.deepEqual(await store.segments.counts(second, patient), { total: 2, done: 0, free: 1, worn: 0 });
  await store.segments.close(second, o);
  assert.equal((await store.segments.counts(second, patient)).total, 0);
});

test('a run that is stopped on the way goes on with the segments that are not done', async () => {
  const takes: string[] = [];
  const stop = new AbortController();
  const stopping: Segments = {
    ...noting(store.segments, 'first', takes),
    take: async (...a) => {
      if (takes.length === 5) stop.abort(new Error('enough'));
      return noting(store.segments, 'first', takes).take(...a);
    },
  };
  await assert.rejects(diff('r_stopped', stopping, { signal: stop.signal }));
  const left = await control.query(`select id from lockstep_control.segment_set where run = 'r_stopped'`);
  const { done } = await store.segments.counts(left.rows[0], patient);
  assert.ok(done >= 3 && done < segmentsWanted, `${done} done`);
  const again: string[] = [];
  const spread = await diff('r_stopped', noting(store.segments, 'again', again), { resume: 'r_stopped' });
  assert.equal(again.length, segmentsWanted - done);
  assert.deepEqual(counts(spread.compared.pairs[0]!), counts(whole.compared.pairs[0]!));
  assert.deepEqual(await stored('r_stopped'), expected);
});

test('a segment that costs every worker ends the run instead of going round for ever', async () => {
  await assert.rejects(
    diff('r_worn', {
      ...store.segments,
      take: async (...a) => {
        await control.query(`update lockstep_control.segment set deaths = 5 where n = 6`);
        return store.segments.take(...a);
      },
    }),
    /has cost several workers/,
  );
});

test('segments that were read from a stand-in are not those of the primary', async () => {
  const stop = new AbortController();
  const ended = (segments: Segments, takes: string[], most: number): Segments => ({
    ...segments,
    take: async (...a) => {
      if (takes.length === most) stop.abort(new Error('enough'));
      return noting(segments, 'w', takes).take(...a);
    },
  });
  const standIn = { reason: 'the primary is down', behindMs: null };
  await assert.rejects(diff('r_stand_in', ended(store.segments, [], 5), { signal: stop.signal, standIn }));
  const again: string[] = [];
  const { compared } = await diff('r_stand_in', noting(store.segments, 'again', again), { resume: 'r_stand_in' });
  assert.equal(again.length, segmentsWanted);
  assert.equal(compared.coverage.complete, true);
});

test('rows that lose their keys between two attempts are not passed over: they lie in no segment', async () => {
  for (const db of [left, right]) {
    await db.query('create table loose (k int not null, v text); create index on loose (k)');
    await db.query(`insert into loose select i, 'v' from generate_series(1, 3000) i`);
  }
  const pairs = [{ source: 'loose', key: ['k'] }];
  const stop = new AbortController();
  let taken = 0;
  const stopping: Segments = {
    ...store.segments,
    take: async (...a) => {
      if (++taken > 3) stop.abort(new Error('enough'));
      return store.segments.take(...a);
    },
  };
  await assert.rejects(diff('r_loose', stopping, { signal: stop.signal, pairs }));
  for (const db of [left, right]) await db.query('alter table loose alter k drop not null');
  await left.query(`insert into loose values (null, 'lost')`);
  const { compared } = await diff('r_loose', store.segments, { resume: 'r_loose', pairs });
  assert.equal(compared.verdict, 'incomplete');
  assert.deepEqual(compared.pairs[0]!.rows, { source: 3001, target: 3000 });
  assert.equal(await store.segments.find('r_loose', 'public.loose', o), undefined);
  const { rows: sets } = await control.query(`select from lockstep_control.segment_set where run = 'r_loose'`);
  assert.equal(sets.length, 0, 'nothing is left behind');
  for (const db of [left, right]) await db.query('drop table loose');
});

test('a segment is worn by the workers that die of it, not by those that give it back', async () => {
  await store.runs.create(newRun({ id: 'r_given', kind: 'diff' }), o);
  await store.runs.resume('r_given', o);
  const set = { id: 's_given', run: 'r_given', pair: 'p', what: 'w', way: 'rows', why: 'y', total: 1, kept: 0 };
  await store.segments.open(set, [{}], o);
  const taken = async () => {
    const segment = await store.segments.take(set, { ...o, worker: 'w', silentMs: 60_000 });
    assert.ok(segment);
    return segment;
  };
  for (let i = 0; i < 9; i++) await store.segments.giveBack(await taken(), o);
  for (let died = 0; died < 5; died++) {
    assert.deepEqual(await store.segments.counts(set, patient), { total: 1, done: 0, free: 1, worn: 0 });
    if (died === 2) await store.segments.giveBack(await taken(), o);
    await taken();
    await control.query(
      `update lockstep_control.segment set seen_at = now() - interval '61 s' where segment_set = 's_given'`,
    );
  }
  assert.deepEqual(await store.segments.counts(set, patient), { total: 1, done: 0, free: 0, worn: 1 });
  assert.equal(await store.segments.take(set, { ...o, worker: 'w', silentMs: 60_000 }), undefined);
});
