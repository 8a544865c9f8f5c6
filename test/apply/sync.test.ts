import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { LockstepError } from '../../src/model/errors.ts';
import { applied, type Bench, bench, memoryPair, planned, synced } from './bench.ts';
import { memoryTable, reference, rows, table } from './tables.ts';

let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());

const people = table('people', 'id! name email~?');
const ordered = (found: readonly (readonly (string | null)[])[]): unknown =>
  found.toSorted((x, y) => (JSON.stringify(x) < JSON.stringify(y) ? -1 : 1));
const fails = (code: string) => (e: unknown) => (e as LockstepError).code === code;

test('mirror makes the target agree, counts add up and every key is verified', async () => {
  const p = memoryPair(
    [memoryTable(people, '1,ann,a; 2,bob,b; 3,cid,c')],
    [memoryTable(people, '2,bob,x; 3,cid,c; 4,dan,d')],
  );
  const done = await synced(b.store, p);
  assert.deepEqual(done.sync.planned, { insert: 1, update: 1, delete: 1, withheld: 0 });
  assert.deepEqual(done.sync.applied, { insert: 1, update: 1, delete: 1 });
  assert.deepEqual(done.sync.skipped, { moved: 0, already_synced: 1 });
  assert.equal(done.sync.verified, 3);
  assert.equal(done.sync.verdict, 'agrees');
  assert.equal(done.exit, 0);
  assert.deepEqual(ordered(p.right.state.rows.get('people')!), ordered(p.left.state.rows.get('people')!));
});

test('what the mode leaves out is withheld and keeps the run from being green', async () => {
  const p = memoryPair([memoryTable(people, '1,ann,a; 2,bob,b')], [memoryTable(people, '2,bob,x; 4,dan,d')]);
  const done = await synced(b.store, { ...p, mode: 'update_only' });
  assert.deepEqual(done.sync.planned, { insert: 0, update: 1, delete: 0, withheld: 2 });
  assert.equal(done.sync.verdict, 'differs');
  assert.equal(done.exit, 2);
  assert.deepEqual(ordered(p.right.state.rows.get('people')!), rows('2,bob,b; 4,dan,d'));
});

test('a plan is used once, and a row that moved since is skipped and told', async () => {
  const p = memoryPair(
    [memoryTable(people, '1,ann,a; 2,bob,b; 3,cid,c')],
    [memoryTable(people, '1,x,a; 2,x,b; 3,x,c')],
  );
  const { plan } = await planned(b.store, p);
  p.right.edit('people', (all) => all.map((row) => (row[0] === '2' ? ['2', 'stranger', 'b'] : row)));
  p.right.edit('people', (all) => all.map((row) => (row[0] === '3' ? ['3', 'cid', 'c'] : row)));
  const done = await applied(b.store, plan.header.id, p);
  assert.deepEqual(done.result.numbers, {
    planned: { insert: 0, update: 3, delete: 0 },
    applied: { insert: 0, update: 1, delete: 0 },
    already: 1,
    moved: 1,
    rejected: 0,
    rolled_back: 0,
    pending: 0,
    changed_by_target: 0,
  });
  assert.equal(done.exit, 2);
  assert.deepEqual(ordered(p.right.state.rows.get('people')!), rows('1,ann,a; 2,stranger,b; 3,cid,c'));
  await assert.rejects(applied(b.store, plan.header.id, p), fails('PLAN_USED'));
});

test('a plan that another store has used on this target is refused', async () => {
  const p = memoryPair([memoryTable(people, '1,ann,a')], [memoryTable(people, '')]);
  const { plan } = await planned(b.store, p);
  const file: Uint8Array[] = [];
  const { signal } = new AbortController();
  for await (const part of b.store.plans.export(plan.header.id, { signal })) file.push(part);
  await applied(b.store, plan.header.id, p);
  p.right.edit('people', () => []);
  await using other = await bench();
  const copy = await other.store.plans.import(file, { signal });
  assert.equal(copy.header.id, plan.header.id);
  await assert.rejects(applied(other.store, copy.header.id, p), fails('PLAN_USED'));
  await assert.rejects(applied(other.store, copy.header.id, p), fails('PLAN_USED'));
  assert.deepEqual(p.right.state.rows.get('people'), []);
});

