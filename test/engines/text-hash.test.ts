import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { partOf } from '../../src/model/hash/part-of.ts';
import { rowHasher } from '../../src/model/hash/row-hash.ts';
import { textHasher } from '../../src/model/hash/text-hash.ts';
import type { Digest, Reader, TextHashing } from '../../src/model/reader.ts';
import type { Cell, Row, Text } from '../../src/model/row.ts';
import type { ColumnType, Table } from '../../src/model/schema.ts';
import type { Selection } from '../../src/model/selected.ts';
import { nativeSelection } from '../../src/model/selection.ts';
import { isMariadbMissing, mariadbDatabase } from '../servers/mariadb.ts';
import { testDatabase } from '../servers/postgres.ts';
import { common } from '../values/vectors.ts';
import { connect as connectMysql } from './mysql-support.ts';
import { connect as connectPostgres, never, readAll, tableOf } from './postgres-support.ts';

const signal = never;
const seed = 0x0123456789abcdefn;

interface Database extends AsyncDisposable {
  readonly url: string;
  query(sql: string): Promise<unknown>;
}

interface Side {
  readonly name: 'my' | 'pg';
  database(): Promise<Database>;
  connect(url: string, o?: { readonly writable: boolean }): Promise<Endpoint>;
}

const sides: readonly Side[] = [
  { name: 'pg', database: testDatabase, connect: connectPostgres },
  ...(isMariadbMissing ? [] : [{ name: 'my' as const, database: mariadbDatabase, connect: connectMysql }]),
];

const file = JSON.parse(readFileSync(new URL('../golden/canonical.json', import.meta.url), 'utf8')) as {
  readonly kinds: Readonly<
    Record<
      string,
      { readonly vectors: readonly { readonly my?: [string, string][]; readonly pg?: [string, string][] }[] }
    >
  >;
};

/** What it must be: of the rows as they are read, by the hash in JavaScript. */
const expected = async (
  reader: Reader,
  selection: Selection,
  part: (row: Row) => number,
): Promise<ReadonlyMap<number, Digest>> => {
  const hasher = textHasher(selection.columns, selection.keyWidth, seed);
  const digests = new Map<number, Digest>();
  for (const row of await readAll(reader, selection)) {
    const p = part(row);
    const { rows, sum } = digests.get(p) ?? { rows: 0, sum: 0n };
    digests.set(p, { part: p, rows: rows + 1, sum: BigInt.asUintN(64, sum + hasher.row(row)) });
  }
  return digests;
};

const byPart = (digests: readonly Digest[]): ReadonlyMap<number, Digest> => {
  assert.equal(new Set(digests.map((d) => d.part)).size, digests.length);
  return new Map([...digests].sort((a, b) => a.part - b.part).map((d) => [d.part, d]));
};
const sorted = (m: ReadonlyMap<number, Digest>): ReadonlyMap<number, Digest> =>
  new Map([...m].sort(([a], [b]) => a - b));

const textsOf = async (reader: Reader): Promise<TextHashing> => {
  const texts = reader.hashing!.texts!;
  assert.equal(await texts.works({ signal }), true);
  return texts;
};

