import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EngineName, openSide, type Side } from './sides.ts';
import { compareAll, sums } from './tables.ts';

const columns = [
  ['id', 'bigint primary key', 'integer primary key'],
  ['a', 'bigint', 'integer'],
  ['b', 'bigint', 'integer'],
  ['n', 'numeric', 'text'],
  ['m', 'numeric(20,2)', 'text'],
  ['f', 'float8', 'real'],
  ['s', 'text', 'text'],
  ['s2', 'text', 'text'],
  ['by', 'bytea', 'blob'],
  ['ts', 'timestamptz', 'text'],
  ['d', 'date', 'text'],
  ['u', 'uuid', 'text'],
  ['ok', 'boolean', 'boolean'],
] as const;

type Value = string | number | Buffer | null;
type Row = Record<string, Value>;

const rowOf = (id: number): Row => ({
  id,
  a: id * 7,
  b: id * 11,
  n: `${id}.5`,
  m: `${id}.25`,
  f: id / 8,
  s: `left ${id}`,
  s2: `right ${id}`,
  by: Buffer.from([id & 255, 0, 255]),
  ts: `2024-02-29 12:${String(id % 60).padStart(2, '0')}:00.000001`,
  d: '2024-02-29',
  u: `00000000-0000-4000-8000-${String(id).padStart(12, '0')}`,
  ok: id % 2,
});

/** What is planted: how a row looks in the source, and in the target (absent: missing there). */
interface Plant {
  readonly id: number;
  readonly source?: Row | null;
  readonly target?: Row | null;
  /** Equal by value; `typed`: where at least one side's type knows numbers from text. */
  readonly equal?: 'always' | 'typed';
}

const plants: readonly Plant[] = [
  // Values exchanged between two rows, and between two columns.
  { id: 10, target: { a: 77 } },
  { id: 11, target: { a: 70 } },
  { id: 12, target: { a: 132, b: 84 } },
  // +1 here, -1 there.
  { id: 20, target: { a: 141 } },
  { id: 21, target: { a: 146 } },
  // A changed sign; a number shifted by 32 bits; two weights exchanged.
  { id: 30, source: { n: '5.00' }, target: { n: '-5.00' } },
  { id: 40, source: { a: 140 }, target: { a: 601295421440 } },
  { id: 70, source: { n: '1', m: '10000' }, target: { n: '10000', m: '1' } },
  // The last microsecond of 9999.
  { id: 50, source: { ts: '9999-12-31 23:59:59.999998' }, target: { ts: '9999-12-31 23:59:59.999999' } },
  // A NULL that moves to the next column; NULL against empty; blanks; case.
  { id: 60, source: { s: null, s2: 'x' }, target: { s: 'x', s2: null } },
  { id: 61, source: { s: null }, target: { s: '' } },
  { id: 62, source: { s: 'x' }, target: { s: 'x ' } },
  { id: 63, source: { s: 'ÉTÉ' }, target: { s: 'été' } },
  { id: 64, source: { s: 'ab', s2: 'c' }, target: { s: 'a', s2: 'bc' } },
  { id: 65, source: { by: Buffer.from([0]) }, target: { by: Buffer.from([0, 0]) } },
  { id: 66, source: { f: 0.1 }, target: { f: 0.10000000000000002 } },
  { id: 67, source: { ok: null }, target: { ok: 0 } },
  { id: 68, source: { d: '0001-01-01' }, target: { d: '9999-12-31' } },
  { id: 90, target: null },
  { id: 500, source: null },
  // Equal by value.
  { id: 95, source: { n: '1.50' }, target: { n: '1.5' }, equal: 'typed' },
  { id: 96, source: { f: 0 }, target: { f: -0 }, equal: 'always' },
];

const insert = async (side: Side, engine: EngineName, row: Row): Promise<void> => {
  const values = columns.map(([name]) => {
    const value = row[name]!;
    // PostgreSQL takes any instant; a bare one is read as UTC.
    if (engine === 'postgres' && name === 'ts' && value !== null) return `${value as string}+00`;
    if (engine === 'postgres' && name === 'ok' && value !== null) return value === 1;
    return value;
  });
  await side.run(`insert into things values (${columns.map((_, i) => `$${i + 1}`).join(', ')})`, values);
};

const fill = async (side: Side, engine: EngineName, which: 'source' | 'target'): Promise<void> => {
  await side.run(
    `create table things (${columns.map(([name, pg, lite]) => `"${name}" ${engine === 'postgres' ? pg : lite}`).join(', ')})`,
  );
  for (let id = 1; id <= 120; id++) {
    const plant = plants.find((p) => p.id === id);
    if (plant?.[which] === null) continue;
    await insert(side, engine, { ...rowOf(id), ...plant?.source, ...(which === 'target' ? plant?.target : {}) });
  }
  if (which === 'target') await insert(side, engine, rowOf(500));
};

