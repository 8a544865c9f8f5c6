import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Difference } from '../../src/model/change.ts';
import type { DifferencePair } from '../../src/model/differences.ts';
import type { Publication } from '../../src/model/published.ts';
import { freshStore } from './fresh-store.ts';
import { hostile, newRun, o, row } from './plain.ts';

const { store, database } = await freshStore();
const day = 86_400_000;

const pair = (name: string, keyWidth = 1): DifferencePair => ({
  name,
  target: name.toUpperCase(),
  columns: ['id', 'name'].map((column) => ({ source: column, target: column, as: { kind: 'text' } })),
  keyWidth,
});
const added = (id: string, name: string | null = 'a'): Difference => ({
  kind: 'only_in_source',
  key: row(id),
  source: row(id, name),
  target: null,
});
const deleted = (id: string): Difference => ({
  kind: 'only_in_target',
  key: row(id),
  source: null,
  target: row(id, 'a'),
});
const modified = (id: string, source: string | null, target: string | null): Difference => ({
  kind: 'different',
  key: row(id),
  source: row(id, source),
  target: row(id, target),
  columns: [1],
});

/** A run of `sync` that found these, per pair, not yet published. `change`: of what is to be published. */
const found = async (
  sync: string,
  differences: Readonly<Record<string, readonly Difference[]>>,
  change: Partial<Publication> = {},
  keyWidth = 1,
): Promise<Publication> => {
  const { id: run } = await store.runs.create(newRun({ kind: 'diff', sync }), o);
  const names = Object.keys(differences);
  const pairs = names.map((name) => pair(name, keyWidth));
  await using writer = await store.differences.writer(run, pairs, o);
  for (const name of names) await writer.add(name, differences[name]!, o);
  await writer.flush(o);
  const count = (name: string, kind: Difference['kind']): number =>
    differences[name]!.filter((d) => d.kind === kind).length;
  return {
    run,
    sync,
    at: Date.UTC(2026, 0, 1),
    verdict: 'differs',
    complete: true,
    whole: true,
    pairs: names.map((name) => ({
      name,
      new: count(name, 'only_in_source'),
      modified: count(name, 'different'),
      deleted: count(name, 'only_in_target'),
    })),
    max: 1_000_000,
    historyMs: 90 * day,
    ...change,
  };
};

const compared = async (...args: Parameters<typeof found>) => {
  const publication = await found(...args);
  return { run: publication.run, publication, published: await store.published.publish(publication, o) };
};

const now = async (sync: string): Promise<string[]> => {
  const { rows } = await database.query(
    `select pair, change, coalesce(key->>'id', '-') as id from lockstep_control.differences where sync = $1 order by 1, 3, 2`,
    [sync],
  );
  return rows.map((r) => `${r.pair} ${r.change} ${r.id}`);
};
const ofRun = async (run: string): Promise<string[]> => {
  const { rows } = await database.query(
    `select pair, change, key->>'id' as id from lockstep_control.run_differences where run = $1 order by 1, 3, 2`,
    [run],
  );
  return rows.map((r) => `${r.pair} ${r.change} ${r.id}`);
};

test('the views show what the last comparison found, what each found, and since when', async () => {
  const first = await compared('s', { a: [added('1'), modified('2', 'x', null), deleted('3')], b: [added('9')] });
  assert.deepEqual(first.published, { status: 'shown' });
  assert.deepEqual(await now('s'), ['a new 1', 'a modified 2', 'a deleted 3', 'b new 9']);
  const later = Date.UTC(2026, 0, 2);
  const second = await compared('s', { a: [added('1'), modified('2', 'y', null)], b: [added('9')] }, { at: later });
  assert.deepEqual(await now('s'), ['a new 1', 'a modified 2', 'b new 9']);
  assert.deepEqual(await ofRun(first.run), ['a new 1', 'a modified 2', 'a deleted 3', 'b new 9']);
  assert.deepEqual(await ofRun(second.run), ['a new 1', 'a modified 2', 'b new 9']);
  const { rows } = await database.query(
    `select key->>'id' as id, run, detected_run, detected_at, compared_at, cells, target_table, kind
     from lockstep_control.differences where sync = 's' and pair = 'a' order by 1`,
  );
  const at = new Date(later);
  const common = { run: second.run, compared_at: at, target_table: 'A' };
  assert.deepEqual(rows, [
    {
      ...{ ...common, id: '1', kind: 'only_in_source', detected_run: first.run },
      detected_at: new Date(Date.UTC(2026, 0, 1)),
      cells: { id: { source: '1' }, name: { source: 'a' } },
    },
    {
      ...{ ...common, id: '2', kind: 'different', detected_run: second.run, detected_at: at },
      cells: { name: { source: 'y', target: null } },
    },
  ]);
  const gone = await database.query(
    `select key->>'id' as id, gone_run from lockstep_control.difference_history where sync = 's' and gone_at is not null order by 1`,
  );
  assert.deepEqual(gone.rows, [
    { id: '2', gone_run: second.run },
    { id: '3', gone_run: second.run },
  ]);
  const comparisons = await database.query(
    `select run, new_rows::int, modified_rows::int, deleted_rows::int, latest from lockstep_control.comparisons where sync = 's' order by compared_at`,
  );
  assert.deepEqual(comparisons.rows, [
    { run: first.run, new_rows: 2, modified_rows: 1, deleted_rows: 1, latest: false },
    { run: second.run, new_rows: 2, modified_rows: 1, deleted_rows: 0, latest: true },
  ]);
});

