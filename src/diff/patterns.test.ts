import assert from 'node:assert/strict';
import { test } from 'node:test';
import { misfit } from '../model/canon/misfit.ts';
import type { Difference } from '../model/change.ts';
import type { Pair } from '../model/pair.ts';
import type { Row } from '../model/row.ts';
import type { Column, ColumnType, Table } from '../model/schema.ts';
import { findPatterns } from './patterns.ts';

const column = (name: string, type: ColumnType): Column => ({ name, type, native: type.kind, nullable: true });

const pairOf = (types: Readonly<Record<string, ColumnType>>): Pair => {
  const columns = [column('id', { kind: 'int', bits: 64 }), ...Object.entries(types).map(([n, t]) => column(n, t))];
  const table: Table = { name: 't', kind: 'table', columns, uniques: [], foreignKeys: [], triggers: [], indexes: [] };
  return {
    name: 't',
    source: table,
    target: table,
    columns: columns.map((c) => ({ source: c, target: c, as: c.type })),
    keyWidth: 1,
    notCompared: [],
    warnings: [],
  };
};

const different = (
  rows: readonly (readonly [readonly (string | null)[], readonly (string | null)[]])[],
): Difference[] =>
  rows.map(([s, t], i) => {
    const source = [String(i), ...s] as unknown as Row;
    const target = [String(i), ...t] as unknown as Row;
    const columns = source.flatMap((cell, c) => (cell === target[c] ? [] : [c]));
    return { kind: 'different', key: source.slice(0, 1), source, target, columns };
  });

const messages = (type: ColumnType, cells: readonly (readonly [string | null, string | null])[]): string[] =>
  findPatterns(pairOf({ v: type }), different(cells.map(([s, t]) => [[s], [t]]))).map((p) => p.message);

const timestamp: ColumnType = { kind: 'timestamp', fraction: 6 };
const decimal: ColumnType = { kind: 'decimal' };
const text: ColumnType = { kind: 'text' };

test('a constant offset of times is a time zone', () => {
  const cells = Array.from(
    { length: 9 },
    (_, i) => [`2024-01-0${i + 1} 23:30:00`, `2024-01-${i === 8 ? '10' : `0${i + 2}`} 00:30:00`] as const,
  );
  assert.deepEqual(messages(timestamp, cells), ['v: 9 of 9 are exactly +01:00:00: likely a time zone']);
});

test('times kept to milliseconds are cut, not wrong', () => {
  const cells = ['123456', '999999', '000001'].map(
    (f) => [`2024-01-01 00:00:00.${f}`, `2024-01-01 00:00:00.${f.slice(0, 3)}`] as const,
  );
  const clean = cells.map(([s, t]) => [s, t.replace(/\.000$/, '')] as const);
  assert.deepEqual(messages(timestamp, clean), ['v: 3 of 3 agree to 3 digits of a second: the target keeps no more']);
});

test('blanks, case, and NULL against empty', () => {
  assert.deepEqual(
    messages(text, [
      ['a ', 'a'],
      ['b  ', 'b'],
      ['c', 'c '],
    ]),
    ['v: 3 of 3 differ only by blanks at the end'],
  );
  assert.deepEqual(
    messages(text, [
      ['A', 'a'],
      ['É', 'é'],
      ['Straße', 'STRAßE'],
    ]),
    ['v: 3 of 3 differ only by upper and lower case'],
  );
  assert.deepEqual(
    messages(text, [
      [null, ''],
      ['', null],
      [null, ''],
    ]),
    ['v: 3 of 3 are NULL on one side and empty on the other'],
  );
});

test('numbers that are rounded, of opposite sign, in another unit, or off by a constant', () => {
  assert.deepEqual(
    messages(decimal, [
      ['1.005', '1.01'],
      ['2.344', '2.34'],
      ['9.999', '10'],
    ])[0],
    'v: 3 of 3 are rounded to 2 decimals in the target',
  );
  assert.ok(
    messages(decimal, [
      ['1', '-1'],
      ['2.5', '-2.5'],
      ['-3', '3'],
    ]).includes('v: 3 of 3 have the opposite sign'),
  );
  assert.ok(
    messages(decimal, [
      ['1.23', '123'],
      ['4', '400'],
      ['0.07', '7'],
    ]).includes('v: 3 of 3 are 100 times as large in the target: another unit?'),
  );
  assert.deepEqual(
    messages(decimal, [
      ['1', '3.5'],
      ['2', '4.5'],
      ['7', '9.5'],
    ]),
    ['v: 3 of 3 are exactly +2.5'],
  );
});

test('two columns exchanged', () => {
  const rows = different([
    [
      ['a', 'b'],
      ['b', 'a'],
    ],
    [
      ['c', 'd'],
      ['d', 'c'],
    ],
    [
      ['e', 'f'],
      ['f', 'e'],
    ],
  ]);
  const [pattern] = findPatterns(pairOf({ first: text, last: text }), rows);
  assert.equal(pattern?.message, 'first and last: 3 of 3 different rows have the two exchanged');
});

test('rows that are there under another key', () => {
  const rows: Difference[] = ['x', 'y', 'z'].flatMap((v, i): Difference[] => {
    const source = [String(i), v] as unknown as Row;
    const target = [String(i + 100), v] as unknown as Row;
    return [
      { kind: 'only_in_source', key: source.slice(0, 1), source, target: null },
      { kind: 'only_in_target', key: target.slice(0, 1), source: null, target },
    ];
  });
  assert.match(
    findPatterns(pairOf({ v: text }), rows)[0]!.message,
    /^3 of 3 rows missing in the target are there under another id/,
  );
});

test('chance is no pattern', () => {
  assert.deepEqual(
    messages(text, [
      ['a', 'b'],
      ['c ', 'c'],
      ['d', 'e'],
      ['f', 'g'],
    ]),
    [],
  );
  assert.deepEqual(
    messages(decimal, [
      ['1', '2'],
      ['5', '50'],
      ['7', '3'],
    ]),
    [],
  );
  assert.deepEqual(
    messages(timestamp, [
      ['infinity', '2024-01-01 00:00:00'],
      ['2024-01-01 00:00:00', '2024-01-02 03:04:05'],
      ['2024-01-01 00:00:00', '2025-01-02 03:04:06'],
    ]),
    [],
  );
  assert.deepEqual(findPatterns(pairOf({ v: text }), []), []);
});

test('what the type cannot be read as shows no regularity', () => {
  const zero = misfit('t', '0000-00-00 00:00:00');
  const days = ['2024-01-01 00:00:00', '2024-01-02 00:00:00', '2024-01-03 00:00:00'];
  const kinds: readonly ColumnType[] = [timestamp, { kind: 'time', fraction: 6 }, decimal, text];
  for (const type of kinds)
    assert.deepEqual(
      messages(
        type,
        days.map((day) => [zero, day]),
      ),
      [],
    );
});
