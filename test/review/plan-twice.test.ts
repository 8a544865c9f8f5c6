import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { totalOf } from '../../src/apply/numbers.ts';
import { loadEngine } from '../../src/engines/registry.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { LockstepError } from '../../src/model/errors.ts';
import { type Database, database, type EngineName, engineNames } from '../acceptance/databases.ts';
import { applied, type Bench, bench, planned } from '../apply/bench.ts';
import { type Fault, faulty, type Seen } from '../faults/faulty.ts';

/** A plan that two control stores hold (as a file does) is used once, whenever the first run dies. */

const { signal } = new AbortController();
let first: Bench;
let second: Bench;
before(async () => {
  [first, second] = await Promise.all([bench(), bench()]);
});
after(async () => {
  await first[Symbol.asyncDispose]();
  await second[Symbol.asyncDispose]();
});

const table = 'create table t (id int primary key not null, n text);';
const rows = Array.from({ length: 20 }, (_, i) => `(${i + 1}, 'v${i + 1}')`).join(', ');

interface Twice extends AsyncDisposable {
  readonly plan: string;
  readonly database: Database;
  /** The target, failing as told. */
  target(script?: (seen: Seen) => Fault | undefined): Promise<Endpoint>;
}

/** Twenty inserts, planned in the first store and taken into the second. */
const twice = async (engine: EngineName): Promise<Twice> => {
  await using scope = new AsyncDisposableStack();
  const source = scope.use(await database(engine));
  const target = scope.use(await database(engine));
  await source.run(`${table} insert into t values ${rows}`);
  await target.run(table);
  const { connect, parse } = (await loadEngine(engine))!;
  let kept: AsyncDisposableStack | undefined;
  const to = async (script: (seen: Seen) => Fault | undefined = () => undefined): Promise<Endpoint> => {
    const endpoint = await connect(parse(target.url), { name: 'target', writable: true, signal });
    (kept ?? scope).use(endpoint);
    return faulty(endpoint, script);
  };
  const from = scope.use(await source.connect('source'));
  const { plan } = await planned(first.store, { source: from, target: await to() });
  const file: Uint8Array[] = [];
  for await (const part of first.store.plans.export(plan.header.id, { signal })) file.push(part);
  await second.store.plans.import(file, { signal });
  const all = scope.move();
  kept = all;
  return {
    plan: plan.header.id,
    database: target,
    target: to,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
};

const once = { retry: { attempts: 1, baseMs: 0, maxMs: 0 } };
const dies = (nth: number, verb: 'reject' | 'lose') => (seen: Seen) =>
  seen.call === 'apply' && seen.nth >= nth ? { verb } : undefined;
const isUsed = (error: unknown): boolean => (error as LockstepError).code === 'PLAN_USED';
const isLost = (error: unknown): boolean => (error as LockstepError).code === 'CONNECTION_LOST';
const count = async (t: Twice): Promise<number> => Number((await t.database.rows('select count(*) from t'))[0]![0]);

for (const engine of engineNames) {
  test(`${engine}: a run that died before the plan's mark does not take another store's steps for its own`, async () => {
    await using t = await twice(engine);
    const dying = await t.target(dies(1, 'reject'));
    await assert.rejects(applied(first.store, t.plan, { target: dying, settings: once }), isLost);
    // The other one writes the first of its own batches, and dies.
    const other = await t.target(dies(3, 'reject'));
    const small = { ...once, batchSize: 1 };
    await assert.rejects(applied(second.store, t.plan, { target: other, settings: small }), isLost);
    assert.equal(await count(t), 1);

    await assert.rejects(applied(first.store, t.plan, { target: await t.target(), settings: once }), isUsed);
    assert.equal(await count(t), 1);
    const done = await applied(second.store, t.plan, { target: await t.target(), settings: small });
    assert.deepEqual([totalOf(done.result.numbers.applied), done.result.numbers.already], [20, 0]);
    assert.equal(await count(t), 20);
  });

  test(`${engine}: a run that died at the plan's mark goes on, and the other store is refused`, async () => {
    await using t = await twice(engine);
    const dying = await t.target(dies(1, 'lose'));
    await assert.rejects(applied(first.store, t.plan, { target: dying, settings: once }), isLost);
    await assert.rejects(applied(second.store, t.plan, { target: await t.target(), settings: once }), isUsed);
    assert.equal(await count(t), 0);
    // It dies once more, after its first step: the mark is known again.
    const later = await t.target(dies(1, 'lose'));
    await assert.rejects(applied(first.store, t.plan, { target: later, settings: once }), isLost);
    const done = await applied(first.store, t.plan, { target: await t.target(), settings: once });
    assert.equal(totalOf(done.result.numbers.applied), 20);
    assert.equal(await count(t), 20);
  });

  test(`${engine}: a run that died before its plan's mark, and nobody else came, goes on`, async () => {
    await using t = await twice(engine);
    const dying = await t.target(dies(1, 'reject'));
    await assert.rejects(applied(first.store, t.plan, { target: dying, settings: once }), isLost);
    const done = await applied(first.store, t.plan, { target: await t.target(), settings: once });
    assert.equal(totalOf(done.result.numbers.applied), 20);
    await assert.rejects(applied(second.store, t.plan, { target: await t.target(), settings: once }), isUsed);
  });
}
