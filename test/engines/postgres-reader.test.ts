import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rowHasher } from '../../src/model/hash/row-hash.ts';
import type { HashSpec } from '../../src/model/hash/spec.ts';
import { compareKeys } from '../../src/model/order.ts';
import type { Key, Row } from '../../src/model/row.ts';
import type { ColumnType } from '../../src/model/schema.ts';
import type { Partition, Selection } from '../../src/model/selected.ts';
import { keyTypes, nativeSelection } from '../../src/model/selection.ts';
import { testDatabase } from '../servers/postgres.ts';
import { connect, keyOf, never, readAll, row, tableOf } from './postgres-support.ts';

const signal = never;
const spec = (form: HashSpec['form'] = 'hex'): HashSpec => ({ seed: 0x1234_5678_9abc_def1n, form });
const columnAs = (name: string, stored: ColumnType, as: ColumnType) => ({ name, stored, as });

/** Every way the model knows to compute the same: hashes, digests, buckets, from the rows as they were read. */
const agreesWithModel = async (url: string, name: string, key?: readonly string[]): Promise<void> => {
  await using endpoint = await connect(url);
  const table = await tableOf(endpoint, name);
  const whole = nativeSelection(table, key ?? keyOf(table));
  // JSON is hashed as the server writes it, which the model does not know
  const selection: Selection = { ...whole, columns: whole.columns.filter((c) => c.stored.kind !== 'json') };
  await using reader = await endpoint.snapshot({ signal });
  const rows = await readAll(reader, selection);
  assert.ok(rows.length > 0);
  for (const form of reader.hashing!.forms) {
    const hash = spec(form);
    const model = rowHasher(selection.columns, selection.keyWidth, hash);
    let i = 0;
    for await (const batch of reader.hashing!.hashes(selection, { kind: 'all' }, hash, { signal })) {
      for (let j = 0; j < batch.count; j++, i++) {
        const expected = rows[i]!;
        model.hash(expected);
        assert.deepEqual(
          [batch.hashes[2 * j], batch.hashes[2 * j + 1]],
          [model.out[0], model.out[1]],
          JSON.stringify(expected),
        );
        const found = batch.keys.kind === 'int64' ? [String(batch.keys.values[j])] : batch.keys.values[j];
        assert.deepEqual(found, expected.slice(0, selection.keyWidth));
      }
    }
    assert.equal(i, rows.length);
    const partition: Partition = { by: 'hash', count: 8, hash };
    const sums = new Map<number, { rows: number; sum: bigint }>();
    for (const r of rows) {
      model.hash(r);
      const part = model.bucket(r, 8);
      const sum = sums.get(part) ?? { rows: 0, sum: 0n };
      sums.set(part, {
        rows: sum.rows + 1,
        sum: BigInt.asUintN(64, sum.sum + (BigInt(model.out[0]! >>> 0) << 32n) + BigInt(model.out[1]! >>> 0)),
      });
    }
    const digests = await reader.hashing!.digest(selection, partition, hash, { signal });
    assert.deepEqual(new Map(digests.map((d) => [d.part, { rows: d.rows, sum: d.sum }])), sums);
    const [all] = await reader.hashing!.digest(selection, undefined, hash, { signal });
    assert.equal(all!.rows, rows.length);
    assert.equal(
      all!.sum,
      BigInt.asUintN(
        64,
        [...sums.values()].reduce((n, s) => n + s.sum, 0n),
      ),
    );
    const wanted = [1, 6];
    const chosen = await readAll(reader, selection, { kind: 'parts', partition, parts: wanted });
    assert.deepEqual(
      chosen,
      rows.filter((r) => wanted.includes(model.bucket(r, 8))),
    );
  }
};

