import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { Reader } from '../../src/model/reader.ts';
import type { Segment } from '../../src/model/selected.ts';
import { type Cells, column, compareAll, database, endpoint, int, table, text } from './tables.ts';

const t = table('things', [column('name', text), column('v', int)], 1);
const rows: readonly Cells[] = Array.from({ length: 100 }, (_, i) => [`key ${i}`, String(i)]);
const changed = rows.flatMap(([name, v]): Cells[] => (Number(v) === 7 ? [] : [[name!, Number(v) === 8 ? '-1' : v!]]));

/** An endpoint that finds no row by its key once rows have been read, as one that is asked for another key than it has. */
const losing = (inner: Endpoint, snapshots: { n: number }): Endpoint => ({
  ...inner,
  name: inner.name,
  engine: inner.engine,
  version: inner.version,
  fingerprint: inner.fingerprint,
  inspect: (o) => inner.inspect(o),
  snapshot: async (x): Promise<Reader> => {
    const reader = await inner.snapshot(x);
    snapshots.n++;
    const lost = (segment: Segment): Segment => (segment.kind === 'keys' ? { kind: 'keys', keys: [] } : segment);
    const { digest, supports, forms, hashes } = reader.hashing!;
    return {
      hashing: { digest, supports, forms, hashes: (s, segment, hash, o) => hashes(s, lost(segment), hash, o) },
      scan: (s, segment, o) => reader.scan(s, lost(segment), o),
      count: (...args) => reader.count(...args),
      sample: (...args) => reader.sample(...args),
      keyBounds: (...args) => reader.keyBounds(...args),
      [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
    };
  },
  [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
});

for (const force of ['digest', 'hashes', 'rows'] as const)
  for (const side of ['source', 'target', 'both'] as const)
    test(`a row that is there, and that ${side} does not find by its key, is never taken for deleted (${force})`, async () => {
      const snapshots = { n: 0 };
      const left = endpoint('left', database(t, rows));
      const right = endpoint('right', database(t, changed));
      await assert.rejects(
        compareAll(
          side === 'target' ? left : losing(left, snapshots),
          side === 'source' ? right : losing(right, snapshots),
          { force },
        ),
        {
          code: 'INTERNAL',
          message: /(left|right) does not find the row name=key [78] of things by its key, and it is there/,
        },
      );
      assert.ok(snapshots.n > 1, 'both have been read again');
    });
