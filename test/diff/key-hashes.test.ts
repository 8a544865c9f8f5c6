import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { HashBatch, Hashing } from '../../src/model/reader.ts';
import { type Cells, column, compareAll, database, endpoint, sums, table } from './tables.ts';

const t = table('things', [column('name', { kind: 'text' }), column('v', { kind: 'int', bits: 64 })], 1, {
  estimatedRows: 30_000,
});
const rows: readonly Cells[] = Array.from({ length: 50 }, (_, i) => [`key ${i}`, String(i)]);
const changed = rows.map(([name, v]) => (Number(v) % 5 === 0 ? [name!, '-1'] : [name!, v!]));

/** An endpoint whose batches of key hashes are altered on their way. */
const altering = (inner: Endpoint, alter: (batch: HashBatch) => HashBatch): Endpoint => ({
  ...inner,
  name: inner.name,
  engine: inner.engine,
  version: inner.version,
  fingerprint: inner.fingerprint,
  inspect: (o) => inner.inspect(o),
  snapshot: async (o) => {
    const reader = await inner.snapshot(o);
    const hashing: Hashing = {
      ...reader.hashing!,
      byKeyHash: async function* (...args) {
        for await (const batch of reader.hashing!.byKeyHash!(...args)) yield alter(batch);
      },
    };
    return {
      hashing,
      scan: (...args) => reader.scan(...args),
      count: (...args) => reader.count(...args),
      sample: (...args) => reader.sample(...args),
      keyBounds: (...args) => reader.keyBounds(...args),
      [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
    };
  },
  [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
});

const keysOf = (batch: HashBatch): BigInt64Array => {
  assert.equal(batch.keys.kind, 'int64');
  return (batch.keys as { values: BigInt64Array }).values;
};

test('two keys of one hash are never paired: the comparison ends instead', async () => {
  const colliding = altering(endpoint('left', database(t, rows)), (batch) => {
    const values = keysOf(batch).slice();
    if (values.length > 7) values[7] = values[6]!;
    return { ...batch, keys: { kind: 'int64', values } };
  });
  await assert.rejects(compareAll(colliding, endpoint('right', database(t, changed)), { force: 'key_hashes' }), {
    code: 'INTERNAL',
    message: /two keys have the same 64-bit hash/,
  });
});

test('a difference whose key is not found again by its hash is not passed over', async () => {
  // every key hash is another number than the key's, the same on both sides
  const other = (batch: HashBatch): HashBatch => ({
    ...batch,
    keys: { kind: 'int64', values: keysOf(batch).map((key) => key >> 1n) },
  });
  await assert.rejects(
    compareAll(
      altering(endpoint('left', database(t, rows)), other),
      altering(endpoint('right', database(t, changed)), other),
      { force: 'key_hashes' },
    ),
    { code: 'INTERNAL', message: /was not found again by the hash of its key/ },
  );
});

test('differences beyond those that are wanted are counted without their keys', async () => {
  const { pair, differences } = await compareAll(
    endpoint('left', database(t, rows)),
    endpoint('right', database(t, changed)),
    { force: 'key_hashes', limit: 3 },
  );
  assert.equal(pair.different, 10);
  assert.equal(differences.length, 3);
  assert.deepEqual(sums(pair), []);
  for (const d of differences) assert.equal(Number(d.key[0]!.slice(4)) % 5, 0);
});