test('hashes made in the server are those of the model, for every type and its hardest values', async () => {
  await using db = await testDatabase();
  await db.query(`
    create extension citext; create type mood as enum ('sad', 'glad');
    create table a (id bigint primary key, b bool, i2 int2, i4 int4, i8 int8, n numeric, n2 numeric(30,4), m money, f4 float4, f8 float8, t text, v varchar(9), c char(5), ct citext, nm name, o oid, by bytea, u uuid,
      d date, tm time, ts timestamp, tsz timestamptz, iv interval, bi bit(4), vb varbit, e mood, ar int[], ine inet, j jsonb);
    insert into a (id) values (-9223372036854775808), (0);
    insert into a values
      (1, true, 32767, -1, 140, '0', 'NaN', 1.5, 0, '-0', '', '', 'ab', 'ABC', 'x', 4294967295, '', '00000000-0000-0000-0000-000000000000', 'infinity', '24:00', 'infinity', '-infinity', '1 mon', '0101', '', 'sad', '{}', '::1', '{}'),
      (2, false, -32768, 0, 140::int8 << 32, 'NaN', 0, -1.5, 'nan', 'inf'::float8 - 'inf'::float8, 'é😀', 'a ', 'a', 'abc', 'X', 0, '\\x00', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '-infinity', '00:00', '-infinity', 'infinity', '30 days', '1010', '10', 'glad', '{{1,2}}', '10.0.0.0/8', '[]'),
      (3, null, null, null, 9223372036854775807, 'Infinity', -0.0001, null, '-inf', 5e-324, repeat('x', 5000), null, null, null, null, null, '\\xff', null, '4713-01-01 BC', '23:59:59.999999', '294276-12-31 23:59:59.999999', '4713-01-01 00:00:00 BC', '-1 mon 2 days 0.000001 s', null, null, null, '{1,2}', null, null),
      (9223372036854775807, null, null, null, -9223372036854775808, '-Infinity', 99999999999999999999999999.9999, null, 1e-45, 1e23, E'a\\tb\\nc\\\\.', null, null, null, null, null, null, null, '9999-12-31', '12:00:00.5', '9999-12-31 23:59:59.999999', '9999-12-31 23:59:59.999998+00', null, null, null, null, null, null, null),
      (5, null, null, null, null, 5.00, 1, null, null, null, '-1', null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null), (6, null, null, null, null, -5, 10000, null, null, null, '--1', null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null),
      (7, null, null, null, null, 1e30, 100000000, null, null, null, '\\N', null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null), (8, null, null, null, null, 1e-30, 0.0001, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null)`);
  await agreesWithModel(db.url, 'a');
});

