import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { HashBatch, Reader } from '../../src/model/reader.ts';
import type { Batch, Row, Text } from '../../src/model/row.ts';
import type { Segment } from '../../src/model/selected.ts';
import { compare } from '../../src/work/compare.ts';
import { column, int, table, text } from './tables.ts';

/** A side that makes its rows up as they are asked for: any number of rows, no memory. */
const endless = (name: string, rows: number, keys: 'int' | 'text', sum: number): Endpoint => {
  const key = (i: number): string => (keys === 'int' ? String(i) : `key ${String(i).padStart(12, '0')}`);
  const t = table('big', [column('id', keys === 'int' ? int : text), column('v', text)], 1, { estimatedRows: rows });
  const span = (segment: Segment): readonly [number, number] => {
    if (segment.kind !== 'range' || !segment.from) return [0, rows];
    return [Number(segment.from[0]!.replace('key ', '')), rows];
  };
  async function* hashes(segment: Segment): AsyncGenerator<HashBatch> {
    const [from, to] = span(segment);
    for (let at = from; at < to; at += 8192) {
      const count = Math.min(8192, to - at);
      const values = Int32Array.from({ length: 2 * count }, (_, n) => (n % 4 === 0 ? sum : at));
      yield {
        count,
        hashes: values,
        keys:
          keys === 'int'
            ? { kind: 'int64', values: BigInt64Array.from({ length: count }, (_, n) => BigInt(at + n)) }
            : { kind: 'keys', values: Array.from({ length: count }, (_, n) => [key(at + n) as Text]) },
      };
    }
  }
  async function* scan(segment: Segment): AsyncGenerator<Batch<Row>> {
    const wanted = segment.kind === 'keys' ? segment.keys.map((k) => k[0]!) : [];
    yield wanted.map((k): Row => [k, `${sum}` as Text]);
  }
  const reader: Reader = {
    scan: (_s, segment) => scan(segment),
    count: async () => rows,
    sample: async () => [],
    keyBounds: async () => undefined,
    hashing: {
      forms: ['bytes'],
      supports: () => 'exact',
      digest: async () => assert.fail('not asked for'),
      hashes: (_s, segment) => hashes(segment),
    },
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

for (const [keys, rows] of [
  ['int', 4_000_000],
  ['text', 1_000_000],
] as const) {
  test(`memory stays flat with half of ${rows} rows different (${keys} keys)`, async () => {
    let peak = 0;
    const base = process.memoryUsage();
    const watch = (): void => {
      const { arrayBuffers, external, heapUsed } = process.memoryUsage();
      peak = Math.max(peak, external + heapUsed - base.external - base.heapUsed);
      assert.ok(arrayBuffers >= 0);
    };
    const report = await compare({
      source: endless('left', rows, keys, 1),
      target: endless('right', rows, keys, 2),
      settleMs: 0,
      clock: systemClock,
      seed: 1n,
      signal: new AbortController().signal,
      sink: { wanted: () => 0, write: async () => {} },
      onProgress: watch,
      force: 'hashes',
    });
    assert.equal(report.pairs[0]!.different, rows / 2);
    assert.equal(report.pairs[0]!.identical, rows / 2);
    assert.ok(peak < 220 * 1024 * 1024, `${Math.round(peak / 1024 / 1024)} MB were held`);
    assert.ok(peak > 1024 * 1024, 'nothing was watched');
  });
}
