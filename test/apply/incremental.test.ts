import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import type { IncrementalRule } from '../../src/model/incremental.ts';
import type { Store } from '../../src/model/store.ts';
import { factsOf } from '../../src/work/recorded.ts';
import { saveDiff } from '../../src/work/save-diff.ts';
import { sync } from '../../src/work/sync.ts';
import { rule } from '../diff/incremental-runs.ts';
import { keeping } from '../diff/tables.ts';
import { type Bench, bench, memoryPair } from './bench.ts';
import { memoryTable, table } from './tables.ts';

let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());

const signal = new AbortController().signal;
const byVersion = rule('rev_id', { overlapCount: 0 });
const shape = table('things', 'id! name rev_id');
const many = (n: number): string => Array.from({ length: n }, (_, i) => `${i + 1},n${i + 1},${i + 1}`).join('; ');

/** A configured sync over two equal tables, and the use cases on it. */
const configured = (name: string, n = 300) => {
  const p = memoryPair([memoryTable(shape, many(n))], [memoryTable(shape, many(n))]);
  const facts = { source: factsOf(p.source, 'source'), target: factsOf(p.target, 'target') };
  const asked = {
    actor: 'test',
    correlation: 'c',
    sync: name,
    facts,
    settleMs: 0,
    clock: systemClock,
    seed: 7n,
    signal,
  };
  let rev = n;
  return {
    ...p,
    diff: async (
      store: Store = b.store,
      incremental: { rule: IncrementalRule; full?: string } = { rule: byVersion },
    ) => {
      const sink = keeping();
      const saved = await saveDiff({
        ...asked,
        store,
        source: p.source,
        target: p.target,
        incremental,
        sink,
        exitOf: () => 0,
      });
      return { ...saved, pair: saved.compared.pairs[0]!, keys: sink.kept.map((d) => d.key.join()) };
    },
    sync: (more: Partial<Parameters<typeof sync>[0]> = {}) =>
      sync({
        ...asked,
        store: b.store,
        source: p.source,
        target: p.target,
        incremental: { rule: byVersion },
        mode: 'mirror',
        guards: { maxChanges: 500, maxChangeRatio: 0.5, maxDeletes: 10, emptySource: 'stop' },
        settings: {},
        random: () => 0,
        ...more,
      }),
    write: (db: typeof p.left, ...ids: readonly number[]) =>
      db.edit('things', (rows) => [
        ...rows.filter((row) => !ids.includes(Number(row[0]))),
        ...ids.map((id) => [String(id), `new ${id}`, String(++rev)]),
      ]),
    remove: (db: typeof p.left, ...ids: readonly number[]) =>
      db.edit('things', (rows) => rows.filter((row) => !ids.includes(Number(row[0])))),
  };
};

test('sync writes what has changed, verifies it, and the next one starts from there', async () => {
  const s = configured('plain');
  const first = await s.sync();
  assert.equal(first.sync.incremental?.[0]?.mode, 'full');
  s.write(s.left, 3, 301);
  s.remove(s.left, 5);
  const second = await s.sync();
  assert.equal(second.sync.incremental?.[0]?.mode, 'changes');
  assert.deepEqual(second.sync.applied, { insert: 1, update: 1, delete: 1 });
  assert.equal(second.sync.verdict, 'agrees');
  assert.equal(second.exit, 0);
  const third = await s.sync();
  assert.equal(third.sync.verdict, 'agrees');
  assert.equal(third.planned.plan.header.counts.update, 0);
  const proof = await s.diff(b.store, { rule: byVersion, full: 'proof' });
  assert.equal(proof.compared.verdict, 'agrees');
  assert.equal(proof.pair.incremental?.missed, 0);
});