test('keys of every kind come in the one order, and ranges tile at every key', async () => {
  await using db = await testDatabase();
  await db.query(`
    create extension citext; create type mood as enum ('Z', 'a', 'é');
    create table t_text (k text primary key, x int); insert into t_text select k, 1 from unnest(array['', ' ', 'a', 'A', 'á', 'z', 'Z', 'aa', 'a b', 'a-b', '-', 'é', '😀', E'\\uFFFD', 'ab ', E'\\t', E'"\\\\', '{', 'NULL']) k;
    create table t_c (k text collate "C" primary key, x int); insert into t_c select * from t_text;
    create table t_char (k char(4) primary key, x int); insert into t_char select k, 1 from unnest(array['a', 'A', '', 'b', 'a b', 'é', E'a\\t']) k;
    create table t_ci (k citext primary key, x int); insert into t_ci select k, 1 from unnest(array['a', 'B', 'c', 'D', 'é']) k;
    create table t_num (k numeric primary key, x int); insert into t_num select k, 1 from unnest(array['NaN', 'Infinity', '-Infinity', 0, -1.5, 10, 9, 1e40]::numeric[]) k;
    create table t_f (k float8 primary key, x int); insert into t_f select k, 1 from unnest(array['NaN', 'inf', '-inf', 0, 0.1, -0.1, 1e300, 1e-300]::float8[]) k;
    create table t_uuid (k uuid primary key, x int); insert into t_uuid select gen_random_uuid(), 1 from generate_series(1, 40);
    create table t_bytes (k bytea primary key, x int); insert into t_bytes select k, 1 from unnest(array['', '\\x00', '\\x0001', '\\xff', '\\x7f']::bytea[]) k;
    create table t_date (k date primary key, x int); insert into t_date select k, 1 from unnest(array['infinity', '-infinity', '0044-03-15 BC', '0044-03-16 BC', '10000-01-01', '2020-01-01']::date[]) k;
    create table t_ts (k timestamptz primary key, x int); insert into t_ts select k, 1 from unnest(array['infinity', '-infinity', '0044-03-15 BC', '2020-01-01', '2020-01-01 00:00:00.000001']::timestamptz[]) k;
    create table t_bool (k bool primary key, x int); insert into t_bool values (true, 1), (false, 1);
    create table t_enum (k mood primary key, x int); insert into t_enum values ('Z', 1), ('a', 1), ('é', 1);
    create table t_bit (k varbit primary key, x int); insert into t_bit select k, 1 from unnest(array['', '1', '10', '0', '01', '100000001', '11111111']::varbit[]) k;
    create table t_iv (k interval primary key, x int); insert into t_iv values ('1 mon', 1), ('31 days', 1), ('2 hours', 1);
    create table t_two (a text, b int, c timestamp, primary key (a, b, c)); insert into t_two select chr(96 + g % 3), g % 5 - 2, timestamp '2020-01-01' + g % 7 * interval '1 us' from generate_series(1, 80) g on conflict do nothing`);
  await using endpoint = await connect(db.url);
  const { tables } = await endpoint.inspect({ signal });
  assert.equal(tables.length, 15);
  for (const table of tables) {
    await using reader = await endpoint.snapshot({ signal });
    const selection = nativeSelection(table, keyOf(table));
    const width = selection.keyWidth;
    const rows = await readAll(reader, selection);
    assert.ok(rows.length >= 2, table.name);
    for (let i = 1; i < rows.length; i++)
      assert.ok(
        compareKeys(keyTypes(selection), rows[i - 1]!, rows[i]!) < 0,
        `${table.name}: ${rows[i - 1]} before ${rows[i]}`,
      );
    for (let i = 0; i < rows.length; i++) {
      const bound = rows[i]!.slice(0, width);
      const below = await readAll(reader, selection, { kind: 'range', to: bound });
      const from = await readAll(reader, selection, { kind: 'range', from: bound });
      assert.deepEqual([...below, ...from], rows, `${table.name} at ${bound}`);
      assert.equal(below.length, i);
    }
    const some = rows.filter((_, i) => i % 2 === 0).map((r) => r.slice(0, width));
    const misses: Key[] = [
      row(...some[0]!.map(() => 'no such key')),
      row(...some[0]!.map(() => '\udc80\0')),
      row(...some[0]!.map(() => '99999999999999999999')),
    ];
    const found = await readAll(reader, selection, { kind: 'keys', keys: [...some.toReversed(), ...misses, some[0]!] });
    assert.deepEqual(
      found,
      rows.filter((_, i) => i % 2 === 0),
      table.name,
    );
    if (table.name === 't_text') {
      const hostile = row('a\udc80');
      const below = await readAll(reader, selection, { kind: 'range', to: hostile });
      assert.deepEqual(
        below,
        rows.filter((r) => compareKeys(keyTypes(selection), r, hostile) < 0),
        'a bound that PostgreSQL could not store',
      );
    }
    await agreesWithModel(db.url, table.name);
  }
});

