import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashesOfFrames } from '../../src/engines/sqlite/frame-stream.ts';
import { hashesOfRows, sampleKeys } from '../../src/engines/sqlite/reading.ts';
import type { HashSpec } from '../../src/model/hash/spec.ts';
import type { HashBatch } from '../../src/model/reader.ts';
import type { Key, Text } from '../../src/model/row.ts';
import { meter, snapshotOf } from './sqlite-support.ts';

const hash: HashSpec = { seed: 77n, form: 'bytes' };
// Keys with gaps, on both sides of zero and at both ends of what fits; a text that no frame can hold.
const { snapshot: s, selectionOf } = snapshotOf(`create table t (id integer primary key, v text);
  with recursive i(x) as (select -4000 union all select x + 1 from i where x < 4000)
  insert into t select x * 3, iif(x % 5 = 0, null, 'v' || x) from i;
  insert into t values (-9223372036854775807 - 1, 'least'), (9223372036854775807, 'most');
  update t set v = 'a' || char(31) where id = 33`);

const read = (batches: Iterable<HashBatch> | undefined): string[] =>
  [...batches!].flatMap(({ count, keys, hashes }) =>
    Array.from({ length: count }, (_, i) => {
      const key = keys.kind === 'int64' ? String(keys.values[i]) : keys.values[i]!.join();
      return `${key} ${hashes[2 * i]} ${hashes[2 * i + 1]}`;
    }),
  );

test('rows that are looked up by the rowid all at once are those that are looked up one by one', () => {
  const numbers = [9223372036854775807n, 9223372036854775808n, -9223372036854775808n, 0n, 0n, 33n, 1n];
  for (let i = -2500n; i < 2500n; i++) numbers.push(i * 2n);
  const keys = numbers.map((n): Key => [String(n) as Text]);
  for (const filter of [undefined, 'id % 2 = 0 -- even']) {
    const selection = selectionOf('t', filter);
    const found = read(hashesOfFrames(s, selection, { kind: 'keys', keys }, hash, meter()));
    assert.ok(found.length > 1600 && found.length < numbers.length);
    assert.deepEqual(found, read(hashesOfRows(s, selection, { kind: 'keys', keys }, hash, meter())));
  }
});

test('a sample has keys of the table only, ascending, each once, and none where there are none', () => {
  const keys = sampleKeys(s, selectionOf('t'), 1000).map(([key]) => BigInt(key!));
  // The two keys at the ends leave nothing between that is looked for, but the first row behind each place.
  assert.deepEqual(keys, [-12000n, 9223372036854775807n]);
  const inside = sampleKeys(s, { ...selectionOf('t', 'id between -12000 and 12000') }, 500).map(([key]) =>
    BigInt(key!),
  );
  assert.ok(inside.length > 300 && inside.every((key) => key % 3n === 0n && key >= -12000n && key <= 12000n));
  assert.ok(inside.every((key, i) => i === 0 || key > inside[i - 1]!));
});