test('diff and sync of one sync start from each other; what was withheld or declined is found again', async () => {
  const s = configured('withheld');
  await s.diff();
  s.write(s.left, 3, 400);
  const declined = await s.sync({ confirm: async () => false });
  assert.equal(declined.result, undefined);
  assert.deepEqual((await s.diff()).keys, ['3', '400']);
  const some = await s.sync({ mode: 'update_only' });
  assert.equal(some.sync.planned.withheld, 1);
  for (let i = 0; i < 2; i++) {
    const { pair, keys } = await s.diff();
    assert.equal(pair.strategy, 'incremental');
    assert.deepEqual(keys, ['400']);
  }
});

test('a guard that stops a sync leaves its differences to the next one', async () => {
  const s = configured('guarded');
  await s.diff();
  s.remove(s.left, ...Array.from({ length: 12 }, (_, i) => i + 1));
  for (let i = 0; i < 2; i++) {
    const stopped = await s.sync().then(
      (done) => done.sync.verdict,
      (error: { code?: string }) => error.code,
    );
    assert.equal(stopped, 'GUARD');
  }
  assert.equal((await s.diff()).keys.length, 12);
});

test('the share of changes is one of the whole table, not of the rows looked at', async () => {
  const s = configured('share');
  await s.diff();
  s.write(s.left, ...Array.from({ length: 120 }, (_, i) => i + 1));
  const done = await s.sync();
  assert.equal(done.sync.applied.update, 120, '120 of 300 are less than half');
  const other = configured('share too');
  await other.diff();
  other.write(other.left, ...Array.from({ length: 160 }, (_, i) => i + 1));
  await assert.rejects(other.sync(), (error: { code?: string }) => error.code === 'GUARD');
});

test('a source that was emptied deletes nothing, although deleted rows are seen by their keys', async () => {
  const s = configured('emptied');
  await s.diff();
  s.left.edit('things', () => []);
  const stopped = await s
    .sync({ guards: { maxChanges: 500, maxChangeRatio: null, maxDeletes: 500, emptySource: 'stop' } })
    .then(
      (done) => done.sync.applied.delete,
      (error: { code?: string }) => error.code,
    );
  assert.ok(stopped === 'EMPTY_SOURCE' || stopped === 'GUARD', String(stopped));
  const kept = await s.sync({
    guards: { maxChanges: 500, maxChangeRatio: null, maxDeletes: 500, emptySource: 'keep' },
    incremental: { rule: { ...byVersion, deletes: 'none' } },
  });
  assert.equal(kept.sync.applied.delete, 0);
  assert.equal(s.right.state.rows.get('things')!.length, 300);
});

test('a run that dies before it has kept where it stood is made again from the same place', async () => {
  const s = configured('killed');
  const first = await s.diff();
  s.write(s.left, 9);
  const dying: Store = {
    ...b.store,
    standings: {
      get: (...args) => b.store.standings.get(...args),
      put: async () => {
        throw new Error('killed');
      },
    },
  };
  await assert.rejects(s.diff(dying), /killed/);
  s.write(s.right, 11);
  const next = await s.diff();
  assert.equal(next.pair.incremental?.since?.run, first.run);
  assert.deepEqual(next.keys, ['9', '11']);
});

test('a run that is stopped on the way keeps nothing', async () => {
  const s = configured('stopped');
  const first = await s.diff();
  s.write(s.left, 9);
  await assert.rejects(
    saveDiff({
      actor: 'test',
      correlation: 'c',
      sync: 'stopped',
      facts: { source: factsOf(s.source, 'source'), target: factsOf(s.target, 'target') },
      settleMs: 0,
      clock: systemClock,
      seed: 7n,
      signal,
      store: b.store,
      source: s.source,
      target: s.target,
      incremental: { rule: byVersion },
      exitOf: () => 0,
      sink: {
        wanted: () => 10,
        write: async () => {
          throw new Error('the reader has gone');
        },
      },
    }),
    /the reader has gone/,
  );
  const next = await s.diff();
  assert.equal(next.pair.incremental?.since?.run, first.run);
  assert.deepEqual(next.keys, ['9']);
});
