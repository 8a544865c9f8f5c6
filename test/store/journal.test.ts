import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Outcome } from '../../src/model/journal.ts';
import type { PlanItem } from '../../src/model/plans.ts';
import { urlConnector } from '../../src/store/postgres/connect.ts';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { until } from '../service/project.ts';
import { freshStore } from './fresh-store.ts';
import { all, hostile, insert, item, newPlan, newRun, o, remove, row, update } from './plain.ts';

const { store, database } = await freshStore();
const { journal } = store;
const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;

const begin = async (
  items: readonly Omit<PlanItem, 'seq'>[],
): Promise<{ readonly run: string; readonly plan: string }> => {
  const { id: plan } = newPlan();
  await using writer = await store.plans.create(newPlan({ id: plan }), o);
  await writer.add(items, o);
  await writer.seal(o);
  return { run: (await store.runs.create(newRun({ plan }), o)).id, plan };
};
const inserts = (count: number) => Array.from({ length: count }, (_, i) => item(insert(String(i + 1), 'v', null)));
const seqs = (list: readonly { readonly item: PlanItem }[]) => list.map((one) => one.item.seq);

test('a step is open from its intent to its end', async () => {
  const { run, plan } = await begin(inserts(10));
  assert.equal(await journal.last(run, o), 0);
  await journal.intend({ run, step: 1, plan, items: [[1, 3]] }, 5, o);
  await journal.intend(
    {
      run,
      step: 2,
      plan,
      items: [
        [4, 4],
        [6, 7],
      ],
    },
    5,
    o,
  );
  const first = { run, step: 1, plan, items: [[1, 3]], state: 'intended', final: [], counts: {} };
  const second = {
    run,
    step: 2,
    plan,
    items: [
      [4, 4],
      [6, 7],
    ],
    state: 'intended',
    final: [],
    counts: {},
  };
  assert.deepEqual(await journal.open(run, o), [first, second]);
  await journal.settle(run, 1, { state: 'done', at: 6, counts: { insert: 3 } }, o);
  assert.deepEqual(await journal.open(run, o), [second]);
  await journal.settle(run, 2, { state: 'rolled_back', at: 7 }, o);
  assert.deepEqual(await journal.open(run, o), []);
  assert.deepEqual(await all(journal.steps(run, o)), [
    { ...first, state: 'done', final: [[1, 3]], counts: { insert: 3 } },
    { ...second, state: 'rolled_back' },
  ]);
  assert.equal(await journal.last(run, o), 2);
  assert.deepEqual(await journal.final(run, o), [[1, 3]]);
});

test('a step rolled back frees its items but for those it names', async () => {
  const { run, plan } = await begin(inserts(6));
  await journal.intend({ run, step: 1, plan, items: [[1, 6]] }, 5, o);
  await journal.note(run, 1, [{ seq: 2, status: 'applied', stored: row('2', 'trigger', null) }], o);
  const moved: Outcome = { seq: 4, status: 'moved', found: row('4', 'theirs', null) };
  const gone: Outcome = { seq: 5, status: 'moved', found: null };
  await journal.settle(run, 1, { state: 'rolled_back', at: 6, outcomes: [moved, gone], counts: { moved: 2 } }, o);
  assert.deepEqual(await journal.final(run, o), [[4, 5]]);
  await journal.intend(
    {
      run,
      step: 2,
      plan,
      items: [
        [1, 3],
        [6, 6],
      ],
    },
    7,
    o,
  );
  const refused: Outcome = { seq: 6, status: 'rejected', reason: 'null value in column "note"', sqlState: '23502' };
  await journal.settle(run, 2, { state: 'done', at: 8, outcomes: [refused], counts: { insert: 3, rejected: 1 } }, o);
  assert.deepEqual(await journal.final(run, o), [[1, 6]]);
  assert.deepEqual(await journal.tally(run, o), { insert: 3, moved: 2, rejected: 1 });
  const outcomes = await all(journal.outcomes(run, o));
  assert.deepEqual(
    outcomes.map(({ step, outcome }) => [step, outcome]),
    [
      [1, moved],
      [1, gone],
      [2, { seq: 1, status: 'applied' }],
      [2, { seq: 2, status: 'applied' }],
      [2, { seq: 3, status: 'applied' }],
      [2, refused],
    ],
  );
  assert.deepEqual(seqs(await all(journal.outcomes(run, { ...o, statuses: ['moved', 'rejected'] }))), [4, 5, 6]);
  assert.deepEqual(seqs(await all(journal.outcomes(run, { ...o, statuses: ['rejected'] }))), [6]);
  assert.deepEqual(seqs(await all(journal.outcomes(run, { ...o, statuses: ['applied'] }))), [1, 2, 3]);
});

