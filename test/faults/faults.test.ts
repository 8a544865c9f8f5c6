import assert from 'node:assert/strict';
import { test } from 'node:test';
import { postgres } from '../../src/engines/postgres/index.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { LockstepError } from '../../src/model/errors.ts';
import type { Applied } from '../../src/model/writer.ts';
import { mark, stock } from '../conformance/cases/apply.ts';
import { memoryHarness } from '../conformance/harnesses/memory.ts';
import { bench, failure, makeLab } from '../conformance/lab.ts';
import { testDatabase } from '../servers/postgres.ts';
import { faulty } from './faulty.ts';
import { cuttingProxy, type Verdict } from './proxy.ts';

test('the four verbs: reject does nothing, lose does everything, hold waits, slow comes later', async () => {
  await using lab = makeLab(memoryHarness);
  const database = await lab.database(stock);
  const b = await bench(lab, database, stock);
  const plain = await lab.open(database, { writable: true });
  const gate = Promise.withResolvers<void>();
  const endpoint = faulty(plain, ({ call, nth }) => {
    if (call !== 'apply') return undefined;
    if (nth === 1) return { verb: 'reject' };
    if (nth === 2) return { verb: 'lose' };
    return nth === 3 ? { verb: 'hold', until: gate.promise } : { verb: 'slow', turns: 3 };
  });
  const step = (n: number): Promise<Applied> =>
    endpoint.writer!.apply(mark(n), [b.batch(b.update([String(n)], { n: '90' }))], lab);
  const applied = (n: number): Promise<boolean> => plain.writer!.applied(mark(n), lab);
  assert.equal((await failure(step(1))).code, 'CONNECTION_LOST');
  assert.equal(await applied(1), false);
  assert.equal((await failure(step(2))).code, 'CONNECTION_LOST');
  assert.equal(await applied(2), true, 'the work was done');
  const held = step(3);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(await applied(3), false, 'it waits');
  gate.resolve();
  assert.equal((await held).status, 'done');
  assert.equal((await step(4)).status, 'done');
});

interface Cut {
  readonly when: string;
  readonly judge: (sent: string) => Verdict;
  readonly committed: boolean;
}

const cuts: readonly Cut[] = [
  {
    when: 'before the commit reaches the server',
    judge: (sent) => (/\bcommit\b/i.test(sent) ? 'cut' : 'pass'),
    committed: false,
  },
  {
    when: 'after the commit, before its reply',
    judge: (sent) => (/\bcommit\b/i.test(sent) ? 'lose-reply' : 'pass'),
    committed: true,
  },
  {
    when: 'while rows are written',
    judge: (sent) => (/update [^;]*"?stock"?/i.test(sent) ? 'cut' : 'pass'),
    committed: false,
  },
];

for (const { when, judge, committed } of cuts) {
  test(`PostgreSQL: a connection cut ${when} is told as lost, and the marker settles it`, async () => {
    await using db = await testDatabase();
    await db.query('create table stock (id bigint primary key, n int not null)');
    await db.query('insert into stock select i, 0 from generate_series(1, 5) i');
    let armed = false;
    await using proxy = await cuttingProxy(db.url, (sent) => (armed ? judge(sent) : 'pass'));
    const { signal } = new AbortController();
    const connect = (url: string): Promise<Endpoint> =>
      postgres.connect(postgres.parse(url), { name: 'cut', writable: true, signal });
    await using through = await connect(proxy.url);
    await through.writer!.prepare({ signal });
    const table = (await through.inspect({ signal })).tables.find((t) => t.name === 'stock')!;
    const row = ['1', '0'] as never;
    const change = {
      op: 'update' as const,
      key: ['1'] as never,
      before: row,
      after: ['1', '7'] as never,
      columns: [1],
    };
    const batches = [{ table, key: ['id'], changes: [change] }];
    armed = true;
    const error = await failure(through.writer!.apply(mark(1), batches, { signal }));
    armed = false;
    assert.ok(error instanceof LockstepError && error.code === 'CONNECTION_LOST', String(error));
    assert.equal(error.retry, 'now');
    assert.ok(proxy.cuts > 0, 'the proxy cut nothing');
    assert.equal(await through.writer!.applied(mark(1), { signal }), committed, 'the same endpoint connects again');
    const again = await through.writer!.apply(mark(1), batches, { signal });
    assert.equal(again.status, committed ? 'already' : 'done');
    assert.deepEqual((await db.query('select id, n from stock where n <> 0')).rows, [{ id: '1', n: 7 }]);
    assert.equal((await db.query('select count(*)::int as n from lockstep.steps')).rows[0].n, 1);
  });
}
