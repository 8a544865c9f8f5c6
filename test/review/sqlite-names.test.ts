import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { loadEngine } from '../../src/engines/registry.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { type Database, database } from '../acceptance/databases.ts';
import { type Bench, bench, synced } from '../apply/bench.ts';

/** SQLite takes names in any case: a foreign key that is spelled in another one is a foreign key. */

const { signal } = new AbortController();
let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());

const tables = (
  action = '',
): string => `create table "Child" (ID integer primary key, P int references PARENT (iD) ${action}, n text);
  create table Parent (Id integer primary key, n text);`;

const connected = async (db: Database, name: string, writable: boolean): Promise<Endpoint> => {
  const { connect, parse } = (await loadEngine('sqlite'))!;
  return connect(parse(db.url), { name, writable, signal });
};

test('a foreign key is told in the names of the table and the columns it refers to', async () => {
  await using db = await database('sqlite');
  await db.run(tables());
  await using endpoint = await connected(db, 'a', false);
  const { tables: found } = await endpoint.inspect({ signal });
  const [key] = found.find((t) => t.name === 'Child')!.foreignKeys;
  assert.deepEqual([key!.references, key!.columns, key!.referencedColumns], [{ name: 'Parent' }, ['P'], ['Id']]);
});

test('parents come before their children, and go after them', async () => {
  await using source = await database('sqlite');
  await using target = await database('sqlite');
  await source.run(`${tables()} insert into Parent values (1, 'a'), (2, 'b'); insert into Child values (1, 2, 'x');`);
  await target.run(`${tables()} insert into Parent values (1, 'a'), (7, 'z'); insert into Child values (9, 7, 'y');`);
  await using left = await connected(source, 'left', false);
  await using right = await connected(target, 'right', true);
  // One row per transaction: an order that is not the right one is refused at its commit.
  const done = await synced(b.store, { source: left, target: right, settings: { batchSize: 1 } });
  assert.deepEqual([done.exit, done.sync.verdict], [0, 'agrees']);
  const order: string[] = [];
  for await (const batch of b.store.plans.items(done.planned.plan.header.id, { signal }))
    for (const item of batch) order.push(`${item.change.op} ${done.planned.plan.header.tables[item.table]!.pair}`);
  assert.deepEqual(order, ['insert Parent', 'insert Child', 'delete Child', 'delete Parent']);
});

for (const action of ['on delete cascade', 'on delete set null']) {
  test(`a delete that would take rows of a table outside the plan along is not planned (${action})`, async () => {
    await using source = await database('sqlite');
    await using target = await database('sqlite');
    await source.run('create table Parent (Id integer primary key, n text); insert into Parent values (1, null)');
    await target.run(
      `${tables(action)} insert into Parent values (1, null), (7, 'z'); insert into Child values (9, 7, 'y');`,
    );
    await using left = await connected(source, 'left', false);
    await using right = await connected(target, 'right', true);
    const done = await synced(b.store, { source: left, target: right, pairs: [{ source: 'Parent' }] });
    assert.equal(done.exit, 2);
    assert.match(done.planned.summary.unfit_examples[0]!.reason, /of Child .* which is not part of this plan/);
    assert.deepEqual(await target.rows('select ID, P from Child'), [[9n, 7n]]);
  });
}
