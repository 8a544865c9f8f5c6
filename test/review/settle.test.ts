import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare } from '../../src/work/compare.ts';
import { type Database, database, type EngineName, engineNames } from '../acceptance/databases.ts';
import { compareAll, heldClock } from '../diff/tables.ts';

/** What is found on neither side when a difference is read again. */

const ways = ['digest', 'hashes', 'rows'] as const;
const table = 'create table t (id int primary key not null, state text, note text);';
const rows = (n: number): string =>
  `insert into t values ${Array.from({ length: n }, (_, i) => `(${i + 1}, 'open', 'n${i + 1}')`).join(', ')};`;

interface Sides extends AsyncDisposable {
  readonly source: Database;
  readonly target: Database;
}
const sides = async (engine: EngineName, source: string, target: string): Promise<Sides> => {
  await using scope = new AsyncDisposableStack();
  const s = scope.use(await database(engine));
  const t = scope.use(await database(engine));
  await s.run(source);
  await t.run(target);
  const all = scope.move();
  return { source: s, target: t, [Symbol.asyncDispose]: () => all.disposeAsync() };
};
/** Once, while differences settle. */
const meanwhile = (work: () => Promise<void>) => {
  let done = false;
  return heldClock(async () => {
    if (done) return;
    done = true;
    await work();
  });
};

for (const engine of engineNames) {
  for (const force of ways) {
    test(`${engine}: a row that went on both sides meanwhile is agreed on, and no other difference is lost (${force})`, async () => {
      await using s = await sides(
        engine,
        `${table}${rows(50)} update t set note = 'x' where id in (7, 9);`,
        table + rows(50),
      );
      await using a = await s.source.connect('a');
      await using b = await s.target.connect('b');
      const clock = meanwhile(async () => {
        await s.source.run('delete from t where id = 7');
        await s.target.run('delete from t where id = 7');
      });
      const { report, pair, differences } = await compareAll(a, b, { clock, settleMs: 1000, force });
      assert.equal(report.verdict, 'differs');
      assert.deepEqual(
        differences.map((d) => d.key),
        [['9']],
      );
      assert.deepEqual([pair.identical, pair.in_flight, pair.rows], [48, 0, { source: 49, target: 49 }]);
    });

    test(`${engine}: a row that left the condition on both sides is not compared any more; on one side it is in flight (${force})`, async () => {
      await using s = await sides(
        engine,
        `${table}${rows(50)} update t set note = 'x' where id in (7, 9);`,
        table + rows(50),
      );
      await using a = await s.source.connect('a');
      await using b = await s.target.connect('b');
      const clock = meanwhile(async () => {
        await s.source.run("update t set state = 'shut' where id in (7, 9)");
        await s.target.run("update t set state = 'shut' where id = 7");
      });
      const pairs = [{ source: 't', filter: { source: "state = 'open'", target: "state = 'open'" } }];
      const { report, pair, differences } = await compareAll(a, b, { clock, settleMs: 1000, force, pairs });
      // Row 9 has moved since it was found: in flight, not confirmed, and the run is not green.
      assert.deepEqual([report.verdict, differences, pair.in_flight], ['incomplete', [], 1]);
      assert.deepEqual([pair.identical, pair.rows], [48, { source: 48, target: 49 }]);
    });

    test(`${engine}: a key of several rows that went on both sides is agreed on; what is left of one is compared (${force})`, async () => {
      const loose = 'create table t (id int not null, state text, note text);';
      const twice = "insert into t values (7, 'a', 'b'), (9, 'a', 'b');";
      await using s = await sides(engine, loose + rows(50) + twice, loose + rows(50));
      await using a = await s.source.connect('a');
      await using b = await s.target.connect('b');
      const clock = meanwhile(async () => {
        await s.source.run('delete from t where id = 7');
        await s.target.run('delete from t where id = 7');
        await s.source.run("delete from t where id = 9 and state = 'open'");
      });
      const pairs = [{ source: 't', key: ['id'] }];
      // Row 20 differs: without a suspect nothing is read again.
      await s.target.run("update t set note = 'x' where id = 20");
      const { report, pair, differences } = await compareAll(a, b, { clock, settleMs: 1000, force, pairs });
      assert.notEqual(report.verdict, 'agrees');
      assert.ok(differences.some((d) => d.key[0] === '20'));
      // A key that was seen twice is told as such, or compared as it is now; it is never taken for identical.
      assert.equal(pair.identical, 47);
      assert.ok(pair.duplicate_key + differences.filter((d) => d.key[0] === '9').length >= 1);
    });
  }
}

test('what stops a comparison is told, though another table is being read', async () => {
  const two = 'create table t (id int primary key, v text); create table u (id int primary key, v text);';
  const fill = (v: string): string =>
    ['t', 'u'].map((t) => `insert into ${t} select i, '${v}' from generate_series(1, 20000) i;`).join('');
  await using s = await sides('postgres', two + fill('a'), two + fill('b'));
  await using a = await s.source.connect('a');
  await using b = await s.target.connect('b');
  const full = new Error('the disk is full');
  await assert.rejects(
    compare({
      source: a,
      target: b,
      settleMs: 0,
      clock: heldClock(),
      seed: 1n,
      signal: new AbortController().signal,
      sink: {
        wanted: () => 10,
        write: async () => {
          throw full;
        },
      },
    }),
    (error) => error === full,
  );
});