test('ranges of an integer key are digested in one pass, clamped at both ends and up to the limits of int8', async () => {
  await using db = await testDatabase();
  await db.query(
    `create table a (id bigint primary key, t text); insert into a select g, 'x' || g from generate_series(-50, 150) g; insert into a values (9223372036854775807, 'max'), (-9223372036854775808, 'min')`,
  );
  await using endpoint = await connect(db.url);
  const table = await tableOf(endpoint, 'a');
  const selection = nativeSelection(table, ['id']);
  await using reader = await endpoint.snapshot({ signal });
  const rows = await readAll(reader, selection);
  const hash = spec();
  const model = rowHasher(selection.columns, 1, hash);
  for (const partition of [
    { by: 'range', origin: 0n, width: 10n, count: 10 },
    { by: 'range', origin: -7n, width: 3n, count: 4 },
    { by: 'range', origin: 5n, width: 1n, count: 1 },
    { by: 'range', origin: -(2n ** 63n), width: 2n ** 58n, count: 64 },
    { by: 'range', origin: -(2n ** 63n), width: 2n ** 63n, count: 2 },
  ] as const satisfies readonly Partition[]) {
    const partOf = (r: Row): number => {
      const place = (BigInt(r[0]!) - partition.origin) / partition.width;
      return BigInt(r[0]!) < partition.origin ? 0 : Math.min(partition.count - 1, Number(place));
    };
    const expected = new Map<number, [number, bigint]>();
    for (const r of rows) {
      model.hash(r);
      const [n, sum] = expected.get(partOf(r)) ?? [0, 0n];
      expected.set(partOf(r), [
        n + 1,
        BigInt.asUintN(64, sum + (BigInt(model.out[0]! >>> 0) << 32n) + BigInt(model.out[1]! >>> 0)),
      ]);
    }
    const digests = await reader.hashing!.digest(selection, partition, hash, { signal });
    assert.deepEqual(new Map(digests.map((d) => [d.part, [d.rows, d.sum]])), expected);
    const wanted = [0, 2, 3, partition.count - 1].filter((p) => p < partition.count);
    assert.deepEqual(
      await readAll(reader, selection, { kind: 'parts', partition, parts: wanted.toReversed() }),
      rows.filter((r) => wanted.includes(partOf(r))),
    );
  }
  assert.deepEqual(await reader.keyBounds(selection, { signal }), { min: -(2n ** 63n), max: 2n ** 63n - 1n });
  assert.equal(await reader.keyBounds({ ...selection, filter: 'false' }, { signal }), undefined);
});

test('a column read as another type is exact, and cannot hide a difference', async () => {
  await using db = await testDatabase();
  await db.query(`create table a (i int primary key, b bool, d date, u uuid, f float8, n numeric(10,4), c char(4), t text, ts timestamp);
    insert into a values (5, true, '0044-03-15 BC', '550e8400-e29b-41d4-a716-446655440000', 1e23, 19.9049, 'ab', '12.50', '2020-01-01 00:00:00.000001'), (6, false, 'infinity', null, 'NaN', 'NaN', '', '1e3', 'infinity')`);
  await using endpoint = await connect(db.url);
  const table = await tableOf(endpoint, 'a');
  const type = (name: string): ColumnType => table.columns.find((c) => c.name === name)!.type;
  const decimal: ColumnType = { kind: 'decimal', special: true };
  const text: ColumnType = { kind: 'text' };
  const as: readonly (readonly [string, ColumnType, readonly (string | null)[], boolean])[] = [
    ['i', decimal, ['5', '6'], true],
    ['i', text, ['5', '6'], true],
    ['b', { kind: 'int', bits: 32 }, ['1', '0'], true],
    ['b', text, ['true', 'false'], true],
    ['d', { kind: 'timestamp', fraction: 6 }, ['0044-03-15 00:00:00 BC', 'infinity'], true],
    ['d', { kind: 'instant', fraction: 6 }, ['0044-03-15 00:00:00 BC', 'infinity'], true],
    ['u', text, ['550e8400-e29b-41d4-a716-446655440000', null], true],
    ['u', { kind: 'bytes' }, ['550e8400e29b41d4a716446655440000', null], true],
    ['f', decimal, ['100000000000000000000000', 'NaN'], false],
    ['f', text, ['1e+23', 'NaN'], false],
    ['n', text, ['19.9049', 'NaN'], true],
    ['c', text, ['ab', ''], true],
    ['t', decimal, ['12.5', '1000'], false],
    ['ts', { kind: 'instant', fraction: 6 }, ['2020-01-01 00:00:00.000001', 'infinity'], true],
  ];
  await using reader = await endpoint.snapshot({ signal });
  const hash = spec();
  for (const [name, common, expected, hashable] of as) {
    const selection: Selection = {
      table,
      columns: [columnAs('i', type('i'), type('i')), columnAs(name, type(name), common)],
      keyWidth: 1,
    };
    const rows = await readAll(reader, selection);
    assert.deepEqual(
      rows.map((r) => r[1]),
      expected,
      `${name} as ${common.kind}`,
    );
    assert.equal(
      reader.hashing!.supports(selection.columns[1]!),
      hashable ? 'exact' : undefined,
      `${name} as ${common.kind}`,
    );
    if (!hashable) continue;
    const model = rowHasher(selection.columns, 1, hash);
    let i = 0;
    for await (const batch of reader.hashing!.hashes(selection, { kind: 'all' }, hash, { signal })) {
      for (let j = 0; j < batch.count; j++, i++) {
        model.hash(rows[i]!);
        assert.deepEqual(
          [batch.hashes[2 * j], batch.hashes[2 * j + 1]],
          [model.out[0], model.out[1]],
          `${name} as ${common.kind}`,
        );
      }
    }
    assert.equal(i, 2);
  }
});

