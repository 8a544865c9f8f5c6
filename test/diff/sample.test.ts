import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import { LockstepError } from '../../src/model/errors.ts';
import { type CompareOptions, compare } from '../../src/work/compare.ts';
import { type Bench, bench, synced } from '../apply/bench.ts';
import { project } from '../transform/project.ts';
import { both, policyOf, twoDatabases } from '../two-way/bench.ts';
import { incrementalRuns, rule } from './incremental-runs.ts';
import { openSide } from './sides.ts';

const { signal } = new AbortController();

/** The keys that are only in the source, by a comparison with an empty table. */
const keysOf = async (o: Pick<CompareOptions, 'source' | 'target' | 'pairs'>) => {
  const keys: string[] = [];
  const report = await compare({
    ...o,
    settleMs: 0,
    clock: systemClock,
    seed: 7n,
    signal,
    sink: {
      wanted: () => Number.POSITIVE_INFINITY,
      write: async (_, differences) => void keys.push(...differences.map((d) => JSON.stringify(d.key))),
    },
  });
  return { keys, report };
};

const kinds: Readonly<Record<string, string>> = {
  n: 'i * 7919',
  t: `'käy ' || i`,
  u: `(lpad(to_hex(i), 8, '0') || '-0000-4000-8000-000000000000')::uuid`,
  m: `timestamp '2024-01-01' + i * interval '1 minute 1 second'`,
};

test('a sample is the same keys on both sides, in every run and on every engine, and a greater one keeps them', async () => {
  await using left = await openSide('postgres', 'left');
  await using right = await openSide('postgres', 'right');
  await using file = await openSide('sqlite', 'file');
  for (const [name, value] of Object.entries(kinds)) {
    await left.run(
      `create table ${name} as select ${value} as id, i % 3 as part, i as v from generate_series(1, 1000) i`,
    );
    await left.run(`alter table ${name} add primary key (id, part)`);
    await right.run(
      `create table ${name} (like x)`.replace(
        'like x',
        `id ${{ n: 'bigint', t: 'text', u: 'uuid', m: 'timestamp' }[name]!}, part int, v int, primary key (id, part)`,
      ),
    );
    const of = async (sample: number) =>
      (await keysOf({ source: left.endpoint, target: right.endpoint, pairs: [{ source: name, sample }] })).keys;
    const [five, twenty, all] = [await of(0.05), await of(0.2), await of(1)];
    assert.equal(all.length, 1000);
    assert.ok(five.length > 25 && five.length < 80, `5 % of 1,000 ${name}: ${five.length}`);
    assert.ok(twenty.length > 150 && twenty.length < 255, `20 % of 1,000 ${name}: ${twenty.length}`);
    assert.ok(
      five.every((key) => twenty.includes(key)),
      'those of the first sample are among them',
    );
    await right.run(`insert into ${name} select ${value}, i % 3, i from generate_series(1, 1000) i`);
    const same = await keysOf({
      source: left.endpoint,
      target: right.endpoint,
      pairs: [{ source: name, sample: 0.05 }],
    });
    assert.equal(same.report.pairs[0]!.identical, five.length, `${name}: both sides take the same`);
    assert.equal(same.keys.length, 0);
    assert.equal(same.report.verdict, 'incomplete', 'a sample that agrees says nothing of the rest');
    assert.match(same.report.coverage.not_compared[0]!.reason, /a sample of 5 % of its keys/);
  }
  // the database picks the rows on one side, this process on the other
  await file.run('create table n (id integer, part integer, v integer, primary key (id, part)) strict');
  await file.run(
    'with recursive g(i) as (select 1 union all select i + 1 from g where i < 1000) insert into n select i * 7919, i % 3, i from g',
  );
  const mixed = await keysOf({ source: left.endpoint, target: file.endpoint, pairs: [{ source: 'n', sample: 0.2 }] });
  assert.equal(mixed.keys.length, 0);
  assert.ok(mixed.report.pairs[0]!.identical > 150);
  // within a range of keys, and what a person looks up
  await left.run('update n set v = -v');
  const moved = await keysOf({ source: left.endpoint, target: file.endpoint, pairs: [{ source: 'n', sample: 0.2 }] });
  assert.equal(moved.keys.length, mixed.report.pairs[0]!.identical);
  await assert.rejects(
    async () => {
      await left.run('create table loose (a int)');
      await right.run('create table loose (a int)');
      await keysOf({ source: left.endpoint, target: right.endpoint, pairs: [{ source: 'loose', sample: 0.2 }] });
    },
    (error) => error instanceof LockstepError && error.code === 'KEY_MISSING',
  );
});

