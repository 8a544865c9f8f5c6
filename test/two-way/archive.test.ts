import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Agreed, Archive, ArchiveHashes, ArchivePlaces } from '../../src/model/archive.ts';
import { partOf } from '../../src/model/hash/part-of.ts';
import { rowHasher } from '../../src/model/hash/row-hash.ts';
import { compareKeys } from '../../src/model/order.ts';
import type { Key, Text } from '../../src/model/row.ts';
import type { ColumnType } from '../../src/model/schema.ts';
import type { Partition } from '../../src/model/selected.ts';
import type { BaseCell } from '../../src/model/two-way.ts';
import { freshStore } from '../store/fresh-store.ts';
import { o } from '../store/plain.ts';

const { store, database } = await freshStore();
const int: ColumnType = { kind: 'int', bits: 64 };
const text: ColumnType = { kind: 'text' };
const greatest = 2n ** 63n - 1n;
const least = -(2n ** 63n);

let pairs = 0;
const open = (keyTypes: readonly ColumnType[], more: { pair?: string; settings?: string } = {}): Promise<Archive> =>
  store.archives.open(
    {
      sync: 's',
      pair: more.pair ?? `p${++pairs}`,
      settings: more.settings ?? 'a',
      integerKey: keyTypes.length === 1 && keyTypes[0]!.kind === 'int',
      form: 'bytes',
      keyTypes,
    },
    o,
  );

const key = (...cells: string[]): Key => cells as unknown as Key;
const cellsOf = (...cells: (string | null)[]): BaseCell[] => cells as (Text | null)[];

const selectionOf = (types: readonly ColumnType[]) => ({
  table: { name: 't' },
  columns: types.map((type, i) => ({ name: `k${i}`, stored: type, as: type })),
  keyWidth: types.length,
});

/** A row of key and one value; the target's may be spelled in another way. */
const agreed = (
  archive: Archive,
  types: readonly ColumnType[],
  k: Key,
  hashes: readonly [bigint, bigint],
  value: string | null = 'v',
  other = value,
): Agreed => {
  const source = [...k, value as Text | null];
  return {
    key: k,
    keyHash: rowHasher(selectionOf(types).columns, types.length, archive.facts.hash).key(k),
    base: {
      source,
      target: other === value ? source : [...k, other as Text | null],
      at: 1_700_000_000_123,
      run: 'r_1',
    },
    source: hashes[0],
    target: hashes[1],
  };
};

const halves = (a: Int32Array, i: number): bigint => (BigInt(a[2 * i]!) << 32n) | BigInt(a[2 * i + 1]! >>> 0);

const listed = async (archive: Archive, of?: ArchivePlaces): Promise<readonly (readonly [Key, bigint, bigint])[]> => {
  const found: [Key, bigint, bigint][] = [];
  for await (const batch of archive.hashes(of, o)) {
    assert.ok(batch.count > 0);
    for (let i = 0; i < batch.count; i++)
      found.push([keyOf(batch, i), halves(batch.source, i), halves(batch.target, i)]);
  }
  return found;
};
const keyOf = ({ keys }: ArchiveHashes, i: number): Key =>
  keys.kind === 'int64' ? key(String(keys.values[i])) : keys.values[i]!;

const sum = (hashes: readonly bigint[]): bigint =>
  BigInt.asUintN(
    64,
    hashes.reduce((a, b) => a + b, 0n),
  );

/** What the archive says of parts is what its rows say. */
const agreeOn = async (archive: Archive, types: readonly ColumnType[], partition: Partition): Promise<void> => {
  const part = partOf(selectionOf(types), partition);
  const all = await listed(archive);
  const byPart = new Map<number, (readonly [Key, bigint, bigint])[]>();
  for (const row of all) {
    const rows = byPart.get(part(row[0])) ?? [];
    rows.push(row);
    byPart.set(part(row[0]), rows);
  }
  const digests = [...(await archive.digest(partition, o))].sort((a, b) => a.part - b.part);
  assert.deepEqual(
    digests,
    [...byPart]
      .map(([n, rows]) => ({
        part: n,
        source: { rows: rows.length, sum: sum(rows.map((r) => r[1])) },
        target: { rows: rows.length, sum: sum(rows.map((r) => r[2])) },
      }))
      .sort((a, b) => a.part - b.part),
  );
  const some = [...byPart.keys()].filter((_, i) => i % 2 === 0).sort((a, b) => a - b);
  const inSome = all.filter((row) => some.includes(part(row[0])));
  const said = (rows: typeof all): string => rows.map((row) => row.join(' ')).join('\n');
  assert.equal(said(await listed(archive, { partition, parts: some })), said(inSome));
};