test('undo gives what was written, last first, as it was stored', async () => {
  const changes = [
    insert('1', 'a', null),
    update(['2', 'b', 'x'], ['2', 'c', 'x']),
    remove('3', 'd', null),
    insert('4', 'e', null),
    insert('5', 'f', null),
  ];
  const { run, plan } = await begin(changes.map((change) => item(change)));
  await journal.intend({ run, step: 1, plan, items: [[1, 3]] }, 1, o);
  await journal.note(run, 1, [{ seq: 1, status: 'applied', stored: row('1', 'a', 'by default') }], o);
  await journal.settle(run, 1, { state: 'done', at: 2, outcomes: [{ seq: 2, status: 'already' }] }, o);
  await journal.intend({ run, step: 2, plan, items: [[4, 5]] }, 3, o);
  await journal.settle(run, 2, { state: 'done', at: 4, outcomes: [{ seq: 5, status: 'rejected', reason: 'no' }] }, o);
  await journal.intend({ run, step: 3, plan, items: [[5, 5]] }, 3, o);
  const undone = await all(journal.undo(run, o));
  assert.deepEqual(
    undone.map(({ item: { change }, stored }) => [change, stored]),
    [
      [changes[3], row('4', 'e', null)],
      [changes[2], null],
      [changes[0], row('1', 'a', 'by default')],
    ],
  );
});

test('undo goes backwards through steps of many chunks with every row stored differently', async () => {
  const count = 3000;
  const { run, plan } = await begin(inserts(count));
  await journal.intend({ run, step: 1, plan, items: [[1, 1000]] }, 1, o);
  await journal.settle(run, 1, { state: 'done', at: 1 }, o);
  await journal.intend({ run, step: 2, plan, items: [[1001, count]] }, 1, o);
  for (let from = 1001; from <= count; from += 500) {
    const outcomes = Array.from(
      { length: 500 },
      (_, i): Outcome => ({ seq: from + i, status: 'applied', stored: row(String(from + i), 'stored', null) }),
    );
    await journal.note(run, 2, outcomes, o);
  }
  await journal.settle(run, 2, { state: 'done', at: 1 }, o);
  const undone = await all(journal.undo(run, o));
  assert.deepEqual(
    seqs(undone),
    Array.from({ length: count }, (_, i) => count - i),
  );
  assert.ok(
    undone.every(
      ({ item: { seq }, stored }) => stored?.[0] === String(seq) && stored[1] === (seq > 1000 ? 'stored' : 'v'),
    ),
  );
});

test('an intent told again starts the step afresh; a settled step cannot be begun again', async () => {
  const { run, plan } = await begin(inserts(4));
  await journal.intend({ run, step: 1, plan, items: [[1, 4]] }, 1, o);
  await journal.note(run, 1, [{ seq: 1, status: 'applied', stored: row('1', 'first attempt', null) }], o);
  await journal.intend({ run, step: 1, plan, items: [[1, 3]] }, 2, o);
  await journal.settle(run, 1, { state: 'done', at: 3, counts: { insert: 3 } }, o);
  assert.deepEqual(
    (await all(journal.undo(run, o))).map(({ stored }) => stored?.[1]),
    ['v', 'v', 'v'],
  );
  await assert.rejects(journal.intend({ run, step: 1, plan, items: [[4, 4]] }, 4, o), code('INTERNAL'));
});