test('a comparison that finds the same writes no rows', async () => {
  const same = { a: [added('1'), deleted('3')] };
  await compared('same', same);
  const versions = async () =>
    (await database.query(`select ctid::text, xmin::text from lockstep_control.difference_row where sync = 'same'`))
      .rows;
  const before = await versions();
  assert.equal(before.length, 2);
  await compared('same', same);
  assert.deepEqual(await versions(), before);
});

test('a comparison of some pairs leaves the others as they were; one of all forgets pairs that are left out', async () => {
  const whole = await compared('parts', { a: [added('1')], b: [added('2')], c: [added('3')] });
  const part = await compared('parts', { b: [deleted('4')] }, { whole: false });
  assert.deepEqual(await now('parts'), ['a new 1', 'b deleted 4', 'c new 3']);
  assert.deepEqual(await ofRun(part.run), ['b deleted 4']);
  const { rows } = await database.query(
    `select pair, run from lockstep_control.differences where sync = 'parts' order by 1`,
  );
  assert.deepEqual(
    rows.map((r) => r.run),
    [whole.run, part.run, whole.run],
  );
  await compared('parts', { a: [added('1')], b: [] });
  assert.deepEqual(await now('parts'), ['a new 1']);
});

test('a comparison that was not kept whole, or found too many, changes nothing that is shown', async () => {
  const first = await compared('many', { a: [added('1')] });
  const pairs = [{ name: 'a', new: 3, modified: 0, deleted: 0 }];
  const cut = await compared('many', { a: [added('1'), added('2')] }, { pairs });
  assert.deepEqual(cut.published, { status: 'not_whole', found: 3 });
  const tooMany = await compared('many', { a: [added('5'), added('6')] }, { max: 1 });
  assert.deepEqual(tooMany.published, { status: 'not_whole', found: 2 });
  assert.deepEqual(await now('many'), ['a new 1']);
  assert.deepEqual(await ofRun(cut.run), []);
  const { rows } = await database.query(
    `select run, shown, latest, new_rows::int from lockstep_control.comparisons where sync = 'many' order by run`,
  );
  assert.deepEqual(rows, [
    { run: first.run, shown: true, latest: true, new_rows: 1 },
    { run: cut.run, shown: false, latest: false, new_rows: 3 },
    { run: tooMany.run, shown: false, latest: false, new_rows: 2 },
  ]);
});

test('a comparison that began earlier does not replace a later one; the same one twice is one', async () => {
  const early = await compared('order', { a: [added('1')] });
  const late = await compared('order', { a: [added('2')] });
  assert.deepEqual(await store.published.publish(early.publication, o), { status: 'older', run: late.run });
  assert.deepEqual(await store.published.publish(late.publication, o), { status: 'shown' });
  assert.deepEqual(await now('order'), ['a new 2']);
  const { rows } = await database.query(
    `select count(*)::int as n from lockstep_control.comparisons where sync = 'order'`,
  );
  assert.deepEqual(rows, [{ n: 2 }]);
});

test('comparisons that publish at the same time leave the state of the last one', async () => {
  const begun: Publication[] = [];
  for (const id of ['1', '2', '3', '4', '5', '6']) begun.push(await found('together', { a: [added(id), added('0')] }));
  const published = await Promise.all(begun.toReversed().map((p) => store.published.publish(p, o)));
  assert.deepEqual(published[0], { status: 'shown' });
  assert.deepEqual(await now('together'), ['a new 0', 'a new 6']);
  for (const [i, p] of begun.entries())
    assert.deepEqual(await ofRun(p.run), published.at(-1 - i)!.status === 'shown' ? ['a new 0', `a new ${i + 1}`] : []);
});

