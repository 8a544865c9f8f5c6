import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { commonHash } from '../../src/diff/choose.ts';
import type { Work } from '../../src/diff/context.ts';
import { rowHasher } from '../../src/model/hash/row-hash.ts';
import type { HashSpec } from '../../src/model/hash/spec.ts';
import type { Hashing, Reader } from '../../src/model/reader.ts';
import type { Row } from '../../src/model/row.ts';
import { nativeSelection } from '../../src/model/selection.ts';
import { testDatabase } from '../servers/postgres.ts';
import { connect, never, tableOf } from './postgres-support.ts';

const text: HashSpec = { seed: 42n, form: 'bytes' };
const sent: HashSpec = { ...text, json: 'sent' };

const planted = [
  '{}',
  '[]',
  '""',
  'null',
  '0',
  '{"a": [1, "ä😀"]}',
  '[[[[]], {}], [{"b": [null, true, false]}]]',
  '123456789012345678901234567890',
  '{"n": -0.123456789012345678901234567891, "🗝": "\\u0001\\n\\t\\"\\\\"}',
  JSON.stringify({ long: 'é😀x'.repeat(60_000), list: Array.from({ length: 5000 }, (_, i) => ({ i, '😀': `${i}` })) }),
];
const random = fc
  .sample(fc.jsonValue({ stringUnit: 'binary' }), { numRuns: 200, seed: 11 })
  .map((x) => JSON.stringify(x))
  // not in jsonb: U+0000 and halves of characters; numbers in it keep their spelling (`1e-7`)
  .filter((x) => !x.includes('\\u0000') && !/\\ud[89a-f]/i.test(x) && !/\d[eE.]/.test(x));

test('jsonb is hashed alike here and on the server: as text, and as it is sent', async () => {
  await using db = await testDatabase();
  const name = (await db.query('select current_database() as name')).rows[0].name;
  // what a session gets that does not ask for another encoding
  await db.query(`alter database "${name}" set client_encoding to 'LATIN1'`);
  await db.query('create table a (id int primary key, j jsonb)');
  const documents = [...planted, ...random];
  assert.ok(random.length > 50, `only ${random.length} random documents`);
  await db.query('insert into a select n, x::jsonb from unnest($1::text[]) with ordinality as u(x, n)', [documents]);
  await db.query('insert into a values (0, null)');
  await using endpoint = await connect(db.url);
  const selection = nativeSelection(await tableOf(endpoint, 'a'), ['id']);
  const plain = {
    ...selection,
    columns: selection.columns.map(({ name: n, stored, as }) => ({ name: n, stored, as })),
  };
  await using reader = await endpoint.snapshot({ signal: never });
  assert.equal(reader.hashing!.sendsJson, true);
  const rows: Row[] = [];
  for await (const batch of reader.scan(plain, { kind: 'all' }, { signal: never })) rows.push(...batch);
  assert.equal(rows.length, documents.length + 1);
  const seen = new Set<string>();
  for (const spec of [text, sent]) {
    const hasher = rowHasher(plain.columns, 1, spec);
    const here = rows.map((row) => {
      hasher.hash(row);
      return [row[0], hasher.out[0], hasher.out[1]];
    });
    const there: unknown[] = [];
    for await (const b of reader.hashing!.hashes(plain, { kind: 'all' }, spec, { signal: never }))
      for (let i = 0; i < b.count; i++)
        there.push([
          b.keys.kind === 'int64' ? String(b.keys.values[i]) : b.keys.values[i]![0],
          b.hashes[2 * i],
          b.hashes[2 * i + 1],
        ]);
    assert.deepEqual(there, here, `json: ${spec.json ?? 'text'}`);
    for (const hash of here) seen.add(hash.join());
  }
  // all but NULL
  assert.equal(seen.size, 2 * rows.length - 1);
});

test('a seed and a form that were kept go on meaning what they meant', async () => {
  await using db = await testDatabase();
  await db.query(`create table a (id bigint primary key, j jsonb); insert into a values (1, '{"a": [1, "ä😀"]}')`);
  await using endpoint = await connect(db.url);
  const selection = nativeSelection(await tableOf(endpoint, 'a'), ['id']);
  await using reader = await endpoint.snapshot({ signal: never });
  for (const form of ['bytes', 'hex'] as const) {
    // as archives, plans and certificates carry it
    const spec: HashSpec = { seed: BigInt('42'), form };
    const [batch] = await Array.fromAsync(reader.hashing!.hashes(selection, { kind: 'all' }, spec, { signal: never }));
    assert.deepEqual([...batch!.hashes], [612059633, 1168965400]);
    const hasher = rowHasher(selection.columns, 1, spec);
    hasher.hash(['1', '{"a":[1,"ä😀"]}'] as unknown as Row);
    assert.deepEqual([...hasher.out], [612059633, 1168965400]);
  }
});

type Support = ReturnType<Hashing['supports']>;

const specOf = (source: Support, target: Support, sends: readonly [boolean, boolean]): HashSpec => {
  const side = (support: Support, i: 0 | 1) =>
    ({
      hashing: { forms: ['bytes'], supports: () => support, ...(sends[i] ? { sendsJson: true } : {}) },
    }) as unknown as Reader;
  const column = { source: { name: 'j' }, target: { name: 'j' }, as: { kind: 'json', binary: true } };
  const selection = { columns: [{}] };
  const work = {
    pair: { columns: [column] },
    selections: { source: selection, target: selection },
    endpoints: { source: { engine: 'postgres' }, target: { engine: 'postgres' } },
    seed: 1n,
  } as unknown as Work;
  const found = commonHash(work, { source: side(source, 0), target: side(target, 1) });
  assert.ok(typeof found !== 'string', String(found));
  return found.spec;
};

test('JSON is hashed as it is sent only where both sides send it', () => {
  assert.equal(specOf('jsonb', 'jsonb', [true, true]).json, 'sent');
  assert.equal(specOf('jsonb', 'jsonb', [true, false]).json, undefined);
  assert.equal(specOf('jsonb', 'jsonb', [false, true]).json, undefined);
  // a text on the other side is hashed without the byte in front
  assert.equal(specOf('jsonb', 'weak', [true, true]).json, undefined);
  assert.equal(specOf('weak', 'jsonb', [true, true]).json, undefined);
});