test('settling twice is once; settling otherwise, or what was never intended, is an error', async () => {
  const { run, plan } = await begin(inserts(2));
  await journal.intend({ run, step: 1, plan, items: [[1, 2]] }, 1, o);
  const outcomes: Outcome[] = [{ seq: 2, status: 'rejected', reason: 'no' }];
  for (let i = 0; i < 3; i++)
    await journal.settle(run, 1, { state: 'done', at: 2, outcomes, counts: { insert: 1 } }, o);
  await journal.settle(run, 1, { state: 'done', at: 2 }, o);
  assert.deepEqual(await journal.tally(run, o), { insert: 1 });
  assert.deepEqual(
    (await all(journal.outcomes(run, o))).map(({ outcome }) => outcome.status),
    ['applied', 'rejected'],
  );
  await assert.rejects(journal.settle(run, 1, { state: 'rolled_back', at: 3 }, o), code('INTERNAL'));
  await assert.rejects(journal.settle(run, 9, { state: 'done', at: 3 }, o), code('INTERNAL'));
  await assert.rejects(journal.settle(run, 9, { state: 'rolled_back', at: 3, outcomes }, o), code('INTERNAL'));
  assert.deepEqual(await journal.final(run, o), [[1, 2]]);
});

test('a process that a run was taken from journals nothing more of it', async () => {
  await using other = await openPostgresStore(urlConnector(database.url), o);
  const asked = { actor: 'tester', correlation: 'c', trigger: 'api' } as const;
  const { id: run } = (await store.desk.request({ kind: 'sync', sync: 'ab' }, asked, o)).run;
  const { plan } = await begin(inserts(20));
  await store.claims.claim(run, { ...o, worker: 'asleep', now: 1 });
  // it gives no sign of life, and another process goes on
  await until(async () => (await other.claims.recover({ ...o, silentMs: 0, deaths: 9, now: 1 })).requeued.length > 0);
  await until(async () => other.claims.claim(run, { ...o, worker: 'other', now: 1 }));
  await other.journal.intend({ run, step: 1, plan, items: [[1, 10]] }, 1, o);
  const outcomes: Outcome[] = [{ seq: 12, status: 'applied', stored: row('12', 'late', null) }];
  await assert.rejects(journal.intend({ run, step: 1, plan, items: [[11, 20]] }, 2, o), code('FENCED'));
  await assert.rejects(journal.intend({ run, step: 2, plan, items: [[11, 20]] }, 2, o), code('FENCED'));
  await assert.rejects(journal.note(run, 1, outcomes, o), code('FENCED'));
  await assert.rejects(journal.settle(run, 1, { state: 'rolled_back', at: 2, outcomes }, o), code('FENCED'));
  await assert.rejects(journal.settle(run, 1, { state: 'done', at: 2 }, o), code('FENCED'));
  await other.journal.settle(run, 1, { state: 'done', at: 3, counts: { insert: 10 } }, o);
  assert.deepEqual(await journal.final(run, o), [[1, 10]]);
  assert.deepEqual(await journal.open(run, o), []);
});

