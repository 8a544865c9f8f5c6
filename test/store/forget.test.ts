import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NewConflict } from '../../src/model/conflicts.ts';
import type { NewRun, Run, RunKind } from '../../src/model/runs.ts';
import { forgetOld } from '../../src/service/retention.ts';
import { freshStore } from './fresh-store.ts';
import { insert, item, newPlan, newRun, o, row } from './plain.ts';

const { store, database } = await freshStore();
const day = 86_400_000;
const now = Date.parse('2026-11-21T12:00:00Z');

/** An ended run of so many days ago. */
const ended = async (
  kind: RunKind,
  days: number,
  report: object = {},
  more: Partial<NewRun> & { exit?: number; items?: number; wrote?: boolean } = {},
): Promise<{ readonly run: Run; readonly plan: string }> => {
  const { exit = 0, items, wrote, ...facts } = more;
  const at = now - days * day;
  const run = await store.runs.create(newRun({ kind, sync: 'shop', started: at - 1000, ...facts }), o);
  const plan = newPlan({ run: run.id, sync: run.sync, created: at });
  if (items !== undefined) {
    await using writer = await store.plans.create(plan, o);
    await writer.add(
      Array.from({ length: items }, (_, i) => item(insert(String(i), 'a', 'b'))),
      o,
    );
    await writer.seal(o);
    await store.runs.update(run.id, { plan: plan.id }, o);
  }
  if (wrote) {
    await store.plans.claim(plan.id, run.id, at, o);
    await database.query(
      `insert into lockstep_control.step (run, step, plan, state, items, intended_at) values ($1, 1, $2, 'done', '{[1,2)}', now())`,
      [run.id, plan.id],
    );
  }
  await store.runs.finish(
    run.id,
    { state: exit < 3 ? 'done' : 'failed', exit, finished: at, report: report as never },
    o,
  );
  return { run, plan: plan.id };
};
const there = async (runs: readonly { readonly run: Run }[]): Promise<readonly boolean[]> =>
  Promise.all(runs.map(async ({ run }) => (await store.runs.get(run.id, o)) !== undefined));
/** Later runs of the same kind: the last hundred always stay. */
const laterRuns = (sync: string, kind: string, count = 100) =>
  database.query(
    `insert into lockstep_control.run (id, kind, state, sync, correlation, actor, started, finished, exit)
     select 'r_z' || $2 || $1 || i, $2, 'done', $1, 'c', 'me', now(), now(), 0 from generate_series(1, $3::int) i`,
    [sync, kind, count],
  );
const agrees = { verdict: 'agrees', pairs: [] };
const differs = { verdict: 'differs' };
const log = { info: () => {} };
const clock = { now: () => now };
const forget = (retention: { quiet?: number; runs?: number; changes?: number }) =>
  forgetOld({
    ...o,
    store,
    clock,
    log,
    retention: { quiet: undefined, runs: undefined, changes: undefined, ...retention },
  });

test('runs are forgotten by what is lost with them, and what revert needs stays until that is asked for', async () => {
  const quiet = await ended('diff', 3, agrees);
  const empty = await ended('sync', 3, agrees, { items: 0 });
  const young = await ended('diff', 0.5, agrees);
  const found = await ended('diff', 3, differs, { exit: 2 });
  const failed = await ended('sync', 3, {}, { exit: 21 });
  const planned = await ended('plan', 3, differs, { exit: 2, items: 2 });
  const wrote = await ended('sync', 300, { verdict: 'agrees', applied: { insert: 1 } }, { items: 1, wrote: true });
  const copied = await ended('copy', 300, {}, { sync: null });
  const undone = await ended('sync', 300, {}, { items: 1, wrote: true });
  await ended('revert', 1, {}, { parent: undone.run.id });
  const all = [quiet, empty, young, found, failed, planned, wrote, copied, undone];
  await forget({ quiet: day, runs: 90 * day });
  assert.deepEqual(await there(all), Array(9).fill(true), 'the last hundred of a sync and kind');
  for (const kind of ['diff', 'sync', 'plan', 'revert']) await laterRuns('shop', kind);

  await forget({ quiet: day, runs: 90 * day });
  assert.deepEqual(await there(all), [false, false, true, true, true, true, true, true, true]);
  assert.equal(await store.plans.get(empty.plan, o), undefined);
  assert.ok(await store.plans.get(planned.plan, o));

  await forget({ quiet: day, runs: 2 * day });
  assert.deepEqual(await there(all), [false, false, true, false, false, false, true, true, true]);
  assert.equal(await store.plans.get(planned.plan, o), undefined);
  await store.plans.verify(wrote.plan, o);
  assert.deepEqual(await store.audit.list({ limit: 9 }, o), []);

  await forget({ changes: 200 * day });
  // The reverted one goes after the run that reverts it, which wrote nothing here.
  assert.deepEqual(await there([young, wrote, copied, undone]), [true, false, false, true]);
  assert.equal(await store.plans.get(wrote.plan, o), undefined);
  assert.deepEqual(
    (await store.audit.list({ limit: 9 }, o)).map((e) => [e.actor, e.action, e.outcome]),
    [
      ['retention', 'runs.forget', 'done'],
      ['retention', 'runs.forget', 'intended'],
    ],
  );
  await forget({ changes: 200 * day });
  assert.equal((await store.audit.list({ limit: 9 }, o)).length, 2, 'nothing was there to be forgotten');
});

