import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { HashBatch, Hashing } from '../../src/model/reader.ts';
import { overEndpoint, overReader } from '../conformance/wrap.ts';
import { type Cells, column, compareAll, database, endpoint, sums, table } from './tables.ts';

const t = table('things', [column('name', { kind: 'text' }), column('v', { kind: 'int', bits: 64 })], 1, {
  estimatedRows: 30_000,
});
const rows: readonly Cells[] = Array.from({ length: 50 }, (_, i) => [`key ${i}`, String(i)]);
const changed = rows.map(([name, v]) => (Number(v) % 5 === 0 ? [name!, '-1'] : [name!, v!]));

/** An endpoint whose batches of key hashes are altered on their way. */
const altering = (
  inner: Endpoint,
  alter: (batch: HashBatch) => HashBatch,
  o: { readonly loose: boolean } = { loose: true },
): Endpoint =>
  overEndpoint(inner, {
    snapshot: async (x) => {
      const reader = await inner.snapshot(x);
      const { loose, ...rest } = reader.hashing!;
      const hashing: Hashing = {
        ...rest,
        ...(o.loose && loose !== undefined ? { loose } : {}),
        // all of a range: its bounds are of hashes that were altered
        byKeyHash: async function* (selection, segment, hash, o) {
          const inner = segment.kind === 'range' ? ({ kind: 'all' } as const) : segment;
          for await (const batch of reader.hashing!.byKeyHash!(selection, inner, hash, o)) yield alter(batch);
        },
      };
      return overReader(reader, { hashing });
    },
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

test('where too many rows are in buckets that differ, they are merged by the hashes of their keys', async () => {
  const many: readonly Cells[] = Array.from({ length: 5000 }, (_, i) => [`key ${i}`, String(i)]);
  const other = many.flatMap(([name, v]): Cells[] => {
    if (Number(v) % 100 === 7) return [];
    return Number(v) % 100 === 9
      ? [
          [name!, v!],
          [`new ${v}`, v!],
        ]
      : [[name!, Number(v) % 100 === 8 ? '-1' : v!]];
  });
  /** As if more rows had to be read than are held at once. */
  const ordered = (inner: Endpoint): Endpoint => altering(inner, (batch) => batch, { loose: false });
  const found = await compareAll(
    ordered(endpoint('left', database(t, many))),
    ordered(endpoint('right', database(t, other))),
    {
      force: 'digest',
    },
  );
  assert.match(found.pair.explain.decision, /rows differ, merged by the hashes of their keys$/);
  assert.deepEqual(
    [found.pair.identical, found.pair.different, found.pair.only_in_source, found.pair.only_in_target],
    [4900, 50, 50, 50],
  );
  assert.deepEqual(sums(found.pair), []);
  const keys = found.differences.map((d) => `${d.kind} ${d.key[0]}`).sort();
  const wanted = many.flatMap(([name, v]) => {
    const rest = Number(v) % 100;
    return rest === 7
      ? [`only_in_source ${name}`]
      : rest === 8
        ? [`different ${name}`]
        : rest === 9
          ? [`only_in_target new ${v}`]
          : [];
  });
  assert.deepEqual(keys, wanted.sort());
});