const pairs: readonly (readonly [EngineName, EngineName])[] = [
  ['postgres', 'postgres'],
  ['postgres', 'sqlite'],
  ['sqlite', 'postgres'],
  ['sqlite', 'sqlite'],
];

for (const [a, b] of pairs) {
  test(`exactly the planted differences are found between ${a} and ${b}`, async () => {
    await using source = await openSide(a, 'from');
    await using target = await openSide(b, 'to');
    await fill(source, a, 'source');
    await fill(target, b, 'target');
    const expected = plants
      .filter((p) => p.equal === undefined || (p.equal === 'typed' && a === 'sqlite' && b === 'sqlite'))
      .map((p) => String(p.id));
    for (const force of [undefined, 'digest', 'hashes', 'rows'] as const) {
      for (const seed of [1n, 0xfeed_f00d_dead_beefn]) {
        const { report, differences, pair } = await compareAll(source.endpoint, target.endpoint, {
          seed,
          ...(force ? { force } : {}),
        });
        assert.deepEqual(pair.not_compared, []);
        assert.deepEqual(
          differences.map((d) => d.key[0] as string),
          expected.toSorted((x, y) => Number(x) - Number(y)),
          pair.explain.decision,
        );
        assert.deepEqual([pair.only_in_source, pair.only_in_target], [1, 1]);
        assert.deepEqual(pair.rows, { source: 120, target: 120 });
        assert.deepEqual(sums(pair), []);
        assert.equal(report.verdict, 'differs');
        if (force === 'digest') assert.match(pair.explain.decision, /digests by/);
      }
    }
  });
}

test('text, composite and uuid keys are merged in one order by both engines', async () => {
  await using source = await openSide('postgres', 'from');
  await using target = await openSide('sqlite', 'to');
  const keys = ['a', 'B', 'b', 'é', 'e', 'z', '😀', '\uffee', '\ue000', '', ' ', 'aa', 'a b', 'ä', 'Ä', '_', '-'];
  for (const side of [source, target]) {
    await side.run('create table words (word text not null, n bigint not null, v text, primary key (word, n))');
    for (const [i, key] of keys.entries())
      for (const n of [-1, 0, 2])
        await side.run('insert into words values ($1, $2, $3)', [
          key,
          n,
          side === target && i === 6 && n === 0 ? 'changed' : 'same',
        ]);
  }
  await target.run('delete from words where word = $1 and n = 2', ['ä']);
  for (const force of [undefined, 'digest', 'hashes', 'rows'] as const) {
    const { differences, pair } = await compareAll(source.endpoint, target.endpoint, force ? { force } : {});
    assert.deepEqual(
      differences.map((d) => [d.kind, ...d.key]),
      [
        ['only_in_source', 'ä', '2'],
        ['different', '😀', '0'],
      ],
      pair.explain.decision,
    );
    assert.equal(pair.identical, keys.length * 3 - 2);
  }
});

test('JSON of equal value is identical inside one engine and across two', async () => {
  for (const [a, b] of [
    ['postgres', 'postgres'],
    ['postgres', 'sqlite'],
  ] as const) {
    await using source = await openSide(a, 'from');
    await using target = await openSide(b, 'to');
    await source.run(`create table docs (id bigint primary key, doc jsonb, n text)`);
    await target.run(`create table docs (id bigint primary key, doc ${b === 'postgres' ? 'jsonb' : 'json'}, n text)`);
    const docs: readonly (readonly [string, string, string])[] = [
      ['{"a":1.0,"b":[true,null]}', '{"b":[true,null],"a":1}', 'same'],
      ['[[1],2]', '[[1,2]]', 'same'],
      ['5', '-5', 'same'],
      ['{"a":1.0}', '{"a":1}', 'changed'],
      ['"é"', '"\\u00e9"', 'same'],
    ];
    for (const [i, [left, right, note]] of docs.entries()) {
      await source.run('insert into docs values ($1, $2, $3)', [i + 1, left, 'same']);
      await target.run('insert into docs values ($1, $2, $3)', [i + 1, right, note]);
    }
    for (const force of [undefined, 'digest', 'hashes', 'rows'] as const) {
      const { differences, pair } = await compareAll(source.endpoint, target.endpoint, force ? { force } : {});
      assert.deepEqual(
        differences.map((d) => d.key[0] as string),
        ['2', '3', '4'],
        `${a} ${b} ${pair.explain.decision}`,
      );
      assert.deepEqual(pair.columns, { doc: 2, n: 1 });
      assert.equal(pair.identical, 2);
    }
  }
});
