import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import { factsOf } from '../../src/work/recorded.ts';
import { saveDiff } from '../../src/work/save-diff.ts';
import { type Bench, bench, memoryPair } from './bench.ts';
import { memoryTable, table } from './tables.ts';

let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());

test('a run that goes on when the primary is back does not pass off what it read from the replica as proved', async () => {
  const [first, second] = [table('a', 'id! name'), table('b', 'id! name')];
  const { source, target, right } = memoryPair(
    [memoryTable(first, '1,x'), memoryTable(second, '1,x')],
    [memoryTable(first, '1,x'), memoryTable(second, '1,y')],
  );
  const standIn = { reason: 'the primary is down: nothing listens', behindMs: null };
  let run = '';
  const diff = (resume?: string) =>
    saveDiff({
      actor: 'test',
      correlation: 'c',
      sync: 'ab',
      facts: { source: factsOf(source, 'source'), target: factsOf(target, 'target') },
      settleMs: 0,
      clock: systemClock,
      seed: 7n,
      signal: new AbortController().signal,
      store: b.store,
      source: resume === undefined ? { ...source, standIn } : source,
      target,
      onRun: (id) => {
        run = id;
      },
      exitOf: (report) => (report.verdict === 'agrees' ? 0 : 25),
      sink: {
        wanted: () => 10,
        write: async () => {
          throw new Error('stopped on the way');
        },
      },
      publish: { max: 10, historyMs: 1000, whole: true },
      ...(resume === undefined ? {} : { resume }),
    });
  await assert.rejects(diff(), /stopped on the way/);
  right.edit('b', () => [['1', 'x']]);
  const resumed = await diff(run);
  assert.deepEqual(
    resumed.compared.pairs.map((p) => [p.source, p.identical]),
    [
      ['a', 1],
      ['b', 1],
    ],
  );
  assert.equal(resumed.compared.verdict, 'incomplete');
  assert.equal(resumed.exit, 25);
  assert.equal(resumed.compared.coverage.complete, false);
  assert.match(resumed.compared.coverage.not_compared[0]!.reason, /its replica was read.*nothing listens/);
  assert.equal((await b.store.runs.get(run, { signal: new AbortController().signal }))!.exit, 25);
});