test('a run that has written something since is not given up for the processes that it has cost before', async () => {
  const asked = { actor: 'tester', correlation: 'c', trigger: 'api' } as const;
  const { id: run } = (await store.desk.request({ kind: 'sync', sync: 'cd' }, asked, o)).run;
  const { plan } = await begin(inserts(20));
  const deaths = async (): Promise<number> => (await store.runs.get(run, o))!.asked!.deaths;
  for (const step of [1, 2]) {
    const one = await openPostgresStore(urlConnector(database.url), o);
    await until(async () => one.claims.claim(run, { ...o, worker: 'one', now: 1 }));
    await one.journal.intend({ run, step, plan, items: [[step, step]] }, 1, o);
    assert.equal(await deaths(), step - 1);
    await one.journal.settle(run, step, { state: 'done', at: 2, counts: { insert: 1 } }, o);
    assert.equal(await deaths(), 0);
    await one[Symbol.asyncDispose]();
    await until(
      async () => (await store.claims.recover({ ...o, silentMs: 60_000, deaths: 9, now: 1 })).requeued.length > 0,
    );
  }
});

test('hostile values survive in stored and found rows and in reasons', async () => {
  const { run, plan } = await begin(hostile.map((text) => item(insert(text, 'v', null))));
  await journal.intend({ run, step: 1, plan, items: [[1, hostile.length]] }, 1, o);
  const outcomes = hostile.map(
    (text, i): Outcome =>
      i % 2
        ? { seq: i + 1, status: 'applied', stored: row(text, text, null) }
        : { seq: i + 1, status: 'moved', found: row(text, null, text), reason: text },
  );
  await journal.settle(run, 1, { state: 'done', at: 2, outcomes }, o);
  assert.deepEqual(
    (await all(journal.outcomes(run, o))).map(({ outcome }) => outcome),
    outcomes,
  );
});

test('steps of one run may be journaled at the same time', async () => {
  const { run, plan } = await begin(inserts(400));
  await Promise.all(
    Array.from({ length: 40 }, async (_, i) => {
      await journal.intend({ run, step: i + 1, plan, items: [[i * 10 + 1, i * 10 + 10]] }, 1, o);
      await journal.settle(run, i + 1, { state: 'done', at: 2, counts: { insert: 10 } }, o);
    }),
  );
  assert.deepEqual(await journal.final(run, o), [[1, 400]]);
  assert.deepEqual(await journal.tally(run, o), { insert: 400 });
  assert.equal((await all(journal.outcomes(run, o))).length, 400);
});

test('a key can be traced through differences, plans and writes', async () => {
  const key = row('k\0\udce9');
  const pair = 'public.orders';
  const found = await store.runs.create(newRun({ kind: 'diff' }), o);
  const pairs = [
    {
      name: pair,
      target: 'ORDERS',
      columns: [
        { source: 'id', target: 'ID', as: { kind: 'text' } },
        { source: 'name', target: 'NAME', as: { kind: 'text' } },
      ] as const,
      keyWidth: 1,
    },
  ];
  {
    await using writer = await store.differences.writer(found.id, pairs, o);
    await writer.add(
      pair,
      [{ kind: 'different', key, source: row(key[0]!, 'a'), target: row(key[0]!, 'b'), columns: [1] }],
      o,
    );
    await writer.flush(o);
  }
  const change = update([key[0]!, 'b', null], [key[0]!, 'a', null]);
  const { run, plan } = await begin([...inserts(600), item(change)]);
  await journal.intend({ run, step: 1, plan, items: [[600, 601]] }, 1, o);
  const open = await store.trace(pair, key, o);
  assert.equal(open.written[0]?.outcome, undefined);
  await journal.settle(run, 1, { state: 'done', at: 1 }, o);
  const trace = await store.trace(pair, key, o);
  assert.deepEqual(
    trace.differences.map((d) => [d.run.id, d.stored.seq, d.pair.target]),
    [[found.id, 1, 'ORDERS']],
  );
  assert.deepEqual(
    trace.planned.map((p) => [p.plan.header.id, p.item.seq, p.item.change]),
    [[plan, 601, change]],
  );
  assert.deepEqual(
    trace.written.map((w) => [w.run.id, w.step.step, w.outcome?.status]),
    [[run, 1, 'applied']],
  );
  assert.deepEqual(await store.trace('public.others', key, o), { differences: [], planned: [], written: [] });
});
