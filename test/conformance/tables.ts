import type { ColumnType } from '../../src/model/schema.ts';
import type { KitColumn, KitTable } from './harness.ts';

export const int64: ColumnType = { kind: 'int', bits: 64 };
export const int32: ColumnType = { kind: 'int', bits: 32 };
export const text: ColumnType = { kind: 'text' };
export const uuid: ColumnType = { kind: 'uuid' };
export const bool: ColumnType = { kind: 'bool' };
export const bytes: ColumnType = { kind: 'bytes' };
export const date: ColumnType = { kind: 'date' };
export const float64: ColumnType = { kind: 'float', bits: 64 };
export const decimal: ColumnType = { kind: 'decimal', precision: 15, scale: 4 };
export const time: ColumnType = { kind: 'time', fraction: 6 };
export const timestamp: ColumnType = { kind: 'timestamp', fraction: 6 };
export const instant: ColumnType = { kind: 'instant', fraction: 6 };

/** Texts in the order of their UTF-8 bytes, which no locale and no UTF-16 comparison gives. */
export const textKeys: readonly string[] = [
  '',
  '\u0001',
  '\t',
  '\n',
  ' ',
  ' a',
  '"',
  '%',
  "'",
  '10',
  '9',
  'A',
  'B',
  'NULL',
  'Z',
  '\\',
  '\\N',
  '_',
  'a',
  'a ',
  'a b',
  'aa',
  'ab',
  'b',
  'co-op',
  'coop',
  'e\u0301',
  'z',
  'zz',
  '{}',
  '~',
  '\u007f',
  '\u0080',
  '\u00df',
  '\u00e4',
  '\u00e9',
  '\u0130',
  '\u0131',
  '\u2028',
  '\u65e5\u672c',
  '\ud7ff',
  '\ue000',
  '\uf8ff',
  '\ufb00',
  '\ufeffbom',
  '\uffee',
  '\ufffd',
  '\u{10000}',
  '\u{1f600}',
  '\u{1f600}a',
  '\u{10ffff}',
];

const v = (type: ColumnType): KitColumn => ({ name: 'v', type, nullable: true });

/** A table keyed by `keys` of one type, given in key order, stored in another order. */
export const keyed = (name: string, type: ColumnType, keys: readonly string[]): KitTable => ({
  name,
  columns: [{ name: 'k', type }, v(text)],
  key: ['k'],
  rows: shuffled(keys.map((k, i) => [k, i % 5 === 4 ? null : `value ${i}`])),
});