for (const side of sides) {
  test(`${side.name}: the text hash of every golden value is made in the database as it is here`, async () => {
    await using db = await side.database();
    const vectors = Object.entries(file.kinds)
      .filter(([kind]) => common[kind])
      .flatMap(([kind, k]) =>
        k.vectors.flatMap((v) =>
          (v[side.name] ?? []).map(([type, literal]) => ({ kind, type: type.replace(/:.*/, ''), literal })),
        ),
      );
    const types = [...new Set(vectors.map((v) => `${v.kind} ${v.type}`))];
    const name = (v: { readonly kind: string; readonly type: string }): string =>
      `c${types.indexOf(`${v.kind} ${v.type}`)}`;
    if (side.name === 'my') await db.query(`set sql_mode = 'ALLOW_INVALID_DATES'`);
    const columns = types.map((t, i) => `c${i} ${t.slice(t.indexOf(' ') + 1)}${side.name === 'my' ? ' null' : ''}`);
    await db.query(`create table v (id int primary key, ${columns.join(', ')})`);
    for (const [i, v] of vectors.entries())
      await db.query(`insert into v (id, ${name(v)}) values (${i}, ${v.literal})`);
    await using endpoint = await side.connect(db.url);
    const whole = nativeSelection(await tableOf(endpoint, 'v'), ['id']);
    await using reader = await endpoint.snapshot({ signal });
    const texts = await textsOf(reader);
    const checked = new Map<string, number>();
    for (const [i, v] of vectors.entries()) {
      const own = whole.columns.find((c) => c.name === name(v))!;
      const { exact: _, ...column } = { ...own, as: common[v.kind] ?? own.stored };
      if (texts.supports(column) !== 'exact') continue;
      const range = { from: [String(i) as Text], to: [String(i + 1) as Text] };
      const selection: Selection = { ...whole, columns: [whole.columns[0]!, column], range };
      const found = byPart(await texts.digest(selection, undefined, seed, { signal }));
      assert.deepEqual(found, await expected(reader, selection, () => 0), `${v.kind} ${v.type} ${v.literal}`);
      checked.set(v.kind, (checked.get(v.kind) ?? 0) + 1);
    }
    const kinds = ['int', 'dec', 'f8', 'f4', 'bool', 'text', 'bytes', 'date', 'time', 'ts', 'instant', 'uuid'];
    for (const kind of kinds) assert.ok((checked.get(kind) ?? 0) >= 3, `only ${checked.get(kind)} of ${kind}`);
  });
}

/** Repeats itself: the same rows for every engine. */
const numbers = (start: number): ((below: number) => number) => {
  let x = start;
  return (below) => {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((x / 2 ** 32) * below);
  };
};

const odd = [
  '',
  ' ',
  '|',
  '~',
  '-1',
  '1|a',
  'a|1|b',
  'NULL',
  '\\',
  "'",
  '\t',
  'é',
  '😀',
  'e\u0301',
  'ab',
  '\u2028',
  'x'.repeat(8192),
  'x'.repeat(8193),
  'é'.repeat(4097),
];
const pad = (n: number, width: number): string => String(n).padStart(width, '0');

/** Rows of every kind that both engines hold, as canonical cells. */
const randomRows = (count: number): Row[] => {
  const r = numbers(7);
  const text = (): string => odd[r(odd.length)]! + (r(2) ? '' : odd[r(16)]!);
  const moment = (): string =>
    `${pad(1970 + r(60), 4)}-${pad(1 + r(12), 2)}-${pad(1 + r(28), 2)} ${pad(r(24), 2)}:${pad(r(60), 2)}:${pad(r(60), 2)}${['', '.5', '.000001', '.12'][r(4)]}`;
  const double = (): string => String([0, 1, -1.5, 1e300, 5e-324, 0.1, 1 / 3, r(1e9) / 1024][r(8)]);
  return Array.from({ length: count }, (_, i): Row => {
    const cells: (string | null)[] = [
      String(r(2_000_000_000) - 1_000_000_000),
      String(BigInt(r(2 ** 31)) * BigInt(r(2 ** 31)) * (r(2) ? 1n : -1n)),
      ['0', '1.5', '-1.5', '100', '0.000001', '-99999.999999', '12345.6'][r(7)]!,
      double(),
      String(Math.fround(r(1000) / 7)),
      r(2) ? 'true' : 'false',
      text(),
      text().slice(0, 20),
      Buffer.from(text()).toString('hex'),
      `00000000-0000-4000-8000-${pad(r(1e9), 12)}`,
      moment().slice(0, 10),
      moment().slice(11),
      moment(),
      moment(),
    ];
    return [`${text().slice(0, 10)}${i}`, String(i), ...cells.map((c) => (r(6) === 0 ? null : c))] as readonly Cell[];
  });
};