let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());

test('a pilot writes and deletes only in its sample, and widening it does the rest', async () => {
  await using p = await twoDatabases('create table t (id int primary key, v text)');
  await p.left.query(`insert into t select i, 'new' from generate_series(1, 2000) i`);
  await p.right.query(`insert into t select i, 'old' from generate_series(1001, 3000) i`);
  const run = (sample: number, maxDeletes = 1e9) =>
    synced(b.store, { ...p, pairs: [{ source: 't', sample }], guards: { maxDeletes } });
  const state = async () => {
    const { rows } = await p.right.query(`select id, v from t order by id`);
    return new Map(rows.map((r) => [r.id as number, r.v as string]));
  };
  const first = await run(0.05);
  assert.equal(first.exit, 25, 'never green');
  assert.equal(first.sync.verdict, 'incomplete');
  const { insert, update, delete: deleted } = first.sync.applied;
  for (const n of [insert, update, deleted]) assert.ok(n > 20 && n < 90, `${n} of 1,000`);
  const piloted = await state();
  assert.equal([...piloted.keys()].filter((id) => id > 2000).length, 1000 - deleted, 'the others are still there');
  assert.equal([...piloted].filter(([id, v]) => id > 1000 && id <= 2000 && v === 'old').length, 1000 - update);
  const again = await run(0.05);
  assert.deepEqual(again.sync.planned, { insert: 0, update: 0, delete: 0, withheld: 0 });
  assert.equal(again.exit, 25);
  // the guard of deletes counts the sample's, and not the table's
  const wider = await run(0.2, 300);
  assert.ok(wider.sync.applied.insert > insert);
  const wide = await state();
  assert.ok([...piloted].every(([id, v]) => v !== 'new' || wide.get(id) === 'new'));
  const all = await run(1);
  assert.equal(all.exit, 0);
  assert.equal(all.sync.verdict, 'agrees');
  const end = await state();
  assert.equal(end.size, 2000);
  assert.ok([...end.values()].every((v) => v === 'new'));
});

test('a row whose parent is outside the sample waits, and is written when the parent is there', async () => {
  const ddl = `create table parents (id int primary key, name text);
    create table children (id int primary key, parent_id int references parents, note text)`;
  await using p = await twoDatabases(ddl);
  await p.left.query(`insert into parents select i, 'p' from generate_series(1, 300) i;
    insert into children select i, 1 + i % 300, 'c' from generate_series(1, 300) i;
    insert into children values (301, null, 'orphan')`);
  const pairs = (sample: number, parents = sample) => [
    { source: 'parents', sample: parents },
    { source: 'children', sample },
  ];
  const first = await synced(b.store, { ...p, pairs: pairs(0.2) });
  assert.equal(first.exit, 2);
  assert.equal(first.sync.rejected, first.sync.does_not_fit, 'the database was not asked to refuse them');
  assert.ok(first.sync.does_not_fit > 20);
  assert.match(
    first.planned.summary.unfit_examples[0]!.reason,
    /refers to \d+ of public\.parents, which is outside the sample/,
  );
  const written = Number((await p.right.query('select count(*) from children')).rows[0]!.count);
  assert.ok(written > 0);
  // parents in full, children as a sample
  const next = await synced(b.store, { ...p, pairs: pairs(0.2, 1) });
  assert.equal(next.sync.does_not_fit, 0);
  assert.equal(next.exit, 25);
  assert.equal(next.sync.applied.insert, 300 - first.sync.applied.insert + written + first.sync.does_not_fit);
  const all = await synced(b.store, { ...p, pairs: pairs(1) });
  assert.equal(all.exit, 0);
});