test('closed conflicts are forgotten with what was written, and those that wait stay', async () => {
  const met = (id: string, more: Partial<NewConflict> = {}): NewConflict => ({
    ...{ sync: 'shop', pair: 'p', run: 'r_1', key: row(id), type: 'update_update', columns: [], keyWidth: 1 },
    ...{ base: null, source: [], target: [], state: 'pending', reason: '' },
    ...more,
  });
  const at = now - 300 * day;
  const [waits] = await store.conflicts.record([met('1'), met('2', { state: 'ruled', result: null })], at, o);
  const [young] = await store.conflicts.record([met('3', { state: 'ruled', result: null })], now - day, o);
  await forget({ quiet: day, runs: day });
  assert.equal(await store.conflicts.count({ sync: 'shop' }, o), 3);
  await forget({ changes: 200 * day });
  const left = await store.conflicts.list({ sync: 'shop' }, o);
  assert.deepEqual(left.map((c) => c.id).toSorted(), [waits!.id, young!.id].toSorted());
  const [told] = await store.audit.list({ limit: 1 }, o);
  assert.deepEqual([told!.action, (told!.after as { conflicts: number }).conflicts], ['runs.forget', 1]);
});

test('a sync that migrated is a copy: its certificate, and what an interrupted one goes on with, stay', async () => {
  const certified = await ended('sync', 300, { verdict: 'agrees', phase: 'copy', certificate: {} }, { sync: 'move' });
  const broken = await ended('sync', 300, {}, { sync: 'move', exit: 21 });
  for (const { run } of [certified, broken])
    await store.runs.update(run.id, { checkpoint: { made: ['t'], steps: { t: [] }, refused: {}, leftOut: [] } }, o);
  const other = await ended('sync', 300, { verdict: 'differs' }, { sync: 'move', exit: 2 });
  await laterRuns('move', 'sync');
  await forget({ quiet: day, runs: 90 * day });
  assert.deepEqual(await there([certified, broken, other]), [true, true, false]);
});

test('what others still look at stays: the run of a state, a standing, a schedule, a repeated question; the last backups', async () => {
  const at = { sync: 'kept' };
  const state = await ended(
    'diff',
    9,
    { verdict: 'agrees', pairs: [{ source: 't', target: 't', coverage: { complete: true } }] },
    at,
  );
  await database.query(
    `insert into lockstep_control.pair_state select 'kept', 't', 't', $1, now(), now(), now(), true, 0, 0, 0, 0, 0, 0 on conflict do nothing`,
    [state.run.id],
  );
  const standing = await ended('diff', 9, agrees, at);
  await database.query(
    `insert into lockstep_control.standing (sync, pair, settings, marks, open, rows, run, at, full_run, full_at, runs)
     values ('kept', 't', 's', '{}', '[]', '{}', 'r_other', now(), $1, now(), 1)`,
    [standing.run.id],
  );
  const followed = await ended('diff', 9, agrees, at);
  await database.query(`insert into lockstep_control.schedule (sync, rule, last_after) values ('kept', '{}', $1)`, [
    followed.run.id,
  ]);
  const keyed = await ended('diff', 9, agrees, at);
  await database.query(`update lockstep_control.run set idempotency = 'k', trigger = 'api' where id = $1`, [
    keyed.run.id,
  ]);
  const backup = await ended('backup', 400, {}, { sync: null });
  const plain = await ended('diff', 9, agrees, at);
  await laterRuns('kept', 'diff');
  await forget({ quiet: day, runs: 90 * day });
  assert.deepEqual(await there([state, standing, followed, keyed, backup, plain]), [
    true,
    true,
    true,
    true,
    true,
    false,
  ]);
});
