import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryEndpoint } from '../../src/engines/memory/endpoint.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { LockstepError } from '../../src/model/errors.ts';
import { watched } from '../../src/service/endpoints-watch.ts';
import { openTimings } from '../../src/telemetry/timings.ts';
import { engineConformance } from '../conformance/engine.ts';
import { memoryHarness } from '../conformance/harnesses/memory.ts';
import { idsTable, o } from './support.ts';

const plainly = { clock: systemClock, timings: undefined, heard: () => {} };

/** What an engine promises it still promises through the eyes of a breaker. */
engineConformance({
  ...memoryHarness,
  name: 'memory, watched',
  bigRows: 20_000,
  database: async (tables) => {
    const made = await memoryHarness.database(tables);
    return {
      ...made,
      connect: async (o) => {
        const endpoint = await made.connect(o);
        return watched(endpoint, { ...plainly, endpoint: endpoint.name, around: (_call, _signal, work) => work() })
          .endpoint;
      },
      [Symbol.asyncDispose]: () => made[Symbol.asyncDispose](),
    };
  },
});

test('calls in a group within a group are heard, too: what reads only changes notices an outage', async () => {
  const plain = memoryEndpoint([{ table: idsTable, rows: [] }], { name: 'm' });
  const lost = new LockstepError('CONNECTION_LOST', 'm: gone', { side: 'm' });
  const heard: unknown[] = [];
  const endpoint = {
    ...plain,
    snapshot: async (cancel: typeof o) =>
      Object.assign(await plain.snapshot(cancel), { changes: { columns: { latest: () => Promise.reject(lost) } } }),
  } as unknown as typeof plain;
  const watch = watched(endpoint, {
    ...plainly,
    endpoint: 'm',
    heard: (error) => heard.push(error),
    around: (_call, _signal, work) => work(),
  });
  await using reader = await watch.endpoint.snapshot(o);
  await assert.rejects(async () => await (reader.changes!.columns!.latest as () => Promise<unknown>)(), lost);
  assert.deepEqual(heard, [undefined, lost]);
});

test('each call is timed and heard with its failure, and a reader is busy until it is disposed of', async () => {
  const table = idsTable;
  const endpoint = memoryEndpoint([{ table, rows: [['1'], ['2']] }], { name: 'm' });
  const timings = openTimings(systemClock);
  const heard: unknown[] = [];
  const watch = watched(
    { ...endpoint, details: () => Promise.reject(new LockstepError('CONNECTION_LOST', 'm: gone', { side: 'm' })) },
    {
      endpoint: 'm',
      clock: systemClock,
      timings,
      heard: (error) => heard.push((error as LockstepError | undefined)?.code),
      around: (_call, _signal, work) => work(),
    },
  );
  const { name, type } = table.columns[0]!;
  const selection = { table, columns: [{ name, stored: type, as: type }], keyWidth: 1 };
  {
    await using reader = await watch.endpoint.snapshot(o);
    assert.equal(watch.busy(), 1);
    assert.equal(await reader.count(selection, o), 2);
    let rows = 0;
    for await (const batch of reader.scan(selection, { kind: 'all' }, o)) rows += batch.length;
    assert.equal(rows, 2);
    await assert.rejects(reader.count({ ...selection, table: { name: 'none' } }, o));
  }
  assert.equal(watch.busy(), 0);
  await assert.rejects(watch.endpoint.details!({ ...o, tables: [] }), { code: 'CONNECTION_LOST' });
  assert.deepEqual(heard, [undefined, undefined, undefined, 'TABLE_NOT_FOUND', 'CONNECTION_LOST']);
  assert.deepEqual(
    timings.calls().map((c) => [c.call, c.count, c.failed]),
    [
      ['snapshot', 1, 0],
      ['read.count', 2, 1],
      ['read.scan', 1, 0],
      ['details', 1, 1],
    ],
  );
});