test('an incremental comparison looks at the changed rows of its sample, and at all of a wider one', async () => {
  await using left = await openSide('postgres', 'left');
  await using right = await openSide('postgres', 'right');
  for (const side of [left, right]) {
    await side.run('create table t (id int primary key, v int)');
    await side.run('insert into t select i, i from generate_series(1, 1000) i');
  }
  const runs = incrementalRuns(left.endpoint, right.endpoint);
  const run = (sample: number) => runs.run(rule('xmin'), { pairs: [{ source: 't', sample }] });
  const first = await run(0.2);
  assert.equal(first.facts.mode, 'full');
  await left.run('update t set v = -v where id <= 500');
  const second = await run(0.2);
  assert.equal(second.facts.mode, 'changes');
  const { keys } = second;
  assert.ok(keys.length > 60 && keys.length < 145, String(keys.length));
  assert.ok(keys.every((key) => Number(key) <= 500));
  // xmin shows more than was changed while others write to the server, never more than the sample
  const looked = second.facts.changed!.source;
  assert.ok(looked >= keys.length && looked < 300, 'changed rows outside the sample are not looked at');
  const wider = await run(0.4);
  assert.equal(wider.facts.mode, 'full', 'what was not looked at before may differ');
  assert.ok(keys.every((key) => wider.keys.includes(key)) && wider.keys.length > keys.length);
});

test('two ways: widening meets the new keys as agreed or new, and narrowing forgets nothing', async () => {
  await using p = await twoDatabases(`create table t (id int primary key, v text);
    insert into t select i, 'same' from generate_series(1, 1000) i`);
  const run = (sample: number) =>
    both(b.store, { ...p, sync: 'piloted', policy: policyOf(), pairs: [{ source: 't', sample }] });
  const first = await run(0.05);
  assert.equal(first.exit, 25);
  assert.equal(first.sync.verdict, 'incomplete');
  await p.left.query(`update t set v = 'left' where id % 2 = 0`);
  const second = await run(0.05);
  const few = second.sync.sides.target!.applied.update;
  assert.ok(few > 5 && few < 60, String(few));
  assert.equal(second.sync.waiting, 0);
  // rows that were outside have no history: they differ, and nobody knows who edited them
  const wider = await run(0.2);
  assert.equal(wider.sync.sides.target?.applied.update ?? 0, 0);
  assert.ok(wider.sync.waiting > 40);
  const between = await run(0.05);
  assert.equal(between.sync.waiting, wider.sync.waiting, 'what waits outside a sample is not closed by it');
  await p.right.query(`update t set v = 'left' where id % 2 = 0`);
  const agreed = await run(0.2);
  assert.equal(agreed.sync.waiting, 0);
  // those of the wider sample are known now
  await p.right.query(`update t set v = 'right'`);
  const third = await run(0.2);
  const many = third.sync.sides.source!.applied.update;
  assert.ok(many > 140 && many < 270, String(many));
  assert.equal(third.sync.waiting, 0);
  // a narrow run between: a row outside it that is deleted on one side is deleted later, and does not come back
  const { rows } = await p.left.query(`select id from t where v = 'right'`);
  const narrow = await run(0.01);
  assert.equal(narrow.sync.planned.delete, 0);
  const gone = rows.filter((row) => row.id % 3 === 0);
  await p.left.query(`delete from t where v = 'right' and id % 3 = 0`);
  const whole = await run(0.2);
  assert.equal(whole.sync.sides.target!.applied.delete, gone.length);
  assert.equal(whole.sync.sides.source?.applied.insert ?? 0, 0);
});

test('invalid rows outside the sample stay in quarantine, and those that were mended leave it', async () => {
  await using p = await project('sqlite', 'sqlite');
  for (const side of [p.source, p.target]) await side.run('create table t (id integer primary key, n integer) strict');
  const ids = Array.from({ length: 100 }, (_, i) => i + 1);
  await p.source.run(`insert into t values ${ids.map((id) => `(${id}, -1)`).join(', ')}`);
  p.pairs('[{ source: t, validate: { n: { min: 0 } } }]');
  const quarantined = async (): Promise<number> =>
    (await p.json('quarantine', 'list', '--limit', '1000')).json.rows.length;
  await p.run('sync', 's', '--yes');
  assert.equal(await quarantined(), 100);
  await p.source.run('update t set n = 1 where id <= 10');
  const some = await p.run('sync', 's', '--yes', '--sample', '20%');
  assert.equal(some.code, 25, some.stderr + some.stdout);
  assert.equal(await quarantined(), 90);
});