test('a key read as text is found by its very text, and what is no value of the column finds nothing', async () => {
  await using db = await testDatabase();
  await db.query(`create table i (k int primary key); insert into i values (7); create table d (k date primary key); insert into d values ('2020-02-28');
    create table b (k bool primary key); insert into b values (true); create table n (k numeric primary key); insert into n values (12.5)`);
  await using endpoint = await connect(db.url);
  await using reader = await endpoint.snapshot({ signal });
  const asked = {
    i: ['7', '007', '+7', 'x'],
    d: ['2020-02-28', '2020-13-45', 'today'],
    b: ['true', 't', '1'],
    n: ['12.5', '12.50', '1e1'],
  };
  for (const [name, cells] of Object.entries(asked)) {
    const table = await tableOf(endpoint, name);
    const selection: Selection = {
      table,
      columns: [columnAs('k', table.columns[0]!.type, { kind: 'text' })],
      keyWidth: 1,
    };
    assert.deepEqual(
      await readAll(reader, selection, { kind: 'keys', keys: cells.map((c) => row(c)) }),
      [row(cells[0]!)],
      name,
    );
  }
});

test('a table without a key is read as distinct rows with their count, by what the values are', async () => {
  await using db = await testDatabase();
  await db.query(`
    create table a (x int, t text, f float8, i interval);
    insert into a values (1, 'b', 0, '1 mon'), (1, 'b', '-0', '1 mon'), (1, 'b', 0, '30 days'), (null, null, null, null), (null, null, null, null), (1, 'B', 'NaN', null), (null, '', null, null);
    create table j (v json); insert into j values ('{"b":1,"a":2}'), ('{"a":2.0, "b":1}'), ('[]'), (null), (null)`);
  await using endpoint = await connect(db.url);
  await using reader = await endpoint.snapshot({ signal });
  assert.deepEqual(await readAll(reader, nativeSelection(await tableOf(endpoint, 'a'), [])), [
    row(null, null, null, null, '2'),
    row(null, '', null, null, '1'),
    row('1', 'B', 'NaN', null, '1'),
    row('1', 'b', '0', 'P1M', '2'),
    row('1', 'b', '0', 'P30D', '1'),
  ]);
  assert.deepEqual(await readAll(reader, nativeSelection(await tableOf(endpoint, 'j'), [])), [
    row(null, '2'),
    row('[]', '1'),
    row('{"a":2,"b":1}', '2'),
  ]);
});
