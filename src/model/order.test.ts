import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonical } from './canon/canonical.ts';
import { encodeUtf8 } from './canon/utf8.ts';
import { compareCells, compareKeys } from './order.ts';
import type { Cell } from './row.ts';
import type { ColumnType } from './schema.ts';

const text: ColumnType = { kind: 'text' };

/** Cells of one type, the misfits and NULL among them. */
const cellsOf = (type: ColumnType, raws: fc.Arbitrary<string>): fc.Arbitrary<Cell> =>
  fc.oneof(
    { weight: 8, arbitrary: raws.map((raw) => canonical(type, raw)) },
    { weight: 1, arbitrary: fc.constantFrom(canonical(type, 'ab?'), canonical(type, 'zz€'), canonical(type, 'zz😀')) },
    { weight: 1, arbitrary: fc.constant(null) },
  );

const digits = fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }).map(String);
const decimals = fc.tuple(digits, fc.nat({ max: 99_999 })).map(([whole, part]) => `${whole}.${part}`);
const piece = fc.constantFrom(
  'a',
  'é',
  '€',
  '\uffff',
  '\ue000',
  '😀',
  '😁',
  '\u{10ffff}',
  '\udc80',
  '\udcff',
  '\udcc3',
  '\udcf0',
  '',
  ' ',
);
const moments = fc
  .tuple(
    fc.integer({ min: 1, max: 12_000 }),
    fc.integer({ min: 1, max: 12 }),
    fc.constantFrom('00:00:00', '00:00:00.5', '00:00:00.05', '23:59:59.999999'),
    fc.constantFrom('', '', ' BC'),
  )
  .filter(([y, , , bc]) => bc === '' || y < 4713)
  .map(([y, m, t, bc]) => `${String(y).padStart(4, '0')}-${String(m).padStart(2, '0')}-01 ${t}${bc}`);

const kinds: readonly { readonly type: ColumnType; readonly raws: fc.Arbitrary<string> }[] = [
  { type: { kind: 'int', bits: 64 }, raws: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String) },
  { type: { kind: 'int', bits: 64 }, raws: fc.integer({ min: -20, max: 20 }).map(String) },
  {
    type: { kind: 'decimal' },
    raws: fc.oneof(decimals, digits, fc.constantFrom('NaN', 'Infinity', '-Infinity', '0', '-0.5', '0.25', '0.3')),
  },
  { type: { kind: 'float', bits: 64 }, raws: fc.double().map((x) => (x === 0 ? '0' : String(x))) },
  { type: { kind: 'bool' }, raws: fc.boolean().map(String) },
  { type: text, raws: fc.array(piece, { maxLength: 5 }).map((p) => p.join('')) },
  {
    type: { kind: 'date' },
    raws: fc.oneof(
      moments.map((m) => m.replace(/ \d\d:[0-9:.]*/, '')),
      fc.constantFrom('infinity', '-infinity'),
    ),
  },
  { type: { kind: 'timestamp', fraction: 6 }, raws: fc.oneof(moments, fc.constantFrom('infinity', '-infinity')) },
  { type: { kind: 'bytes' }, raws: fc.uint8Array({ maxLength: 4 }).map((b) => Buffer.from(b).toString('hex')) },
];

for (const { type, raws } of kinds)
  test(`${type.kind}: the order is total and equal only for equal cells`, () => {
    const cell = cellsOf(type, raws);
    fc.assert(
      fc.property(cell, cell, cell, (a, b, c) => {
        const ab = compareCells(type, a, b);
        assert.equal(Math.sign(ab) + Math.sign(compareCells(type, b, a)), 0);
        assert.equal(ab === 0, a === b);
        assert.ok(!Number.isNaN(ab));
        if (ab <= 0 && compareCells(type, b, c) <= 0) assert.ok(compareCells(type, a, c) <= 0);
      }),
      { numRuns: 3000 },
    );
  });

