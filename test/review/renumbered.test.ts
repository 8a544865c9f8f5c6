import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ApplySettings } from '../../src/apply/context.ts';
import { totalOf } from '../../src/apply/numbers.ts';
import { memoryDatabase, memoryEndpoint } from '../../src/engines/memory/endpoint.ts';
import { loadEngine } from '../../src/engines/registry.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { factsOf } from '../../src/work/recorded.ts';
import { revert } from '../../src/work/revert.ts';
import { type Database, database, type EngineName, engineNames } from '../acceptance/databases.ts';
import { applied, type Bench, bench, open, planned, synced } from '../apply/bench.ts';
import { memoryTable, reference, table } from '../apply/tables.ts';
import { faulty } from '../faults/faulty.ts';

/** Parents that have new numbers under the same unique names, with the children moved to them. */

const { signal } = new AbortController();
let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());

const tables = `create table country (id int primary key not null, name varchar(40) not null unique);
  create table region (id int primary key not null, country_id int not null references country, name text not null, unique (country_id, name));
  create table customer (id int primary key not null, region_id int references region, boss_id int references customer, note text);`;
const was = `insert into country values (1, 'Chile'), (5, 'Peru');
  insert into region values (1, 1, 'North'), (2, 1, 'South'), (7, 5, 'West');
  insert into customer values (1, 1, null, 'a'), (2, 1, 1, 'b'), (3, 2, 1, 'c'), (4, 7, null, 'd'), (5, 1, null, 'gone');`;
const is = `insert into country values (11, 'Chile'), (5, 'Peru');
  insert into region values (12, 11, 'North'), (2, 11, 'South'), (8, 5, 'West');
  insert into customer values (1, 12, null, 'a'), (2, 12, 9, 'b'), (3, 2, 1, 'c'), (4, 8, null, 'd'), (9, 12, 1, 'new');`;