test('an expired plan, another target and a changed schema are refused before anything is written', async () => {
  const p = memoryPair([memoryTable(people, '1,ann,a')], [memoryTable(people, '')]);
  const expired = await planned(b.store, { ...p, lifetimeMs: -1 });
  await assert.rejects(applied(b.store, expired.plan.header.id, p), fails('PLAN_EXPIRED'));
  const { plan } = await planned(b.store, p);
  const wrong = { ...p.target, fingerprint: { ...p.target.fingerprint, database: 'another' } };
  await assert.rejects(applied(b.store, plan.header.id, { target: wrong }), fails('WRONG_TARGET'));
  const drifted: typeof p.target = {
    ...p.target,
    inspect: async () => ({ tables: [table('people', 'id! name email~? phone?')] }),
  };
  await assert.rejects(applied(b.store, plan.header.id, { target: drifted }), fails('SCHEMA_DRIFT'));
  assert.deepEqual(p.right.state.rows.get('people'), []);
  assert.equal(p.right.state.steps.size, 0);
  const done = await applied(b.store, plan.header.id, p);
  assert.equal(done.exit, 0, 'the refused tries did not use the plan up');
});

test('guards stop before the first write and name the numbers, the flag and the cause', async () => {
  const many = Array.from({ length: 150 }, (_, i) => `${i},new,${i}`).join(';');
  const old = Array.from({ length: 150 }, (_, i) => `${i},old,${i}`).join(';');
  const p = memoryPair([memoryTable(people, many)], [memoryTable(people, `${old};900,gone,z`)]);
  const guards = { maxChanges: 500, maxChangeRatio: 0.01, maxDeletes: 0 };
  await assert.rejects(synced(b.store, { ...p, guards }), (e: LockstepError) => {
    assert.equal(e.code, 'GUARD');
    assert.equal(e.exit, 22);
    assert.match(e.message, /Nothing was written/);
    assert.match(e.message, /151 changes planned are 100 % of 151 rows, max_change_ratio is 1 %/);
    assert.match(e.message, /1 delete planned, max_deletes is 0/);
    assert.match(e.hint!, /--max-changes 151 --allow-deletes 1/);
    assert.deepEqual(e.details, [
      '150 of 151 changes are updates of people, 150 of them of column name.',
      '1 of 1 delete is from people.',
    ]);
    return true;
  });
  assert.equal(p.right.state.steps.size, 0);
  const done = await synced(b.store, { ...p, guards: { maxChanges: 151, maxChangeRatio: null, maxDeletes: 1 } });
  assert.equal(done.exit, 0);
});

test('an empty source never causes deletes, whatever the guards allow', async () => {
  const p = memoryPair([memoryTable(people, '')], [memoryTable(people, '1,ann,a; 2,bob,b')]);
  await assert.rejects(synced(b.store, p), fails('EMPTY_SOURCE'));
  const done = await synced(b.store, { ...p, guards: { emptySource: 'keep' } });
  assert.equal(done.sync.planned.withheld, 2);
  assert.equal(done.sync.planned.delete, 0);
  assert.deepEqual(p.right.state.rows.get('people'), rows('1,ann,a; 2,bob,b'));
});

test('a refused row is quarantined with the words of the database, its dependants with it, the rest goes on', async () => {
  const orders = table('orders', 'id! people_id note?', { foreignKeys: [reference('people_id', 'people')] });
  const left = [
    memoryTable(people, Array.from({ length: 40 }, (_, i) => `${i},${i === 7 ? 'bad' : 'ok'},${i}`).join(';')),
    memoryTable(orders, Array.from({ length: 40 }, (_, i) => `${i},${i},n`).join(';')),
  ];
  const p = memoryPair(left, [
    memoryTable(people, '', { check: (row) => (row['name'] === 'bad' ? 'no bad names' : undefined) }),
    memoryTable(orders, ''),
  ]);
  const done = await synced(b.store, { ...p, settings: { batchSize: 16 } });
  assert.equal(done.sync.rejected, 2);
  assert.deepEqual(done.sync.applied, { insert: 78, update: 0, delete: 0 });
  assert.equal(done.exit, 2);
  const { signal } = new AbortController();
  const reasons: string[] = [];
  for await (const batch of b.store.journal.outcomes(done.run, { signal, statuses: ['rejected'] })) {
    reasons.push(...batch.map((s) => s.outcome.reason!));
  }
  assert.deepEqual(reasons.toSorted(), ['it refers to people "7", which was rejected: no bad names', 'no bad names']);
});

test('values of a unique column are exchanged, also across batches and with a row that has to go first', async () => {
  const p = memoryPair(
    [memoryTable(people, '1,a,x; 2,b,y; 3,c,z; 9,i,gone')],
    [memoryTable(people, '1,a,z; 2,b,x; 3,c,y; 4,d,gone')],
  );
  const done = await synced(b.store, { ...p, settings: { batchSize: 1 } });
  assert.equal(done.exit, 0);
  assert.deepEqual(ordered(p.right.state.rows.get('people')!), ordered(p.left.state.rows.get('people')!));
});