const tables = {
  pg: `create table t (k text, id bigint, n int, big bigint, dec numeric(20,6), d float8, f float4, flag boolean, words text, short varchar(60),
    raw bytea, u uuid, born date, dur time, at timestamp, inst timestamptz, primary key (k, id))`,
  my: `create table t (k varchar(80) character set utf8mb4 collate utf8mb4_nopad_bin, id bigint, n int, big bigint, dec6 decimal(20,6), d double,
    f float, flag tinyint(1), words longtext, short varchar(60) collate utf8mb4_swedish_ci, raw longblob, u uuid, born date, dur time(6),
    at datetime(6), inst timestamp(6) null, primary key (k, id))`,
} as const;

/** The types that a pair of the two would be compared as. */
const commonTypes: readonly ColumnType[] = [
  common['text']!,
  ...[
    'int',
    'int',
    'int',
    'dec',
    'f8',
    'f4',
    'bool',
    'text',
    'text',
    'bytes',
    'uuid',
    'date',
    'time',
    'ts',
    'instant',
  ].map((k) => common[k]!),
];

if (!isMariadbMissing) {
  test('my: texts of several binary collations, such as that of a JSON, have one digest', async () => {
    await using db = await mariadbDatabase();
    await db.query(
      `create table t (id int primary key, a varchar(20) collate utf8mb4_nopad_bin, b varchar(20) collate utf8mb4_bin,
       c varchar(20) collate utf8mb4_unicode_ci, d varchar(20) character set latin1, j json, x blob)`,
    );
    await db.query(`insert into t values (1, 'é', 'ß', 'Ä', 'ü', '{"a": 1}', 'z'), (2, null, '', 'b', null, '[]', '')`);
    await using endpoint = await connectMysql(db.url);
    const all = nativeSelection(await tableOf(endpoint, 't'), ['id']);
    const selection = { ...all, columns: all.columns.filter((c) => c.name !== 'j') };
    await using reader = await endpoint.snapshot({ signal });
    const found = byPart(await (await textsOf(reader)).digest(selection, undefined, seed, { signal }));
    assert.deepEqual(found, sorted(await expected(reader, selection, () => 0)));
    // a JSON's text is its engine's own
    const [whole] = await (await textsOf(reader)).digest(all, undefined, seed, { signal });
    assert.equal(whole?.rows, 2);
  });

  test('my: a key beyond all ranges is in the last part, also one that no signed integer holds', async () => {
    await using db = await mariadbDatabase();
    await db.query('create table t (id bigint unsigned primary key)');
    await db.query('insert into t values (0), (1), (9), (9223372036854775808), (18446744073709551615)');
    await using endpoint = await connectMysql(db.url);
    const selection = nativeSelection(await tableOf(endpoint, 't'), ['id']);
    await using reader = await endpoint.snapshot({ signal });
    const ranges = { by: 'range', origin: 1n, width: 4n, count: 3 } as const;
    const found = byPart(await (await textsOf(reader)).digest(selection, ranges, seed, { signal }));
    assert.deepEqual(found, sorted(await expected(reader, selection, partOf(selection, ranges))));
  });

  test('rows of every kind have one digest, part by part, on both engines and here; and parts are read as they are digested', async () => {
    const rows = randomRows(600);
    const seen: ReadonlyMap<number, Digest>[][] = [];
    for (const side of sides) {
      await using db = await side.database();
      await db.query(tables[side.name]);
      await using endpoint = await side.connect(db.url, { writable: true });
      const table: Table = await tableOf(endpoint, 't');
      const native = nativeSelection(table, ['k', 'id']);
      const loaded = await endpoint.loader!.load(
        { run: 'r_text', step: 1, token: 0n },
        table,
        native.columns.map((c) => c.name),
        (async function* () {
          yield rows;
        })(),
        { signal, refused: (row, reason) => assert.fail(`${row[0]}: ${reason}`), beforeCommit: async () => {} },
      );
      assert.deepEqual(loaded, { status: 'done', rows: rows.length });
      const { columns } = native;
      const selection: Selection = {
        ...native,
        columns: columns.map(({ exact: _, ...c }, i) => ({ ...c, as: commonTypes[i]! })),
      };
      const byInt: Selection = {
        ...selection,
        columns: [selection.columns[1]!, selection.columns[0]!, ...selection.columns.slice(2)],
        keyWidth: 1,
      };
      await using reader = await endpoint.snapshot({ signal });
      const texts = await textsOf(reader);
      for (const column of selection.columns) assert.equal(texts.supports(column), 'exact', column.name);
      const buckets = { by: 'text', count: 64, seed } as const;
      const ranges = { by: 'range', origin: 100n, width: 7n, count: 40 } as const;
      const own: ReadonlyMap<number, Digest>[] = [];
      for (const [from, partition] of [
        [selection, undefined],
        [selection, buckets],
        [byInt, ranges],
        [byInt, buckets],
      ] as const) {
        const found = byPart(await texts.digest(from, partition, seed, { signal }));
        assert.deepEqual(found, sorted(await expected(reader, from, partOf(from, partition))));
        own.push(found);
      }
      seen.push(own);
      const wanted = [3, 17, 40];
      const part = partOf(selection, buckets);
      const inside = (await readAll(reader, selection)).filter((row) => wanted.includes(part(row)));
      assert.ok(inside.length > 5);
      assert.deepEqual(
        await readAll(reader, selection, { kind: 'text_parts', partition: buckets, parts: wanted }),
        inside,
      );
      assert.deepEqual(await readAll(reader, selection, { kind: 'text_parts', partition: buckets, parts: [] }), []);
      // hashes of keys and rows in the order of the key hashes: all, and those of some of these
      const spec = { seed, form: 'hex' } as const;
      const hasher = rowHasher(selection.columns, selection.keyWidth, spec);
      const pairs = (await readAll(reader, selection)).map((row): readonly [bigint, bigint] => {
        hasher.hash(row);
        const hash = (BigInt(hasher.out[0]!) << 32n) | BigInt(hasher.out[1]! >>> 0);
        return [hasher.key(row), hash];
      });
      pairs.sort(([x], [y]) => (x < y ? -1 : 1));
      const keyOf = (i: number): readonly Text[] => [String(pairs[i]![0]) as Text];
      for (const [segment, wanted] of [
        [{ kind: 'all' }, pairs],
        [{ kind: 'range', from: keyOf(100), to: keyOf(300) }, pairs.slice(100, 300)],
        [{ kind: 'range', to: keyOf(5) }, pairs.slice(0, 5)],
        [{ kind: 'keys', keys: [keyOf(7), keyOf(400)] }, [pairs[7]!, pairs[400]!]],
      ] as const) {
        const found: (readonly [bigint, bigint])[] = [];
        for await (const { keys, hashes, count } of reader.hashing!.byKeyHash!(selection, segment, spec, { signal })) {
          assert.ok(keys.kind === 'int64');
          for (let i = 0; i < count; i++)
            found.push([keys.values[i]!, (BigInt(hashes[2 * i]!) << 32n) | BigInt(hashes[2 * i + 1]! >>> 0)]);
        }
        assert.deepEqual(found, wanted, JSON.stringify(segment));
      }
      // a filter, and a range of the selection, bound the digest
      const some: Selection = { ...byInt, filter: 'id % 2 = 0', range: { from: ['100' as Text], to: ['200' as Text] } };
      const bounded = byPart(await texts.digest(some, undefined, seed, { signal }));
      assert.deepEqual(bounded, await expected(reader, some, () => 0));
      assert.equal(bounded.get(0)!.rows, 50);
    }
    assert.deepEqual(seen[0], seen[1]);
  });
}