const sorted = (type: ColumnType, cells: readonly string[]): void => {
  const canonicals = cells.map((c) => canonical(type, c));
  for (let i = 0; i < canonicals.length; i++)
    for (let j = 0; j < canonicals.length; j++)
      assert.equal(
        Math.sign(compareCells(type, canonicals[i]!, canonicals[j]!)),
        Math.sign(i - j),
        `${cells[i]} ${cells[j]}`,
      );
};

test('numbers are ordered as numbers, not as text', () => {
  sorted({ kind: 'int', bits: 64 }, [
    '-9223372036854775808',
    '-10',
    '-9',
    '-1',
    '0',
    '2',
    '10',
    '9007199254740992',
    '9007199254740993',
  ]);
  sorted({ kind: 'decimal' }, [
    '-Infinity',
    '-10.5',
    '-10.05',
    '-10',
    '-2',
    '-0.1',
    '0',
    '0.05',
    '0.1',
    '0.15',
    '1',
    '10',
    '10.05',
    'Infinity',
    'NaN',
  ]);
  sorted({ kind: 'float', bits: 64 }, [
    '-Infinity',
    '-1e300',
    '-2',
    '0',
    '5e-324',
    '1e-7',
    '1',
    '10',
    '1e21',
    'Infinity',
    'NaN',
  ]);
});

test('times before our era and beyond the year 9999 are in their place', () => {
  sorted({ kind: 'date' }, [
    '-infinity',
    '4713-01-01 BC',
    '0044-03-15 BC',
    '0044-03-16 BC',
    '0001-01-01',
    '2024-02-29',
    '9999-12-31',
    '10000-01-01',
    '99999-01-01',
    'infinity',
  ]);
  sorted({ kind: 'timestamp', fraction: 6 }, [
    '-infinity',
    '0044-03-15 10:00:00 BC',
    '0044-03-15 10:00:00.5 BC',
    '0001-01-01 00:00:00',
    '2024-01-01 00:00:00',
    '2024-01-01 00:00:00.000001',
    '2024-01-01 00:00:00.1',
    '10000-01-01 00:00:00',
    'infinity',
  ]);
});

test('texts are ordered by their bytes, whatever the bytes are', () => {
  const parts = fc.array(piece, { maxLength: 6 }).map((p) => p.join('') as Cell);
  fc.assert(
    fc.property(parts, parts, (a, b) => {
      const bytes = Buffer.compare(encodeUtf8(a!), encodeUtf8(b!));
      if (bytes !== 0)
        assert.equal(Math.sign(compareCells(text, a, b)), bytes, `${JSON.stringify(a)} ${JSON.stringify(b)}`);
    }),
    { numRuns: 20_000 },
  );
});

test('characters that share the first half of their surrogate pair are ordered by the second', () => {
  sorted(text, ['\u{1f3ff}', '\u{1f400}', '\u{1f480}', '\u{1f4ff}', '\u{1f500}', '\u{1f600}']);
});

test('NULL comes first and misfits last', () => {
  const int: ColumnType = { kind: 'int', bits: 64 };
  assert.ok(compareCells(int, null, canonical(int, '-5')) < 0);
  assert.ok(compareCells(int, canonical(int, 'abc'), canonical(int, '5')) > 0);
  assert.ok(compareCells(int, canonical(int, 'abc'), canonical(int, 'abd')) < 0);
  assert.equal(compareCells(int, null, null), 0);
});

test('a key is compared column by column', () => {
  const types: ColumnType[] = [{ kind: 'int', bits: 64 }, text];
  const key = (a: string, b: string): Cell[] => [canonical(types[0]!, a), canonical(text, b)];
  assert.ok(compareKeys(types, key('2', 'z'), key('10', 'a')) < 0);
  assert.ok(compareKeys(types, key('2', 'a'), key('2', 'b')) < 0);
  assert.equal(compareKeys(types, key('2', 'a'), key('2', 'a')), 0);
});
