import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import type { memoryEndpoint } from '../../src/engines/memory/endpoint.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Key, Text } from '../../src/model/row.ts';
import { explain } from '../../src/work/explain.ts';
import { factsOf } from '../../src/work/recorded.ts';
import { revert } from '../../src/work/revert.ts';
import { showRun } from '../../src/work/runs.ts';
import { type Bench, bench, memoryPair, planned, synced } from './bench.ts';
import { memoryTable, rows, table } from './tables.ts';

let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());

const things = table('things', 'id! a? b? c?');
const { signal } = new AbortController();
const sorted = (found: readonly (readonly (string | null)[])[]): unknown =>
  found.toSorted((x, y) => Number(x[0]) - Number(y[0]));

const undo = (run: string, target: ReturnType<typeof memoryEndpoint>, only?: Key) =>
  revert({
    ...(only === undefined ? {} : { only: { key: only } }),
    store: b.store,
    run,
    target,
    facts: factsOf(target, 'target'),
    clock: systemClock,
    random: () => 0,
    signal,
    actor: 'tester',
    correlation: 'test',
  });

test('revert restores every row exactly, columns outside the comparison included', async () => {
  const p = memoryPair(
    [memoryTable(table('things', 'id! a? b?'), '1,x,y; 2,x,-; 4,n,n')],
    [memoryTable(things, '1,o,y,keep; 2,o,p,-; 3,gone,-,too')],
  );
  const before = p.right.state.rows.get('things')!;
  const done = await synced(b.store, p);
  assert.deepEqual(done.sync.applied, { insert: 1, update: 2, delete: 1 });
  assert.deepEqual(sorted(p.right.state.rows.get('things')!), rows('1,x,y,keep; 2,x,-,-; 4,n,n,-'));
  const back = await undo(done.run, p.target);
  assert.equal(back.exit, 0);
  assert.equal(back.keptCount, 0);
  assert.deepEqual(sorted(p.right.state.rows.get('things')!), sorted(before));
  const again = await undo(back.run, p.target);
  assert.equal(again.exit, 0, 'a revert can be reverted');
  assert.deepEqual(sorted(p.right.state.rows.get('things')!), rows('1,x,y,keep; 2,x,-,-; 4,n,n,-'));
});

test('one row of a run is taken back alone', async () => {
  const p = memoryPair(
    [memoryTable(table('things', 'id! a? b?'), '1,x,y; 2,x,-')],
    [memoryTable(things, '1,o,y,keep; 2,o,p,-')],
  );
  const done = await synced(b.store, p);
  const back = await undo(done.run, p.target, ['2' as Text]);
  assert.equal(back.exit, 0);
  assert.deepEqual(sorted(p.right.state.rows.get('things')!), rows('1,x,y,keep; 2,o,p,-'));
});

test('a key that the run never wrote is a mistake, and not a revert with nothing to do', async () => {
  const p = memoryPair(
    [memoryTable(table('things', 'id! a? b?'), '1,x,y; 2,x,-')],
    [memoryTable(things, '1,x,y,keep; 2,o,p,-')],
  );
  const done = await synced(b.store, p);
  for (const key of ['1', '02', '9']) {
    await assert.rejects(undo(done.run, p.target, [key as Text]), {
      code: 'NOT_FOUND',
      message: `Run ${done.run} wrote no row with the key ${key}: there is nothing to take back.`,
      hint: /The run wrote to: things/,
    });
  }
  assert.deepEqual(sorted(p.right.state.rows.get('things')!), rows('1,x,y,keep; 2,x,-,-'));
  // What was written and needs no taking back any more is another matter.
  await undo(done.run, p.target, ['2' as Text]);
  const again = await undo(done.run, p.target, ['2' as Text]);
  assert.deepEqual([again.exit, again.gone], [0, 1]);
});

test('random foreign edits after the run are kept cell by cell, everything else goes back', async () => {
  const cell = fc.constantFrom('p', 'q', 'r', null);
  const row = fc.tuple(cell, cell, cell);
  const tableRows = fc.dictionary(fc.integer({ min: 0, max: 9 }).map(String), row, { maxKeys: 10 });
  const edit = fc.tuple(
    fc.integer({ min: 0, max: 9 }).map(String),
    fc.option(fc.tuple(fc.integer({ min: 0, max: 2 }), fc.constantFrom('e1', 'e2'))),
  );
  await fc.assert(
    fc.asyncProperty(tableRows, tableRows, fc.array(edit, { maxLength: 6 }), async (source, target, edits) => {
      if (Object.keys(source).length === 0) return;
      const list = (d: Record<string, (string | null)[]>): (string | null)[][] =>
        Object.entries(d).map(([k, r]) => [k, ...r]);
      const p = memoryPair([{ table: things, rows: list(source) }], [{ table: things, rows: list(target) }]);
      const done = await synced(b.store, p);
      if (done.result === undefined) return;
      const written = new Map(p.right.state.rows.get('things')!.map((r) => [r[0]!, r]));
      for (const [key, change] of edits) {
        p.right.edit('things', (all) =>
          change === null
            ? all.filter((r) => r[0] !== key)
            : all.map((r) => (r[0] === key ? r.map((c, i) => (i === change[0] + 1 ? change[1] : c)) : r)),
        );
      }
      const edited = new Map(p.right.state.rows.get('things')!.map((r) => [r[0]!, r]));
      const back = await undo(done.run, p.target);
      const found = new Map(p.right.state.rows.get('things')!.map((r) => [r[0]!, r]));
      // An independent account of what must be there now.
      for (let i = 0; i <= 9; i++) {
        const k = String(i);
        const old = target[k] === undefined ? undefined : [k, ...target[k]];
        const ours = written.get(k as never);
        const now = edited.get(k as never);
        let want: readonly (string | null)[] | undefined;
        if (old !== undefined && ours !== undefined) want = now?.map((c, at) => (c === ours[at] ? old[at]! : c));
        else if (old === undefined && ours !== undefined) {
          const touched = now?.some((c, at) => c !== ours[at]);
          want = touched ? now : undefined;
        } else want = old;
        assert.deepEqual(found.get(k as never), want, `key ${k}`);
      }
      assert.equal(back.result?.numbers.moved ?? 0, 0);
    }),
    { numRuns: 60 },
  );
});

test('explain tells what both sides show and everything recorded of the key', async () => {
  const p = memoryPair([memoryTable(things, '1,x,y,z')], [memoryTable(things, '1,o,y,z')]);
  const done = await synced(b.store, p);
  p.right.edit('things', () => [['1', 'x', 'edited', 'z']]);
  const { pairs } = await planned(b.store, p);
  const story = await explain({
    pair: pairs[0]!,
    key: ['1'],
    source: p.source,
    target: p.target,
    store: b.store,
    signal,
  });
  assert.deepEqual(story.columns, ['b']);
  assert.deepEqual(
    story.trace.written.filter((w) => w.run.id === done.run).map((w) => w.outcome?.status),
    ['applied'],
  );
  const shown = await showRun(b.store, done.run, { signal, limit: 10 });
  assert.equal(shown.tally['update'], 1);
  assert.equal(shown.open, 0);
});