interface Sides extends AsyncDisposable {
  readonly target: Database;
  readonly left: Endpoint;
  readonly right: Endpoint;
  rows(): Promise<unknown>;
}
const sides = async (
  engine: EngineName,
  sql: { before?: string; after?: string; more?: string } = {},
): Promise<Sides> => {
  await using scope = new AsyncDisposableStack();
  const source = scope.use(await database(engine));
  const target = scope.use(await database(engine));
  await source.run(tables + (sql.after ?? is));
  await target.run(tables + (sql.before ?? was) + (sql.more ?? ''));
  const { connect, parse } = (await loadEngine(engine))!;
  const left = scope.use(await source.connect('source'));
  const right = scope.use(await connect(parse(target.url), { name: 'target', writable: true, signal }));
  const all = scope.move();
  return {
    target,
    left,
    right,
    rows: async () => [
      await target.rows('select * from country order by id'),
      await target.rows('select * from region order by id'),
      await target.rows('select * from customer order by id'),
    ],
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
};

const undo = (s: Sides, run: string) =>
  revert({
    actor: 'tester',
    correlation: 'test',
    store: b.store,
    run,
    target: s.right,
    facts: factsOf(s.right, 'target'),
    guards: open,
    clock: systemClock,
    random: () => 0,
    signal,
  });

const settings: readonly Partial<ApplySettings>[] = [{ batchSize: 2 }, { concurrency: 4 }, { atomic: 'run' }];

for (const engine of engineNames) {
  for (const how of settings) {
    test(`${engine}: renumbered parents under unique names move with their children, and back (${JSON.stringify(how)})`, async () => {
      await using s = await sides(engine);
      const before = await s.rows();
      const done = await synced(b.store, { source: s.left, target: s.right, settings: how });
      assert.deepEqual(
        [done.exit, done.sync.verdict, done.sync.rejected],
        [0, 'agrees', 0],
        JSON.stringify(done.result),
      );
      const { applied: n, planned: p } = done.sync;
      assert.equal(totalOf(n), p.insert + p.update + p.delete);
      assert.equal(done.sync.verified, totalOf(n));
      const back = await undo(s, done.run);
      assert.equal(back.exit, 0);
      assert.deepEqual(await s.rows(), before);
      const forth = await undo(s, back.run);
      assert.equal(forth.exit, 0);
      const again = await synced(b.store, { source: s.left, target: s.right });
      assert.deepEqual([again.exit, totalOf(again.sync.applied)], [0, 0]);
    });
  }

  test(`${engine}: where one row of such a group is refused, none is written, and the others go on`, async () => {
    const refusing =
      engine === 'postgres'
        ? `alter table customer add check (id <> 2 or region_id <> 12);`
        : `create trigger refuses before update on customer when new.id = 2 begin select raise(abort, 'not this one'); end;`;
    await using s = await sides(engine, { more: refusing });
    const before = await s.rows();
    const done = await synced(b.store, { source: s.left, target: s.right });
    assert.equal(done.exit, 2);
    const { applied: n, planned: p } = done.sync;
    assert.equal(totalOf(n) + done.sync.rejected + done.sync.skipped.moved, p.insert + p.update + p.delete);
    assert.deepEqual(await s.target.rows("select count(*) from region where name not in ('North','South','West')"), [
      engine === 'postgres' ? ['0'] : [0n],
    ]);
    assert.deepEqual(
      await s.target.rows('select id from region order by id'),
      [[1], [2], [8]].map(([id]) => [engine === 'postgres' ? id : BigInt(id!)]),
    );
    assert.equal((await undo(s, done.run)).exit, 0);
    assert.deepEqual(await s.rows(), before);
  });

  test(`${engine}: where one row of such a group has moved, none is written`, async () => {
    await using s = await sides(engine);
    const { plan } = await planned(b.store, { source: s.left, target: s.right });
    await s.target.run("update customer set note = 'mine' where id = 2");
    const before = await s.rows();
    const done = await applied(b.store, plan.header.id, { target: s.right });
    assert.equal(done.exit, 2);
    assert.equal(done.result.numbers.moved, 1);
    assert.equal((await undo(s, done.run)).exit, 0);
    assert.deepEqual(await s.rows(), before);
  });

  test(`${engine}: many renumbered parents: each family for itself`, async () => {
    const list = (text: (i: number) => string): string => Array.from({ length: 300 }, (_, i) => text(i)).join(', ');
    const fill = (shift: number): string => `insert into country values (1, 'Chile');
      insert into region values ${list((i) => `(${i + shift}, 1, 'r${i}')`)};
      insert into customer values ${list((i) => `(${i}, ${i + shift}, null, 'c${i}')`)};`;
    await using s = await sides(engine, { before: fill(1000), after: fill(2000) });
    const before = await s.rows();
    const done = await synced(b.store, { source: s.left, target: s.right });
    assert.deepEqual([done.exit, done.sync.verdict], [0, 'agrees'], JSON.stringify(done.sync));
    assert.equal(Object.values(done.planned.summary.groups).filter((kind) => kind === 'linked').length, 300);
    assert.equal((await undo(s, done.run)).exit, 0);
    assert.deepEqual(await s.rows(), before);
  });
}

test('memory: renumbered parents under unique names move with their children', async () => {
  const region = table('region', 'id! name~');
  const customer = table('customer', 'id! region_id', { foreignKeys: [reference('region_id', 'region')] });
  const left = memoryDatabase([memoryTable(region, '2,North'), memoryTable(customer, '1,2;2,2')]);
  const right = memoryDatabase([memoryTable(region, '1,North'), memoryTable(customer, '1,1;2,1')]);
  const done = await synced(b.store, {
    source: memoryEndpoint(left, { name: 'left' }),
    target: memoryEndpoint(right, { name: 'right' }),
  });
  assert.deepEqual([done.exit, done.sync.verdict], [0, 'agrees'], JSON.stringify(done.sync));
  assert.deepEqual(done.sync.planned, { insert: 1, update: 3, delete: 1, withheld: 0 });
});

test('guarded by state alone, a group whose reply was lost counts as written already, as a whole', async () => {
  const region = table('region', 'id! name~');
  const customer = table('customer', 'id! region_id', { foreignKeys: [reference('region_id', 'region')] });
  const left = memoryDatabase([memoryTable(region, '2,North'), memoryTable(customer, '1,2;2,2')]);
  const right = memoryDatabase([memoryTable(region, '1,North'), memoryTable(customer, '1,1;2,1')]);
  const source = memoryEndpoint(left, { name: 'left' });
  const target = memoryEndpoint(right, { name: 'right', marker: false });
  const { plan } = await planned(b.store, { source, target });
  const lossy = faulty(target, ({ call, nth }) => (call === 'apply' && nth === 1 ? { verb: 'lose' } : undefined));
  const done = await applied(b.store, plan.header.id, { target: lossy });
  const { numbers } = done.result;
  assert.deepEqual([done.exit, done.result.guardedBy, numbers.already, numbers.rejected], [0, 'state', 5, 0]);
  assert.deepEqual(right.state.rows.get('region'), [['2', 'North']]);
  assert.deepEqual(right.state.rows.get('customer'), [
    ['1', '2'],
    ['2', '2'],
  ]);
});
