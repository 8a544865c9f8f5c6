import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { LooseBatch } from '../../src/model/reader.ts';
import { overEndpoint, overReader } from '../conformance/wrap.ts';
import { type Cells, column, compareAll, database, endpoint, sums, table } from './tables.ts';

const t = table('things', [column('name', { kind: 'text' }), column('v', { kind: 'int', bits: 64 })], 1, {
  estimatedRows: 30_000,
});
const rows: readonly Cells[] = Array.from({ length: 3000 }, (_, i) => [`key ${i}`, String(i)]);
const changed: readonly Cells[] = [
  ...rows.filter(([, v]) => v !== '77').map(([name, v]): Cells => [name!, v === '10' ? '11' : v === '11' ? '10' : v!]),
  ['key 9999', '5'],
];

/** An endpoint whose reader counts what is read in any order, and alters it on its way. */
const altering = (
  inner: Endpoint,
  alter: (batch: LooseBatch) => LooseBatch,
): { readonly endpoint: Endpoint; readonly read: { rows: number; keys: number; ended: number } } => {
  const read = { rows: 0, keys: 0, ended: 0 };
  const snapshot: Endpoint['snapshot'] = async (o) => {
    const reader = await inner.snapshot(o);
    const { hashing } = reader;
    return overReader(reader, {
      hashing: {
        ...hashing!,
        loose: async function* (...args) {
          for await (const batch of hashing!.loose!(...args)) {
            read.rows += batch.count;
            const key = (i: number) => {
              read.keys++;
              return batch.key(i);
            };
            yield alter({ ...batch, key });
          }
          read.ended++;
        },
      },
    });
  };
  return { read, endpoint: overEndpoint(inner, { snapshot }) };
};

const found = (differences: readonly { readonly kind: string; readonly key: readonly unknown[] }[]): string[] =>
  differences.map((d) => `${d.kind} ${d.key[0]}`).sort();

const planted = ['different key 10', 'different key 11', 'only_in_source key 77', 'only_in_target key 9999'];

test('of parts that differ, only the keys of rows that are unlike are looked at', async () => {
  const left = altering(endpoint('left', database(t, rows)), (batch) => batch);
  const right = altering(endpoint('right', database(t, changed)), (batch) => batch);
  const { pair, differences } = await compareAll(left.endpoint, right.endpoint, { force: 'digest' });
  assert.deepEqual(found(differences), planted);
  assert.equal(pair.identical, rows.length - 3);
  assert.deepEqual(sums(pair), []);
  assert.ok(
    left.read.rows > left.read.keys && right.read.rows > right.read.keys,
    JSON.stringify([left.read, right.read]),
  );
  assert.deepEqual([left.read.keys, right.read.keys], [3, 3]);
});

test('parts too large to be held are read in order instead', async () => {
  const large = (batch: LooseBatch): LooseBatch => ({ ...batch, bytes: 2 ** 30 });
  const left = altering(endpoint('left', database(t, rows)), large);
  const right = endpoint('right', database(t, changed));
  const { pair, differences } = await compareAll(left.endpoint, right, { force: 'digest' });
  assert.deepEqual(found(differences), planted);
  assert.deepEqual(sums(pair), []);
  assert.ok(left.read.rows > 0);
  // who stops a statement loses the snapshot
  assert.equal(left.read.ended, 1);
  assert.equal(left.read.keys, 0);
});

test('rows that are lost on the way are noticed', async () => {
  const losing = (batch: LooseBatch): LooseBatch => ({ ...batch, count: batch.count - 1 });
  const left = altering(endpoint('left', database(t, rows)), losing);
  const right = altering(endpoint('right', database(t, changed)), losing);
  await assert.rejects(compareAll(left.endpoint, right.endpoint, { force: 'digest' }), {
    code: 'INTERNAL',
    message: /by their digests, but/,
  });
});