test('integer keys, at the ends of their range and misfits among them, are summed, listed in order and found', async () => {
  const types = [int];
  const archive = await open(types);
  const keys = [least, least + 1n, -5n, -1n, 0n, 1n, 2n, 3n, 40n, 41n, 5000n, greatest - 1n, greatest].map((k) =>
    key(String(k)),
  );
  const odd = [key('\udc00tabc'), key('\udc00n1.5'), key('\udc00tab\0c')];
  const rows = [...keys, ...odd].map((k, i) =>
    agreed(
      archive,
      types,
      k,
      [BigInt(i) * greatest - 7n, least + BigInt(i)].map((h) => BigInt.asIntN(64, h)) as [bigint, bigint],
    ),
  );
  await archive.keep([...rows].reverse(), o);
  assert.equal(await archive.rows(o), rows.length);
  const all = await listed(archive);
  assert.deepEqual(
    all,
    rows.map((r) => [r.key, r.source, r.target] as const).sort((a, b) => compareKeys(types, a[0], b[0])),
  );
  await agreeOn(archive, types, { by: 'range', origin: 0n, width: 10n, count: 5 });
  await agreeOn(archive, types, { by: 'range', origin: least, width: 2n ** 60n, count: 16 });
  await agreeOn(archive, types, { by: 'range', origin: least, width: 2n ** 61n, count: 16 });
  await agreeOn(archive, types, { by: 'range', origin: 3n, width: 1n, count: 1 });
  await agreeOn(archive, types, { by: 'hash', count: 4, hash: archive.facts.hash });
  const [whole] = await archive.digest(undefined, o);
  assert.deepEqual(whole, {
    part: 0,
    source: { rows: rows.length, sum: sum(rows.map((r) => r.source!)) },
    target: { rows: rows.length, sum: sum(rows.map((r) => r.target!)) },
  });
  const asked = [keys[3]!, odd[2]!, key('77'), key('\udc00tzzz')];
  assert.deepEqual(
    (await listed(archive, { keys: asked })).map((r) => r[0]),
    [keys[3], odd[2]],
  );
  assert.deepEqual(
    (await archive.find(asked, o)).map((r) => r.base),
    [rows[3]!.base, rows.at(-1)!.base],
  );
});

test('texts, long ones and odd ones, and composite keys keep every unit', async () => {
  const types = [text, int];
  const archive = await open(types);
  const long = 'x'.repeat(5000);
  const names = [
    '',
    'a',
    'a\0',
    'a\0b',
    '\u{1f600}',
    '\ufffd',
    '\udc80',
    '\udcff',
    '\ud800',
    long,
    `${long}\0`,
    `${long}y`,
    '\udc00tq',
  ];
  const rows = names.flatMap((name, i) => [
    agreed(archive, types, key(name, '-3'), [BigInt(i), BigInt(-i)], `v\0\ud800${name}`, 'other'),
    agreed(archive, types, key(name, '20'), [BigInt(i + 100), 5n], null),
  ]);
  await archive.keep(rows, o);
  const inOrder = [...rows].sort((a, b) => compareKeys(types, a.key, b.key));
  assert.deepEqual(
    (await listed(archive)).map((r) => r[0]),
    inOrder.map((r) => r.key),
  );
  await agreeOn(archive, types, { by: 'hash', count: 8, hash: archive.facts.hash });
  const found = new Map(
    (
      await archive.find(
        rows.map((r) => r.key),
        o,
      )
    ).map((r) => [JSON.stringify(r.key), r.base]),
  );
  for (const row of rows) assert.deepEqual(found.get(JSON.stringify(row.key)), row.base);
  // other values under the same keys: nothing is there twice
  const again = rows.map((row) => ({ ...row, source: 9n, base: { ...row.base!, at: 5, run: 'r_2' } }));
  await archive.keep(again, o);
  assert.equal(await archive.rows(o), rows.length);
  assert.deepEqual(await archive.find([rows[7]!.key], o), [{ key: rows[7]!.key, base: again[7]!.base }]);
  await archive.keep(
    rows.slice(0, 20).map((row) => ({ ...row, base: null, source: null, target: null })),
    o,
  );
  assert.deepEqual(
    (await listed(archive)).map((r) => r[0]),
    inOrder.filter((r) => !rows.slice(0, 20).includes(r)).map((r) => r.key),
  );
});

