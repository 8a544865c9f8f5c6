import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { sqlite } from '../../src/engines/sqlite/index.ts';
import { misfit } from '../../src/model/canon/misfit.ts';
import type { Change } from '../../src/model/change.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { rowHasher } from '../../src/model/hash/row-hash.ts';
import type { HashSpec } from '../../src/model/hash/spec.ts';
import { compareKeys } from '../../src/model/order.ts';
import type { Reader } from '../../src/model/reader.ts';
import type { Row } from '../../src/model/row.ts';
import type { Table } from '../../src/model/schema.ts';
import type { Selection } from '../../src/model/selected.ts';
import { keyTypes, nativeSelection } from '../../src/model/selection.ts';

/** Whole rows as values: hashes and orders know nothing of spellings. */
const wholeRows = (table: Table, key: readonly string[]): Selection => {
  const selection = nativeSelection(table, key);
  return { ...selection, columns: selection.columns.map(({ exact: _, ...column }) => column) };
};

const signal = new AbortController().signal;
const spec: HashSpec = { seed: 42n, form: 'bytes' };

interface Lab extends AsyncDisposable {
  readonly raw: DatabaseSync;
  readonly endpoint: Endpoint;
  readonly reader: Reader;
  readonly table: Table;
  readonly selection: Selection;
}