test('of rows without a key, each surplus copy is one difference', async () => {
  const copy: Difference = { kind: 'only_in_source', key: row('1', 'a'), source: row('1', 'a'), target: null };
  const other: Difference = { kind: 'only_in_target', key: row('2', 'a'), source: null, target: row('2', 'a') };
  await compared('copies', { a: [copy, copy, copy, other] }, {}, 0);
  assert.deepEqual(await now('copies'), ['a deleted -', 'a new -', 'a new -', 'a new -']);
  await compared('copies', { a: [copy] }, {}, 0);
  assert.deepEqual(await now('copies'), ['a new -']);
});

test('hostile keys, cells and names are stored, each as itself', async () => {
  const cells = [...hostile, null];
  const rowsOf = cells.map((text, i) => added(String(i), text));
  const keyed = hostile.map((text) => added(text, 'k'));
  await compared("o'sync\0", { 'a"b': rowsOf, 'c\ud800': keyed });
  const { rows } = await database.query(
    `select cells->'name'->'source' as cell from lockstep_control.differences
     where sync = E'o\\'sync\ufffd' and pair = 'a"b' order by (key->>'id')::int`,
  );
  assert.equal(rows.length, cells.length);
  assert.equal(new Set(rows.map((r) => JSON.stringify(r.cell))).size, cells.length);
  const keys = await database.query(`select distinct key from lockstep_control.differences where pair = 'c\ufffd'`);
  assert.equal(keys.rows.length, hostile.length);
});

test('what is gone is forgotten after its time, and what stands is not', async () => {
  const start = Date.UTC(2026, 0, 1);
  const at = (days: number) => ({ at: start + days * day, historyMs: 10 * day });
  await compared('old', { a: [added('1'), added('2')], b: [added('8')] }, at(0));
  await compared('old', { a: [added('1')] }, { ...at(1), whole: false });
  await compared('old', { a: [added('1')] }, { ...at(5), whole: false });
  const counts = async () =>
    (
      await database.query(
        `select (select count(*)::int from lockstep_control.comparisons where sync = 'old') as comparisons,
                (select count(*)::int from lockstep_control.difference_history where sync = 'old') as differences`,
      )
    ).rows[0];
  assert.deepEqual(await counts(), { comparisons: 3, differences: 3 });
  await compared('old', { a: [added('1')] }, { ...at(12), whole: false });
  // The first one is still the last one of pair b.
  assert.deepEqual(await counts(), { comparisons: 3, differences: 2 });
  assert.deepEqual(await now('old'), ['a new 1', 'b new 8']);
  await compared('old', { a: [added('1')], b: [added('8')] }, at(30));
  assert.deepEqual(await counts(), { comparisons: 1, differences: 2 });
  assert.deepEqual(await now('old'), ['a new 1', 'b new 8']);
});

test('an account that may only see the views sees them and nothing else', async () => {
  const role = `reader_${process.pid}_${Date.now().toString(36)}`;
  await database.query(`create role ${role}; grant usage on schema lockstep_control to ${role};
    grant select on lockstep_control.differences to ${role}`);
  try {
    await compared('seen', { a: [added('1')] });
    const seen = await database.query(
      `set role ${role}; select count(*)::int as n from lockstep_control.differences where sync = 'seen'`,
    );
    assert.deepEqual((seen as unknown as { rows: unknown[] }[])[1]!.rows, [{ n: 1 }]);
    await assert.rejects(database.query('select * from lockstep_control.difference_row'), /permission denied/);
  } finally {
    await database.query(`reset role; drop owned by ${role}; drop role ${role}`);
  }
});

test('what fails on the way leaves what was shown', async () => {
  await compared('safe', { a: [added('1')] });
  await database.query(
    `create function pg_temp.refuse() returns trigger language plpgsql as 'begin raise exception $$no$$; end'`,
  );
  await database.query(`create trigger refuse before insert on lockstep_control.comparison
    for each row when (new.sync = 'safe') execute function pg_temp.refuse()`);
  await assert.rejects(compared('safe', { a: [added('2')] }), /no/);
  await database.query('drop trigger refuse on lockstep_control.comparison');
  assert.deepEqual(await now('safe'), ['a new 1']);
  await compared('safe', { a: [added('2')] });
  assert.deepEqual(await now('safe'), ['a new 2']);
});
