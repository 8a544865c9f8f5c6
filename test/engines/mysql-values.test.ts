import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { doubleFromHex } from '../../src/model/canon/float.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { rowHasher } from '../../src/model/hash/row-hash.ts';
import { compareKeys } from '../../src/model/order.ts';
import type { Key, Row } from '../../src/model/row.ts';
import { keyTypes, nativeSelection } from '../../src/model/selection.ts';
import { isMariadbMissing, type MariadbDatabase, mariadbDatabase } from '../servers/mariadb.ts';
import { common } from '../values/vectors.ts';
import { connect } from './mysql-support.ts';
import { batchOf, insert, keyOf, never, readAll, remove, rowsNow, tableOf, update } from './postgres-support.ts';

const signal = never;

interface Vector {
  readonly kind: string;
  readonly type: string;
  readonly literal: string;
  /** What is read, as the common type of its kind (`vectors.ts`) or, where there is none, as its own. */
  readonly cell: string | null;
}

const file = JSON.parse(readFileSync(new URL('../golden/canonical.json', import.meta.url), 'utf8')) as {
  readonly kinds: Readonly<
    Record<string, { readonly vectors: readonly { readonly canon: string | null; readonly my?: [string, string][] }[] }>
  >;
};

/** The file keeps as texts what our types cannot read: that is a misfit here, kept whole. */
const cellOf = (kind: string, canon: string | null): string | null => {
  if (canon === null) return null;
  if (kind === 'f8' || kind === 'f4') return doubleFromHex(canon);
  if (kind === 'bool') return canon === '1' ? 'true' : canon === '0' ? 'false' : `\udc00n${canon}`;
  const odd =
    (kind === 'time' && canon !== '24:00:00' && /^-|^\d{3}|^(2[4-9]|[3-9]\d)/.test(canon)) ||
    (/^(date|ts|instant)$/.test(kind) && /0000-|-00|2023-02-31/.test(canon));
  return odd ? `\udc00t${canon}` : canon;
};

const vectors: readonly Vector[] = Object.entries(file.kinds).flatMap(([kind, { vectors }]) =>
  vectors.flatMap((v) =>
    (v.my ?? []).map(([type, literal]) => ({
      // what is beyond 64 bits is a decimal
      kind: kind === 'int' && /^(bigint (unsigned|zerofill)|decimal)/.test(type) ? 'dec' : kind,
      type: type.replace(/:.*/, ''),
      literal,
      cell: cellOf(kind, v.canon),
    })),
  ),
);

/** One table: a column for each kind and type, a row for each vector. */
const vectorTable = async (db: MariadbDatabase): Promise<readonly string[]> => {
  const types = [...new Set(vectors.map((v) => `${v.kind} ${v.type}`))];
  const columns = types.map((t, i) => `c${i} ${t.slice(t.indexOf(' ') + 1)} ${t.endsWith('null') ? '' : 'null'}`);
  await db.query(`create table v (id int primary key, ${columns.join(', ')})`);
  await db.query(`set sql_mode = 'ALLOW_INVALID_DATES'`);
  for (const [i, v] of vectors.entries())
    await db.query(`insert into v (id, c${types.indexOf(`${v.kind} ${v.type}`)}) values (${i}, ${v.literal})`);
  return types;
};