test('more rows than one page are listed once each, in ranges and as a whole', async () => {
  for (const types of [[int], [{ kind: 'uuid' }] as const satisfies readonly ColumnType[]]) {
    const archive = await open(types);
    const name = (i: number): string =>
      types[0]!.kind === 'int'
        ? String(i * 3)
        : `${((i * 2654435761) % 2 ** 32).toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`;
    const rows = Array.from({ length: 17_000 }, (_, i) =>
      agreed(archive, types, key(name(i)), [BigInt(i), BigInt(-i)]),
    );
    for (let i = 0; i < rows.length; i += 10_000) await archive.keep(rows.slice(i, i + 10_000), o);
    const all = await listed(archive);
    assert.equal(all.length, rows.length);
    for (let i = 1; i < all.length; i++) assert.ok(compareKeys(types, all[i - 1]![0], all[i]![0]) < 0);
    const partition: Partition =
      types[0]!.kind === 'int'
        ? { by: 'range', origin: 0n, width: 1000n, count: 52 }
        : { by: 'hash', count: 64, hash: archive.facts.hash };
    await agreeOn(archive, types, partition);
  }
});

test('of keys that come twice the last counts; a hash of a value comes back as a hash; nothing is half kept', async () => {
  const types = [int];
  const archive = await open(types);
  const row = (k: string, value: string): Agreed => agreed(archive, types, key(k), [1n, 2n], value);
  await archive.keep(
    [row('1', 'a'), row('2', 'x'), row('1', 'b'), { ...row('2', 'x'), base: null, source: null, target: null }],
    o,
  );
  assert.deepEqual(
    (await archive.find([key('1'), key('2')], o)).map((r) => r.base.source[1]),
    ['b'],
  );
  const hashed = {
    ...row('3', 'c'),
    base: { source: [...key('3'), { hash: 'h' }], target: cellsOf('3', 'h'), at: 1, run: 'r' },
  };
  await archive.keep([hashed], o);
  assert.deepEqual(await archive.find([key('3')], o), [{ key: key('3'), base: hashed.base }]);
  await assert.rejects(archive.keep([row('4', 'd'), { ...row('5', 'e'), target: null }], o), { code: 'INTERNAL' });
  assert.deepEqual(await archive.find([key('4')], o), []);
});

test('an archive of other settings stands beside until it is complete; a forgotten one is written no more', async () => {
  const types = [int];
  const first = await open(types, { pair: 'beside' });
  await first.keep([agreed(first, types, key('1'), [1n, 1n])], o);
  await first.complete(1000, o);
  const second = await open(types, { pair: 'beside', settings: 'b' });
  assert.notEqual(second.facts.hash.seed, first.facts.hash.seed);
  assert.equal(second.facts.completed, null);
  assert.deepEqual(
    (await store.archives.list({ sync: 's', pair: 'beside' }, o)).map((f) => [f.settings, f.completed]),
    [
      ['a', 1000],
      ['b', null],
    ],
  );
  assert.deepEqual((await open(types, { pair: 'beside' })).facts, { ...first.facts, completed: 1000 });
  await second.complete(2000, o);
  assert.deepEqual(
    (await store.archives.list({ sync: 's', pair: 'beside' }, o)).map((f) => f.id),
    [second.facts.id],
  );
  await assert.rejects(first.keep([agreed(first, types, key('1'), [1n, 1n])], o), { code: 'FENCED' });
  await second.keep([agreed(second, types, key('7'), [1n, 1n])], o);
  assert.equal(await store.archives.forget({ sync: 's', pair: 'beside' }, o), 1);
  assert.deepEqual(await store.archives.list({ sync: 's', pair: 'beside' }, o), []);
  const tables = await database.query(
    `select count(*)::int as n from pg_class where relname ~ '^archive_row_' and relkind = 'r'`,
  );
  const archives = await database.query('select count(*)::int as n from lockstep_control.archive');
  assert.deepEqual(tables.rows, archives.rows);
});

test('two processes that open an archive at once have the same one', async () => {
  const both = await Promise.all([open([int], { pair: 'once' }), open([int], { pair: 'once' })]);
  assert.deepEqual(both[0].facts, both[1].facts);
});