const lab = async (sql: string, table = 't', key?: readonly string[]): Promise<Lab> => {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-sqlite-'));
  const raw = new DatabaseSync(join(dir, 'x.db'), { enableForeignKeyConstraints: false });
  raw.exec(sql);
  raw.exec('pragma journal_mode = wal');
  const endpoint = await sqlite.connect(sqlite.parse(`sqlite:${join(dir, 'x.db')}`), {
    name: 'lab',
    writable: true,
    signal,
  });
  const found = (await endpoint.inspect({ signal })).tables.find((t) => t.name === table)!;
  const reader = await endpoint.snapshot({ signal });
  const columns = key ?? found.uniques.find((u) => u.total)?.columns ?? [];
  return {
    raw,
    endpoint,
    reader,
    table: found,
    selection: wholeRows(found, columns),
    [Symbol.asyncDispose]: async () => {
      await reader[Symbol.asyncDispose]();
      await endpoint[Symbol.asyncDispose]();
      raw.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
};

const scan = async (l: Lab, selection = l.selection): Promise<readonly Row[]> =>
  (await Array.fromAsync(l.reader.scan(selection, { kind: 'all' }, { signal }))).flat();

/** Sees that the fast hashes of a table are those of its canonical cells, in the same order. */
const hashesAgree = async (l: Lab, selection = l.selection): Promise<void> => {
  const rows = await scan(l, selection);
  for (const hash of [spec, { ...spec, form: 'hex' } as const]) {
    const hasher = rowHasher(selection.columns, selection.keyWidth, hash);
    let sum = 0n;
    const wanted = rows.map((row) => {
      hasher.hash(row);
      const h = BigInt.asUintN(64, (BigInt(hasher.out[0]!) << 32n) | BigInt(hasher.out[1]! >>> 0));
      sum = BigInt.asUintN(64, sum + h);
      return h;
    });
    const digest = await l.reader.hashing!.digest(selection, undefined, hash, { signal });
    assert.deepEqual(digest, [{ part: 0, rows: rows.length, sum }]);
    const batches = await Array.fromAsync(l.reader.hashing!.hashes(selection, { kind: 'all' }, hash, { signal }));
    const streamed = batches.flatMap((b) =>
      Array.from({ length: b.count }, (_, i) =>
        BigInt.asUintN(64, (BigInt(b.hashes[2 * i]!) << 32n) | BigInt(b.hashes[2 * i + 1]! >>> 0)),
      ),
    );
    assert.deepEqual(streamed, wanted);
  }
  const types = keyTypes(selection);
  for (let i = 1; i < rows.length; i++)
    assert.ok(compareKeys(types, rows[i - 1]!, rows[i]!) < 0, `row ${i} is out of order`);
};

test('a value of another storage class is kept apart and equals no value of the type', async () => {
  await using l = await lab(`
    create table t (id integer primary key, n integer, v text, b blob, a numeric, d date, f real, o boolean);
    insert into t values (1, '5', '5', x'35', '19.90', '2024-01-01', 1, 1);
    insert into t values (2, 'five', x'35', '5', x'31', 20240101, 'x', 2);
    insert into t values (3, 5.5, x'', 5, 'x|y', x'00', x'', 'true');
    insert into t values (4, x'35', '', x'', 5, '2024-02-31', 9e999, 0.5)`);
  const rows = await scan(l);
  assert.deepEqual(rows, [
    ['1', '5', '5', '35', '19.9', '2024-01-01', '1', 'true'],
    [
      '2',
      misfit('t', 'five'),
      misfit('b', '35'),
      misfit('t', '5'),
      misfit('b', '31'),
      misfit('n', '20240101'),
      misfit('t', 'x'),
      misfit('n', '2'),
    ],
    [
      '3',
      misfit('n', '5.5'),
      misfit('b', ''),
      misfit('n', '5'),
      misfit('t', 'x|y'),
      misfit('b', '00'),
      misfit('b', ''),
      'true',
    ],
    ['4', misfit('b', '35'), '', '', '5', misfit('t', '2024-02-31'), 'Infinity', misfit('n', '0.5')],
  ]);
  await hashesAgree(l);
});

test('frames hash as canonical cells do, whatever is in them', async () => {
  const numbers = [
    '0',
    '-1',
    '1.5',
    '0.1',
    '1e300',
    '0.23082664287297427',
    '5e-324',
    '-9223372036854775808',
    '9007199254740993',
    '0.30000000000000004',
    '123456789012345.6',
    '1e23',
    '9e999',
    'null',
    "'12'",
    "'1e2'",
    "x'3132'",
    "'a|b'",
    '19.99',
    '-0.0',
    '100.00',
    '1e15',
  ];
  const texts = [
    "''",
    'null',
    "'a'",
    "'1:b|'",
    "'S'",
    "x'53'",
    "cast(x'61ff00e2' as text)",
    "'a' || char(0) || 'b'",
    "'\u{1f600}'",
    "' x  '",
    "'2024-02-29 12:00:00.50'",
    "'2024-02-29T12:00:00'",
    "'2024-02-29 12:00:00Z'",
    "'2024-02-29'",
    "'0001-01-01'",
    "'9999-12-31 23:59:59.999999'",
    "'550E8400-E29B-41D4-A716-446655440000'",
    "'550e8400-e29b-41d4-a716-446655440000'",
    "x'550e8400e29b41d4a716446655440000'",
    '\'{"b":1, "a":2}\'',
    "printf('%.*c', 150000, 'x')",
    'char(31)',
    "'a' || char(31) || char(31) || '5' || char(31)",
    "cast(x'fe61' as text)",
    "cast(x'ff' as text)",
    "'2024-02-29T12:00:00.123Z'",
    "'2024-02-29 12:00:00+00:00'",
    "'2024-02-29 12:00:00+01'",
    "'12:00:00.5'",
  ];
  const rows: string[] = [];
  for (let i = 0; i < 400; i++) {
    const n = (k: number): string => numbers[(i * 7 + k * 5 + Math.floor(i / 21) * k) % numbers.length]!;
    const s = (k: number): string => texts[(i * 11 + k * 3 + Math.floor(i / 21) * k) % texts.length]!;
    rows.push(
      `(${i * 3 - 50}, ${n(1)}, ${n(2)}, ${n(3)}, ${n(4)}, ${s(1)}, ${s(2)}, ${s(3)}, ${s(4)}, ${s(5)}, ${s(6)}, ${s(7)})`,
    );
  }
  await using l = await lab(`
    create table t (id integer primary key, i int, a decimal(20,4), f double, o bool, v text, c char(5), u uuid, ts timestamp, d date, x blob, y);
    insert into t values ${rows.join(',\n')}`);
  await hashesAgree(l);
  const columns = l.selection.columns.filter((c) => c.name !== 'x');
  await hashesAgree(l, { ...l.selection, columns });
  // One row to a chunk: what is odd in one does not save the next from being read as a frame.
  for (const column of columns.slice(1)) {
    for (let i = 0; i < 40; i++)
      await hashesAgree(l, { ...l.selection, columns: [columns[0]!, column], filter: `id = ${i * 3 - 50}` });
  }
});

test('separators in texts never make rows of other rows, even where as many cells are missing', async () => {
  await using l = await lab(`
    create table t (id integer primary key, a text, b text, c integer);
    insert into t values
      (1, 'x', 'y', 1), (2, 'x' || char(31) || 'y' || char(31) || '1' || char(31) || '3' || char(31) || 'z', 'w', 2),
      (3, x'7a', 'w', 2), (4, null, '', null), (5, '', null, 0),
      (6, 'x' || char(31), char(31) || 'y', 1), (7, 'a', 'b', 'c'), (8, 'a' || char(31) || 'b' || char(31) || 'c' || char(31) || '9', 'b', 1),
      (9, 'a', printf('%.*c', 150000, 'x'), 1)`);
  await hashesAgree(l);
  for (const ids of ['2, 3', '3, 2', '7, 8', '8, 9', '4, 5', '6'])
    await hashesAgree(l, { ...l.selection, filter: `id in (${ids})` });
});

test('every value alone hashes in its frame as its canonical cell does', async () => {
  const values = [
    '0',
    '19.99',
    '0.30000000000000004',
    '0.23082664287297427',
    '5e-324',
    '1e300',
    '-9223372036854775808',
    '9e999',
    "'5'",
    "'a'",
    "''",
    "x'35'",
    "x'61'",
    "x''",
    'null',
    "cast(x'61ff' as text)",
    "'a '",
    "'2024-02-29 12:00:00.5'",
    "'2024-02-29T12:00:00Z'",
    "'2024-02-29'",
    "'2024-02-30'",
    "'550E8400-E29B-41D4-A716-446655440000'",
    '1',
    '2',
    '9007199254740993',
    '1.5',
  ];
  const names = ['i', 'a', 'f', 'o', 'v', 'c', 'u', 'ts', 'd', 'x', 'y'];
  await using l = await lab(`
    create table t (id integer primary key, i int, a decimal(20,4), f double, o bool, v text, c char(5), u uuid, ts timestamp, d date, x blob, y);
    insert into t values ${values.map((v, n) => `(${n}, ${names.map(() => v).join(', ')})`).join(',\n')}`);
  const rows = await scan(l);
  for (const name of names) {
    const at = l.selection.columns.findIndex((c) => c.name === name);
    const columns = [l.selection.columns[0]!, l.selection.columns[at]!];
    const hasher = rowHasher(columns, 1, spec);
    for (const [n, value] of values.entries()) {
      hasher.hash([rows[n]![0]!, rows[n]![at]!]);
      const sum = BigInt.asUintN(64, (BigInt(hasher.out[0]!) << 32n) | BigInt(hasher.out[1]! >>> 0));
      const one = { ...l.selection, columns, filter: `id = ${n}` };
      const digest = await l.reader.hashing!.digest(one, undefined, spec, { signal });
      assert.deepEqual(digest, [{ part: 0, rows: 1, sum }], `${value} in ${name}`);
    }
  }
});

test('many plain rows, and one that lies among them, hash as their cells', async () => {
  await using l = await lab(`
    create table t (id integer primary key, k text unique not null, n integer, ts timestamp);
    insert into t with recursive c(x) as (select 1 union all select x + 1 from c where x < 9000)
      select x, 'key ' || x, x * 1000003, datetime('2000-01-01', x || ' seconds') from c;
    update t set n = 'lies' where id = 4321; update t set k = cast(x'ff61' as text) where id = 77`);
  await hashesAgree(l);
  await hashesAgree(l, wholeRows(l.table, ['k']));
});

test('tables of any width hash', async () => {
  const columns = Array.from({ length: 1999 }, (_, i) => `c${i}`);
  const values = columns.map((_, i) => (i % 3 === 0 ? i : i % 3 === 1 ? `'v ${i}'` : 'null'));
  await using l = await lab(`
    create table t (id integer primary key, ${columns.map((c, i) => `${c} ${i % 3 === 0 ? 'int' : 'text'}`).join(', ')});
    insert into t values (1, ${values.join(', ')}), (2, ${values.join(', ')})`);
  await hashesAgree(l);
  await hashesAgree(l, { ...l.selection, columns: l.selection.columns.slice(0, 300) });
});

test('text that is not valid is kept byte by byte, and written back so', async () => {
  await using l = await lab(`
    create table t (id integer primary key, v text);
    insert into t values (1, cast(x'61ff62' as text)), (2, cast(x'61fe62' as text)), (3, 'a\ufffdb'), (4, 'x' || char(0) || 'y')`);
  const rows = await scan(l);
  assert.deepEqual(
    rows.map((r) => r[1]),
    ['a\udcffb', 'a\udcfeb', 'a\ufffdb', 'x\0y'],
  );
  await hashesAgree(l);
  await l.endpoint.writer!.prepare({ signal });
  const change = {
    op: 'update',
    key: ['3'],
    before: rows[2]!,
    after: ['3', 'a\udcffb'],
    columns: [1],
  } as unknown as Change;
  const applied = await l.endpoint.writer!.apply(
    { run: 'r', step: 1, token: 0n },
    [{ table: l.table, key: ['id'], changes: [change] }],
    { signal },
  );
  assert.deepEqual(applied, { status: 'done' });
  const stored = l.raw.prepare('select typeof(v) as t, hex(v) as h from t where id = 3').get()!;
  assert.deepEqual([stored['t'], stored['h']], ['text', '61FF62']);
});

test('misfits are written back exactly as they were', async () => {
  await using l = await lab(`
    create table t (id integer primary key, n integer, v text, y);
    insert into t values (1, 'five', x'00ff', 5), (2, 5.5, x'', 5.0), (3, x'35', 'ok', x'01'), (4, null, null, null)`);
  const rows = await scan(l);
  const before = l.raw
    .prepare('select id, typeof(n) a, n, typeof(v) b, hex(v) v, typeof(y) c, hex(y) y from t order by id')
    .all();
  await l.endpoint.writer!.prepare({ signal });
  const step = (n: number, changes: readonly unknown[]) =>
    l.endpoint.writer!.apply(
      { run: 'r', step: n, token: 0n },
      [{ table: l.table, key: ['id'], changes: changes as Change[] }],
      { signal },
    );
  assert.deepEqual(
    await step(
      1,
      rows.map((r) => ({ op: 'delete', key: [r[0]], before: r, after: null })),
    ),
    { status: 'done' },
  );
  assert.deepEqual(
    await step(
      2,
      rows.map((r) => ({ op: 'insert', key: [r[0]], before: null, after: r, columns: [0, 1, 2, 3] })),
    ),
    { status: 'done' },
  );
  assert.deepEqual(
    l.raw.prepare('select id, typeof(n) a, n, typeof(v) b, hex(v) v, typeof(y) c, hex(y) y from t order by id').all(),
    before,
  );
});

test('a decimal that SQLite would round is refused, and nothing is written', async () => {
  await using l = await lab('create table t (id integer primary key, a numeric, v text)');
  await l.endpoint.writer!.prepare({ signal });
  const insert = (id: string, a: string) =>
    l.endpoint.writer!.apply(
      { run: 'r', step: Number(id), token: 0n },
      [
        {
          table: l.table,
          key: ['id'],
          changes: [
            { op: 'insert', key: [id], before: null, after: [id, a, null], columns: [0, 1] } as unknown as Change,
          ],
        },
      ],
      { signal },
    );
  assert.equal((await insert('1', '123456789012345678.123')).status, 'rejected');
  assert.equal((await insert('2', '12345678.25')).status, 'done');
  assert.equal(l.raw.prepare('select count(*) as n from t').get()!['n'], 1);
});

test('NOCASE and CHAR keys come in the one order, and are looked up exactly', async () => {
  await using l = await lab(`
    create table t (k text collate nocase primary key not null, v text) without rowid;
    insert into t values ('b', '1'), ('A', '2'), ('c', '3'), ('\u00e9', '4'), ('\u{1f600}', '5'), ('\ufffd', '6')`);
  assert.deepEqual(
    (await scan(l)).map((r) => r[0]),
    ['A', 'b', 'c', '\u00e9', '\ufffd', '\u{1f600}'],
  );
  const found = l.reader.scan(l.selection, { kind: 'keys', keys: [['a'], ['b'], ['C']] as never }, { signal });
  assert.deepEqual(
    (await Array.fromAsync(found)).flat().map((r) => r[0]),
    ['b'],
  );
  await hashesAgree(l);
});

test('padded keys are ordered without their padding', async () => {
  await using l = await lab(
    `create table t (k char(5) primary key not null, v text); insert into t values ('a ', '1'), ('a' || char(9), '2'), ('b', '3')`,
  );
  assert.deepEqual(
    (await scan(l)).map((r) => r[0]),
    ['a', 'a\t', 'b'],
  );
  await hashesAgree(l);
});

test('a UTF-16 database reads, orders and hashes as a UTF-8 one, and keeps lone surrogates apart', async () => {
  await using l = await lab(`
    pragma encoding = 'UTF-16le';
    create table t (k text primary key not null, v text);
    insert into t values ('b', 'x'), ('\u00e9', 'y'), ('\u{1f600}', 'z'), ('\uffee', cast(x'00d84100' as text)), ('c', '\u{10041}')`);
  const rows = await scan(l);
  assert.deepEqual(
    rows.map((r) => r[0]),
    ['b', 'c', '\u00e9', '\uffee', '\u{1f600}'],
  );
  assert.equal(rows[1]![1], '\u{10041}');
  assert.equal(rows[3]![1], '\udced\udca0\udc80A');
  await hashesAgree(l);
});

test('STRICT tables are not loose, and WITHOUT ROWID tables are written by their key', async () => {
  await using l = await lab(`
    create table t (a text not null, b integer not null, v any, primary key (a, b)) strict, without rowid;
    insert into t values ('x', 1, 5), ('x', 2, '5'), ('y', 1, null)`);
  assert.deepEqual(
    l.table.columns.map((c) => c.loose ?? false),
    [false, false, true],
  );
  const rows = await scan(l);
  assert.deepEqual(rows, [
    ['x', '1', misfit('n', '5')],
    ['x', '2', '5'],
    ['y', '1', null],
  ]);
  await hashesAgree(l);
  await l.endpoint.writer!.prepare({ signal });
  const changes = [
    { op: 'update', key: ['x', '2'], before: rows[1], after: ['x', '2', '6'], columns: [2] },
  ] as unknown as Change[];
  assert.equal(
    (
      await l.endpoint.writer!.apply({ run: 'r', step: 1, token: 0n }, [{ table: l.table, key: ['a', 'b'], changes }], {
        signal,
      })
    ).status,
    'done',
  );
  assert.equal(l.raw.prepare(`select v from t where a = 'x' and b = 2`).get()!['v'], '6');
});

test('a key column that holds NULL against the rules is an error, never a silent match', async () => {
  await using l = await lab(
    `create table t (k text primary key, v text); insert into t values ('a', '1'), (null, '2'), (null, '3')`,
  );
  assert.equal(l.table.uniques[0]!.total, false);
  await assert.rejects(scan(l, wholeRows(l.table, ['k'])), { code: 'KEY_MISSING' });
});

test('the doctor names columns that lie, with where', async () => {
  await using l = await lab(
    `create table t (id integer primary key, n integer); insert into t values (1, 1), (2, 'x'), (3, 'y')`,
  );
  const findings = await l.endpoint.examine!({ signal, tables: [l.table], writable: false });
  const lie = findings.find((f) => f.code === 'sqlite_lying_column');
  assert.match(lie?.message ?? '', /t\.n .* 2 value.*\(2\), \(3\)/);
});
