import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { Reader } from '../../src/model/reader.ts';
import type { Batch, Row } from '../../src/model/row.ts';
import type { Segment } from '../../src/model/selected.ts';
import { compare } from '../../src/work/compare.ts';
import { column, int, table, text } from '../diff/tables.ts';

/** A side that makes its rows up as they are asked for: any number of rows, no memory. */
const endless = (name: string, rows: number): Endpoint => {
  const t = table('big', [column('id', int), column('v', text)], 1, { estimatedRows: rows });
  const row = (id: number): Row => [String(id), `value ${id % 2}`] as unknown as Row;
  async function* scan(segment: Segment): AsyncGenerator<Batch<Row>> {
    if (segment.kind === 'keys') {
      yield segment.keys.map((key) => row(Number(key[0])));
      return;
    }
    const from = segment.kind === 'range' && segment.from ? Number(segment.from[0]) : 0;
    const to = segment.kind === 'range' && segment.to ? Number(segment.to[0]) : rows;
    for (let at = from; at < to; at += 1000)
      yield Array.from({ length: Math.min(1000, to - at) }, (_, n) => row(at + n));
  }
  const reader: Reader = {
    scan: (_s, segment) => scan(segment),
    count: async () => rows,
    sample: async () => [],
    keyBounds: async () => undefined,
    [Symbol.asyncDispose]: async () => {},
  };
  return {
    name,
    engine: 'made-up',
    version: '1',
    fingerprint: { server: name, database: name, address: name },
    inspect: async () => ({ tables: [t] }),
    snapshot: async () => reader,
    [Symbol.asyncDispose]: async () => {},
  };
};

test('memory stays flat with half of 200000 rows invalid', async () => {
  const rows = 200_000;
  let peak = 0;
  let kept = 0;
  const base = process.memoryUsage();
  const report = await compare({
    source: endless('left', rows),
    target: endless('right', rows),
    pairs: [{ source: 'big', transform: { columns: {}, validate: { v: { in: ['value 0'] } } } }],
    settleMs: 0,
    clock: systemClock,
    seed: 1n,
    signal: new AbortController().signal,
    sink: {
      wanted: () => 0,
      write: async () => {},
      quarantine: async (_pair, batch) => {
        kept += batch.length;
        assert.ok(batch.length <= 2000, `${batch.length} at once`);
      },
    },
    onProgress: () => {
      const { external, heapUsed } = process.memoryUsage();
      peak = Math.max(peak, external + heapUsed - base.external - base.heapUsed);
    },
  });
  assert.deepEqual([report.pairs[0]!.identical, report.pairs[0]!.quarantined, kept], [rows / 2, rows / 2, rows / 2]);
  assert.ok(peak < 220 * 1024 * 1024, `${Math.round(peak / 1024 / 1024)} MB were held`);
  assert.ok(peak > 1024 * 1024, 'nothing was watched');
});