/** A fixed disorder: neighbours end up apart. */
export const shuffled = <T>(items: readonly T[]): T[] => {
  const out = [...items];
  let x = 12345;
  for (let i = out.length - 1; i > 0; i--) {
    x = (x * 1103515245 + 12345) % 2147483648;
    const j = x % (i + 1);
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
};

/** One table per kind of key; `order` is the order of keys that the contract demands. */
export const keyTables: readonly { readonly kit: KitTable; readonly order: readonly (readonly string[])[] }[] = [
  one('text_keys', text, textKeys),
  one('negative_keys', int64, [
    '-9223372036854775808',
    '-9223372036854775807',
    '-4294967296',
    '-10',
    '-9',
    '-1',
    '0',
    '1',
    '2',
    '9',
    '10',
    '100',
    '4294967296',
    '9223372036854775806',
    '9223372036854775807',
  ]),
  one('small_keys', int32, ['-2147483648', '-2', '-1', '0', '1', '10', '9999', '2147483647']),
  one('uuid_keys', uuid, [
    '00000000-0000-0000-0000-000000000000',
    '00000000-0000-0000-0000-000000000001',
    '0fffffff-ffff-ffff-ffff-ffffffffffff',
    '550e8400-e29b-41d4-a716-446655440000',
    '7fffffff-ffff-8fff-bfff-ffffffffffff',
    '80000000-0000-4000-8000-000000000000',
    'f47ac10b-58cc-4372-a567-0e02b2c3d479',
    'ffffffff-ffff-ffff-ffff-ffffffffffff',
  ]),
  one('decimal_keys', decimal, [
    '-99999999999',
    '-10.5',
    '-10',
    '-9.9999',
    '-0.0001',
    '0',
    '0.0001',
    '0.5',
    '9',
    '9.5',
    '10',
    '10.0001',
    '100',
    '99999999999.9999',
  ]),
  one('time_keys', timestamp, [
    '0001-01-01 00:00:00',
    '0999-12-31 23:59:59.999999',
    '1582-10-10 00:00:10',
    '1969-12-31 23:59:59.999999',
    '1970-01-01 00:00:00',
    '1970-01-01 00:00:00.000001',
    '2024-02-29 12:00:00',
    '2024-02-29 12:00:00.5',
    '2024-02-29 12:00:00.500001',
    '9999-12-31 23:59:59.999998',
    '9999-12-31 23:59:59.999999',
  ]),
  one('date_keys', date, [
    '0001-01-01',
    '1582-10-10',
    '1969-12-31',
    '1970-01-01',
    '2000-01-01',
    '2024-02-29',
    '9999-12-31',
  ]),
  one('bool_keys', bool, ['false', 'true']),
  composite(),
];

function one(name: string, type: ColumnType, keys: readonly string[]): { kit: KitTable; order: string[][] } {
  return { kit: keyed(name, type, keys), order: keys.map((k) => [k]) };
}

/** (text, integer, boolean): pairs that only a column-by-column order gets right. */
function composite(): { kit: KitTable; order: string[][] } {
  const order = ['', 'a', 'a ', 'ab', 'b', '\ue000', '\u{1f600}'].flatMap((a) =>
    ['-10', '-9', '1', '2', '10'].flatMap((b) => ['false', 'true'].map((c) => [a, b, c])),
  );
  const kit: KitTable = {
    name: 'composite_keys',
    // Declared in another order than the key's.
    columns: [v(text), { name: 'c', type: bool }, { name: 'a', type: text }, { name: 'b', type: int64 }],
    key: ['a', 'b', 'c'],
    rows: shuffled(order.map(([a, b, c], i) => [i % 3 === 0 ? null : `v${i}`, c!, a!, b!])),
  };
  return { kit, order };
}

/** Every kind of value beside an integer key: the same rows on every engine. */
export const mixed: KitTable = {
  name: 'mixed',
  columns: [
    { name: 'id', type: int64 },
    { name: 'flag', type: bool, nullable: true },
    { name: 'small', type: int32, nullable: true },
    { name: 'amount', type: decimal, nullable: true },
    { name: 'ratio', type: float64, nullable: true },
    { name: 'name', type: text, nullable: true },
    { name: 'ref', type: uuid, nullable: true },
    { name: 'raw', type: bytes, nullable: true },
    { name: 'day', type: date, nullable: true },
    { name: 'clock', type: time, nullable: true },
    { name: 'made', type: timestamp, nullable: true },
    { name: 'seen', type: instant, nullable: true },
  ],
  key: ['id'],
  rows: [
    [
      '-9223372036854775808',
      'true',
      '-2147483648',
      '-99999999999.9999',
      '-1.5',
      '',
      '00000000-0000-0000-0000-000000000000',
      '',
      '0001-01-01',
      '00:00:00',
      '0001-01-01 00:00:00',
      '0001-01-01 00:00:00',
    ],
    [
      '-4294967297',
      'false',
      '2147483647',
      '99999999999.9999',
      '1e+23',
      'NULL',
      'ffffffff-ffff-ffff-ffff-ffffffffffff',
      '00',
      '9999-12-31',
      '23:59:59.999999',
      '9999-12-31 23:59:59.999999',
      '9999-12-31 23:59:59.999999',
    ],
    ['-1', null, null, null, null, null, null, null, null, null, null, null],
    [
      '0',
      'false',
      '0',
      '0',
      '0',
      ' a ',
      '550e8400-e29b-41d4-a716-446655440000',
      'deadbeef',
      '2000-01-01',
      '12:00:00',
      '2000-01-01 00:00:00',
      '2000-01-01 00:00:00',
    ],
    [
      '1',
      'true',
      '140',
      '5',
      '0.1',
      'a',
      '550e8400-e29b-41d4-a716-446655440001',
      '6162',
      '1999-12-31',
      '12:00:00.5',
      '1999-12-31 23:59:59.999999',
      '1970-01-01 00:00:00.000001',
    ],
    [
      '2',
      'true',
      '-140',
      '-5',
      '-0.1',
      'b',
      '550e8400-e29b-41d4-a716-446655440002',
      '2020',
      '2024-02-29',
      '12:34:50.01',
      '2024-02-29 12:00:00.5',
      '2024-03-31 02:30:00',
    ],
    [
      '140',
      'false',
      '1',
      '10000',
      '5e-324',
      '\u{1f600}\ue000',
      '550e8400-e29b-41d4-a716-446655440003',
      'ff',
      '1582-10-10',
      '00:00:00.000001',
      '1582-10-10 00:00:10',
      '2038-01-19 03:14:07.999999',
    ],
    [
      '601295421440',
      'true',
      '10000',
      '1',
      '1.7976931348623157e+308',
      'e\u0301',
      '550e8400-e29b-41d4-a716-446655440004',
      '00ff',
      '1970-01-01',
      '01:02:03',
      '1970-01-01 00:00:00',
      '2262-04-11 23:47:16.854775',
    ],
    [
      '9223372036854775807',
      'false',
      '7',
      '0.0001',
      '9007199254740992000',
      `long ${'x'.repeat(300)}`,
      '550e8400-e29b-41d4-a716-446655440005',
      'ab'.repeat(100),
      '2500-06-01',
      '23:00:00',
      '2500-06-01 00:00:00.000001',
      '9999-12-31 23:59:59.999998',
    ],
  ],
};

/** The same rows with everything in one table, many of them: `rows` integer keys with gaps and negatives. */
export const numbered = (name: string, rows: number, extra: readonly KitColumn[] = []): KitTable => ({
  name,
  columns: [{ name: 'id', type: int64 }, v(text), { name: 'n', type: int32, nullable: true }, ...extra],
  key: ['id'],
  rows: shuffled(
    Array.from({ length: rows }, (_, i) => [String(i * 3 - rows), i % 7 === 0 ? null : `row ${i}`, String(i % 10)]),
  ),
});