if (!isMariadbMissing) {
  test('every golden value is read as its canonical text, hashed as the model does, and written back as it was', async () => {
    await using db = await mariadbDatabase();
    const types = await vectorTable(db);
    assert.ok(vectors.length > 200 && types.length > 35, `only ${vectors.length} values of ${types.length} types`);
    await using endpoint = await connect(db.url, { writable: true });
    const table = await tableOf(endpoint, 'v');
    const whole = nativeSelection(table, ['id']);
    const selection = {
      ...whole,
      columns: whole.columns.map(({ exact: _, ...c }, i) => ({
        ...c,
        as: i === 0 ? c.as : (common[types[i - 1]!.split(' ')[0]!] ?? c.stored),
      })),
    };
    await using reader = await endpoint.snapshot({ signal });
    const rows = await readAll(reader, selection);
    const wrong = vectors.flatMap((v, i) => {
      const at = types.indexOf(`${v.kind} ${v.type}`) + 1;
      const found = rows[i]![at];
      return found === v.cell ? [] : [`${v.kind} ${v.type} ${v.literal}: ${String(found)} for ${v.cell}`];
    });
    assert.deepEqual(wrong, []);

    const hash = { seed: 77n, form: 'bytes' } as const;
    const hasher = rowHasher(selection.columns, 1, hash);
    let n = 0;
    for await (const batch of reader.hashing!.hashes(selection, { kind: 'all' }, hash, { signal })) {
      for (let i = 0; i < batch.count; i++, n++) {
        hasher.hash(rows[n]!);
        assert.deepEqual([...batch.hashes.subarray(2 * i, 2 * i + 2)], [...hasher.out], vectors[n]!.literal);
      }
    }
    assert.equal(n, vectors.length);

    // an enum's value of no label came by a session that let it pass: nobody can write it again
    const before = (await rowsNow(endpoint, table)).filter((_, i) => vectors[i]!.literal !== "'bogus'");
    const bogus = vectors.findIndex((v) => v.literal === "'bogus'");
    await db.query(`delete from v where id = ${bogus}`);
    const writer = endpoint.writer!;
    const gone = await writer.apply(
      { run: 'r', step: 1, token: 0n },
      [batchOf(table, ...before.map((r) => remove(table, r)))],
      { signal },
    );
    assert.equal(gone.status, 'done', JSON.stringify(gone));
    assert.equal((await rowsNow(endpoint, table)).length, 0);
    const back = await writer.apply(
      { run: 'r', step: 2, token: 0n },
      [batchOf(table, ...before.map((r) => insert(table, r)))],
      { signal },
    );
    assert.equal(back.status, 'done', JSON.stringify(back).slice(0, 2000));
    assert.deepEqual(await rowsNow(endpoint, table), before);
  });

  /** Reads a table whole, by key ranges at every key, and by keys; sees that all agree and come in the one order. */
  const agreesWithItself = async (endpoint: Endpoint, name: string, ranges = true): Promise<readonly Row[]> => {
    const table = await tableOf(endpoint, name);
    const selection = nativeSelection(table, keyOf(table));
    const types = keyTypes(selection);
    await using reader = await endpoint.snapshot({ signal });
    const rows = await readAll(reader, selection);
    assert.ok(rows.length > 2, `${name} has ${rows.length} rows`);
    const keys = rows.map((r): Key => r.slice(0, selection.keyWidth));
    keys.forEach((k, i) => {
      assert.ok(i === 0 || compareKeys(types, keys[i - 1]!, k) < 0, `${name}: ${keys[i - 1]} before ${k}`);
    });
    for (const [i, from] of keys.entries()) {
      const to = keys[i + 1];
      if (ranges) {
        const some = await readAll(reader, selection, { kind: 'range', from, ...(to ? { to } : {}) });
        assert.deepEqual(some, [rows[i]], `${name}: from ${from} to ${to}`);
      }
      assert.deepEqual(await readAll(reader, selection, { kind: 'keys', keys: [from] }), [rows[i]], `${name}: ${from}`);
    }
    assert.deepEqual(await readAll(reader, selection, { kind: 'keys', keys: [...keys].reverse() }), rows);
    return rows;
  };

  test('keys of every type and collation come in the one order, and are found by range and by name', async () => {
    await using db = await mariadbDatabase();
    const texts = `(''),('a'),('B'),('c d'),('c-d'),('\u00e9'),('z'),('\u00ff'),('10'),('9'),('_'),('%'),('~'),('''')`;
    for (const [i, type] of [
      'varchar(50)',
      'varchar(50) collate utf8mb4_bin',
      'varchar(50) collate utf8mb4_nopad_bin',
      'varchar(50) character set latin1',
      'varchar(50) character set utf8mb3',
      'char(20)',
      'char(20) character set latin1 collate latin1_bin',
      'varchar(700)',
    ].entries()) {
      await db.query(`create table t${i} (k ${type}, x int, primary key (k))`);
      await db.query(`insert into t${i} (k) values ${texts}`);
    }
    const others: Readonly<Record<string, readonly [type: string, values: string]>> = {
      u: ['bigint unsigned', '(0),(9223372036854775807),(9223372036854775808),(18446744073709551615)'],
      z: ['int zerofill', '(0),(7),(10),(4294967295)'],
      tiny: ['tinyint(1)', '(0),(1),(2),(10),(-1),(-128),(127)'],
      tu: ['tinyint unsigned', '(0),(1),(200)'],
      d: ['double', '(0.1),(-0.1),(1e300),(1e-300),(-1e10),(0)'],
      f: ['float', '(0.1),(-0.1),(3e38),(0)'],
      de: ['decimal(30,10)', '(0),(-1.5),(10),(9.9999999999)'],
      y: ['year', '(2024),(1901),(0)'],
      b: ['varbinary(20)', `(x''),(x'00'),(x'0001'),(x'ff'),(x'20')`],
      bf: ['binary(3)', `(x'000001'),(x'ff0000'),(x'202020')`],
      bits: ['bit(9)', `(b'0'),(b'1'),(b'100000000'),(b'11111111')`],
      e: [`enum('z','a','B')`, `('z'),('a'),('B')`],
      s: [`set('z','a')`, `(''),('z'),('a'),('z,a')`],
      dt: [
        'datetime(6)',
        `('2024-01-01'),('0001-01-01'),('9999-12-31 23:59:59.999999'),('2024-01-01 00:00:00.000001')`,
      ],
      ts: ['timestamp(3)', `('2024-01-01'),('1970-01-01 00:00:01'),('2024-01-01 00:00:00.001')`],
      tm: ['time(6)', `('00:00'),('23:59:59.999999'),('00:00:00.000001')`],
      uu: [
        'uuid',
        `('00000000-0000-1000-8000-000000000000'),('f47ac10b-58cc-4372-a567-0e02b2c3d479'),('0fffffff-ffff-4fff-bfff-ffffffffffff')`,
      ],
      ip: ['inet6', `('::1'),('2001:db8::1'),('::ffff:10.0.0.1')`],
      j: ['varchar(100) check (json_valid(k))', `('1'),('{"a":1}'),('"x"')`],
    };
    for (const [name, [type, values]] of Object.entries(others)) {
      await db.query(`create table ${name} (k ${type}, x int, primary key (k))`);
      await db.query(`insert into ${name} (k) values ${values}`);
    }
    await db.query(`create table two (a varchar(9), b tinyint(1), c int, primary key (a, b, c))`);
    await db.query(`insert into two values ('a',0,1),('a',1,-1),('a',3,5),('A ',2,0),('b',0,-5),('b',0,7)`);
    await using endpoint = await connect(db.url);
    const names = [...Array.from({ length: 8 }, (_, i) => `t${i}`), ...Object.keys(others), 'two'];
    // JSON is put in order on our side, as a whole
    for (const name of names) await agreesWithItself(endpoint, name, name !== 'j');
    assert.equal((await agreesWithItself(endpoint, 'tiny'))[2]![0], '\udc00n-1');
  });

  test('uuids that are kept as text are keys like any other, however they are written', async () => {
    await using db = await mariadbDatabase();
    const uuid = (n: number): string =>
      `${String(n * 7919).padStart(8, '0')}-0000-4000-8000-${String(n).padStart(12, 'a')}`;
    for (const [name, type] of [
      ['c', 'char(36) character set latin1'],
      ['v', 'varchar(50) collate utf8mb4_bin'],
    ]) {
      await db.query(`create table ${name} (k ${type} primary key, x int)`);
      const rows = Array.from({ length: 1200 }, (_, n) => `('${n % 2 ? uuid(n).toUpperCase() : uuid(n)}', ${n})`);
      await db.query(`insert into ${name} values ${rows.join(', ')}`);
    }
    await using endpoint = await connect(db.url);
    await using reader = await endpoint.snapshot({ signal });
    for (const name of ['c', 'v']) {
      const native = nativeSelection(await tableOf(endpoint, name), ['k']);
      const columns = native.columns.map((c, i) => (i === 0 ? { ...c, as: { kind: 'uuid' as const } } : c));
      const selection = { ...native, columns };
      const rows = await readAll(reader, selection);
      const wanted = Array.from({ length: 1200 }, (_, n) => uuid(n)).sort();
      assert.deepEqual(
        rows.map((r) => r[0]),
        wanted,
      );
      const [from, to] = [rows[400]!.slice(0, 1), rows[900]!.slice(0, 1)];
      assert.deepEqual(await readAll(reader, selection, { kind: 'range', from, to }), rows.slice(400, 900));
      const some = rows.filter((_, i) => i % 2 === 0).map((r) => r.slice(0, 1));
      assert.equal((await readAll(reader, selection, { kind: 'keys', keys: some })).length, 600);
    }
    // without hyphens it has another place in the database's order: told, not misread
    await db.query(`insert into v values ('${uuid(5000).replaceAll('-', '')}', 0), ('{${uuid(5001)}}', 0)`);
    await using later = await endpoint.snapshot({ signal });
    const native = nativeSelection(await tableOf(endpoint, 'v'), ['k']);
    const selection = {
      ...native,
      columns: native.columns.map((c, i) => (i === 0 ? { ...c, as: { kind: 'uuid' as const } } : c)),
    };
    const keys = [uuid(5000), uuid(5001)].map((k) => [k]) as unknown as Key[];
    assert.deepEqual(
      (await readAll(later, selection, { kind: 'keys', keys })).map((r) => r[0]),
      [uuid(5000), uuid(5001)],
    );
    await db.query(`insert into v values ('${'f'.repeat(8)}', 0)`);
    await using last = await endpoint.snapshot({ signal });
    await assert.rejects(readAll(last, selection), /orders the key/);
  });

  test('a key that holds what has no place in the order is refused, and not misread', async () => {
    await using db = await mariadbDatabase();
    await db.query(`create table zero (k date primary key); set sql_mode = ''`).catch(() => {});
    await db.query('create table if not exists zero (k date primary key)');
    await db.query(`set sql_mode = ''`);
    await db.query(`insert into zero values ('0000-00-00'), ('2024-01-01')`);
    await using endpoint = await connect(db.url);
    await using reader = await endpoint.snapshot({ signal });
    const selection = nativeSelection(await tableOf(endpoint, 'zero'), ['k']);
    await assert.rejects(readAll(reader, selection), /orders the key of .*zero in another way/);
  });

  test('a column that sets itself to the time of the update keeps what it holds', async () => {
    await using db = await mariadbDatabase();
    await db.query(
      'create table t (id int primary key, v int, at timestamp(6) not null default current_timestamp(6) on update current_timestamp(6))',
    );
    await db.query(`insert into t values (1, 1, '2001-02-03 04:05:06.5')`);
    await using endpoint = await connect(db.url, { writable: true });
    const table = await tableOf(endpoint, 't');
    const [row] = await rowsNow(endpoint, table);
    const change = update(table, row!, [row![0]!, '2' as never, row![2]!]);
    assert.equal(
      (await endpoint.writer!.apply({ run: 'r', step: 1, token: 0n }, [batchOf(table, change)], { signal })).status,
      'done',
    );
    assert.deepEqual(await rowsNow(endpoint, table), [['1', '2', '2001-02-03 04:05:06.5']]);
  });

  test('what a column would store in another form is refused', async () => {
    await using db = await mariadbDatabase();
    await db.query(
      `create table t (id int primary key, b binary(4), d datetime, s set('x','y'), f double(8,2), l varchar(9) character set latin1, e varchar(2))`,
    );
    await using endpoint = await connect(db.url, { writable: true });
    const table = await tableOf(endpoint, 't');
    const bad: Readonly<Record<string, string>> = {
      b: 'ab',
      d: '2024-01-01 00:00:00.5',
      s: 'y,x',
      f: '0.125',
      l: '\u{1f600}',
      e: 'abc',
    };
    for (const [name, cell] of Object.entries(bad)) {
      const row = ['1', ...table.columns.slice(1).map((c) => (c.name === name ? cell : null))] as unknown as Row;
      const applied = await endpoint.writer!.apply(
        { run: 'r', step: 1, token: 0n },
        [batchOf(table, insert(table, row))],
        { signal },
      );
      assert.equal(applied.status, 'rejected', name);
      assert.deepEqual(await rowsNow(endpoint, table), []);
    }
  });
}