test('foreign keys: parents first, children deleted first, trees and circles', async () => {
  const node = table('node', 'id! node_id? b_id?', {
    foreignKeys: [reference('node_id', 'node'), reference('b_id', 'b')],
  });
  const second = table('b', 'id! node_id', { foreignKeys: [reference('node_id', 'node')] });
  const p = memoryPair(
    [memoryTable(node, '1,5,-; 2,1,2; 5,6,-; 6,-,1'), memoryTable(second, '1,6; 2,2')],
    [memoryTable(node, '7,8,-; 8,9,-; 9,-,3'), memoryTable(second, '3,7')],
  );
  const done = await synced(b.store, { ...p, settings: { batchSize: 1 } });
  assert.equal(done.sync.rejected, 0);
  assert.equal(done.sync.verdict, 'agrees');
  for (const name of ['node', 'b']) {
    assert.deepEqual(ordered(p.right.state.rows.get(name)!), ordered(p.left.state.rows.get(name)!));
  }
});

test('atomic run: one refused row takes everything back; without it everything is there at once', async () => {
  const text = Array.from({ length: 50 }, (_, i) => `${i},${i === 30 ? 'bad' : 'ok'},${i}`).join(';');
  let strict = true;
  const p = memoryPair(
    [memoryTable(people, text)],
    [memoryTable(people, '', { check: (row) => (strict && row['name'] === 'bad' ? 'no bad names' : undefined) })],
  );
  const settings = { atomic: 'run', batchSize: 10 } as const;
  const refused = await synced(b.store, { ...p, settings });
  assert.deepEqual(p.right.state.rows.get('people'), []);
  assert.equal(refused.sync.rolled_back, 49);
  assert.equal(refused.sync.rejected, 1);
  assert.equal(refused.exit, 2);
  strict = false;
  const done = await synced(b.store, { ...p, settings });
  assert.equal(done.exit, 0);
  assert.equal(done.sync.applied.insert, 50);
});

test('a trigger that changes what was written is told', async () => {
  const shout = { ...people, columns: people.columns };
  const p = memoryPair([memoryTable(people, '1,ann,a')], [memoryTable(shout, '1,x,a')]);
  const writer = p.target.writer!;
  const target: typeof p.target = {
    ...p.target,
    writer: {
      ...writer,
      apply: (mark, batches, o) =>
        writer.apply(mark, batches, {
          ...o,
          written: (w) =>
            o.written?.({ ...w, stored: w.stored.map((row) => row?.map((c, i) => (i === 1 ? 'ANN' : c)) as never) }),
        }),
    },
  };
  const { plan } = await planned(b.store, { ...p, target });
  const done = await applied(b.store, plan.header.id, { target });
  assert.equal(done.result.numbers.changed_by_target, 1);
  assert.deepEqual(done.result.altered, [
    { pair: 'people', key: ['1'], column: 'name', written: 'ann', stored: 'ANN' },
  ]);
  assert.equal(done.exit, 2);
});

test('a delete that would take along rows nobody planned is refused, while planning and while applying', async () => {
  const pets = table('pets', 'id! people_id note?', {
    foreignKeys: [reference('people_id', 'people', { onDelete: 'cascade' })],
  });
  const left = [memoryTable(people, '1,ann,a'), memoryTable(pets, '1,1,n')];
  const right = [memoryTable(people, '1,ann,a; 2,bob,b'), memoryTable(pets, '1,1,n; 2,2,old')];
  const alone = memoryPair(left, right);
  const refused = await synced(b.store, { ...alone, pairs: [{ source: 'people' }] });
  assert.equal(refused.sync.rejected, 1);
  assert.equal(refused.sync.planned.delete, 1);
  assert.match(refused.planned.summary.unfit_examples[0]!.reason, /would delete rows of pets .* not part of this plan/);
  assert.equal(alone.right.state.rows.get('people')!.length, 2);

  const p = memoryPair(left, right);
  const { plan } = await planned(b.store, p);
  p.right.edit('pets', () => rows('1,1,n; 2,2,a stranger wrote this'));
  const done = await applied(b.store, plan.header.id, p);
  assert.equal(done.result.numbers.moved, 1);
  assert.equal(done.result.numbers.rejected, 1);
  assert.deepEqual(p.right.state.rows.get('pets'), rows('1,1,n; 2,2,a stranger wrote this'));
  assert.equal(p.right.state.rows.get('people')!.length, 2);
});
