import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { Segment } from '../../src/model/selected.ts';
import { overEndpoint, overHashing, overReader } from '../conformance/wrap.ts';
import { type Cells, column, compareAll, database, endpoint, int, table, text } from './tables.ts';

const t = table('things', [column('name', text), column('v', int)], 1);
const rows: readonly Cells[] = Array.from({ length: 100 }, (_, i) => [`key ${i}`, String(i)]);
const changed = rows.flatMap(([name, v]): Cells[] => (Number(v) === 7 ? [] : [[name!, Number(v) === 8 ? '-1' : v!]]));

/** An endpoint that finds no row by its key once rows have been read, as one that is asked for another key than it has. */
const losing = (inner: Endpoint, snapshots: { n: number }): Endpoint =>
  overEndpoint(inner, {
    snapshot: async (x) => {
      const reader = await inner.snapshot(x);
      snapshots.n++;
      const lost = (segment: Segment): Segment => (segment.kind === 'keys' ? { kind: 'keys', keys: [] } : segment);
      const hashing = reader.hashing!;
      return overReader(reader, {
        hashing: overHashing(hashing, { hashes: (s, segment, hash, o) => hashing.hashes(s, lost(segment), hash, o) }),
        scan: (s, segment, o) => reader.scan(s, lost(segment), o),
      });
    },
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
