import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CompareReport } from '../../src/model/report.ts';
import { o } from '../store/plain.ts';
import { project, until } from './project.ts';

/** Above what is compared as a whole (see `cut-ranges.ts`). */
const rows = 210_000;
const p = await project(`  ab:
    source: source
    target: target
    mode: mirror
    pairs: [t]
    settle: 1s
    guards: { max_changes: 1000, max_change_ratio: 100%, max_deletes: 1000 }
`);
const { source, target, store, control } = p;
await Promise.all(
  [source, target].map(async (db) => {
    await db.query('create table t (id int primary key, v text)');
    await db.query(`insert into t select i, 'value ' || i from generate_series(1, ${rows}) i; analyze t`);
  }),
);
const damage = async (): Promise<void> => {
  await target.query(`update t set v = 'other' where id % 3000 = 1`);
  await target.query(`delete from t where id % 7000 = 0`);
  await target.query(`insert into t select -i, 'extra' from generate_series(1, 20) i`);
};
await damage();

/** Processes that have segments of a run in hand. */
const holders = async (run: string): Promise<readonly number[]> => {
  const { rows: found } = await control.query(
    'select distinct worker from lockstep_control.segment g join lockstep_control.segment_set s on s.id = g.segment_set where run = $1 and worker is not null and result is null',
    [run],
  );
  return found.map(({ worker }) => Number(/process (\d+)$/.exec(worker)![1]));
};

const found = async (run: string): Promise<Record<string, number>> => {
  const kinds: Record<string, number> = {};
  const keys = new Set<string>();
  for await (const batch of store.differences.list(run, {}, o))
    for (const { difference: d } of batch) {
      kinds[d.kind] = (kinds[d.kind] ?? 0) + 1;
      keys.add(d.key.join());
    }
  assert.equal(
    keys.size,
    Object.values(kinds).reduce((a, b) => a + b, 0),
    'a difference was counted twice',
  );
  return kinds;
};
const expected = { only_in_source: 30, only_in_target: 20, different: 70 };

test('workers share the comparison of a large table, and each may be killed while they do', async () => {
  const workers = new Map(
    ['a', 'b', 'c'].map(() => {
      const one = p.start('worker');
      return [one.child.pid!, one];
    }),
  );
  await until(async () => (await store.segments.members(o)) === 3);
  const run = await p.request({ kind: 'diff', sync: 'ab' });
  const owned = async (): Promise<number> =>
    Number(/process (\d+)$/.exec((await store.runs.get(run.id, o))?.asked?.worker ?? '')?.[1]);
  const kill = async (pid: number): Promise<void> => {
    const one = workers.get(pid)!;
    workers.delete(pid);
    one.child.kill('SIGKILL');
    assert.equal(await one.ended, 'SIGKILL');
  };
  // one that only helps, then the one whose run it is: both have segments in hand, which have yet to settle
  const helping = await until(async () => {
    const at = await holders(run.id);
    const owner = await owned();
    return at.includes(owner) && at.find((pid) => pid !== owner);
  });
  await kill(helping);
  await kill(await owned());
  const [left] = workers.keys();
  const ended = await p.ends(run.id);
  assert.equal(ended.state, 'done', JSON.stringify(ended.error));
  assert.equal(ended.asked!.attempt, 2);
  assert.match(ended.asked!.worker!, new RegExp(`process ${left}$`));
  const report = ended.report as unknown as CompareReport;
  const [pair] = report.pairs;
  assert.equal(report.verdict, 'differs');
  assert.ok(pair!.ranges!.length > 2, 'it was compared as a whole');
  assert.deepEqual(pair!.rows, { source: rows, target: rows - 30 + 20 });
  assert.equal(pair!.identical, rows - 70 - 30);
  assert.deepEqual(await found(run.id), expected);
  assert.equal((await control.query('select count(*)::int as n from lockstep_control.segment_set')).rows[0].n, 0);

  // a plan is made of what several found, too
  p.start('worker');
  await until(async () => (await store.segments.members(o)) === 2);
  const sync = await p.request({ kind: 'sync', sync: 'ab' });
  const synced = await p.ends(sync.id);
  assert.equal(synced.state, 'done', JSON.stringify(synced.error));
  const of = (db: typeof source) =>
    db.query(`select count(*)::int as n, sum(hashtextextended(t::text, 0)) as sum from t`).then((r) => r.rows[0]);
  assert.deepEqual(await of(target), await of(source));
  assert.deepEqual(await store.queue.depth('segment', o).then((d) => d.active), 0);
});
