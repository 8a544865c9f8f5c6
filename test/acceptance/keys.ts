import { quotedText } from './databases.ts';

/** One key: as JSON shows it, and as the SQL of both engines writes it. */
export interface KeySample {
  readonly key: readonly string[];
  readonly postgres: string;
  readonly sqlite: string;
}

/** A table by its key columns, and keys that somebody might put in another order, merge or lose. In no order. */
export interface KeyKind {
  readonly name: string;
  readonly columns: readonly string[];
  readonly postgres: string;
  readonly sqlite: string;
  readonly keys: readonly KeySample[];
}

const plain = (key: readonly string[], literals: string): KeySample => ({ key, postgres: literals, sqlite: literals });
const text = (...keys: string[]): KeySample[] => keys.map((k) => plain([k], quotedText(k)));

const words = [
  '',
  ' ',
  'a',
  'b ',
  'B',
  'é',
  'z',
  'Z2',
  '\u{1f600}',
  '\uffee',
  '\ue000',
  'ß',
  '-',
  '_x',
  'aa',
  'a b',
  "it's",
  '\n',
  'NULL',
  '~',
  '\\',
  '10',
  '9',
  'İ',
];

export const keyKinds: readonly KeyKind[] = [
  {
    name: 'bigint',
    columns: ['k'],
    postgres: 'k bigint primary key',
    sqlite: 'k integer primary key',
    keys: [
      '-9223372036854775808',
      '-9223372036854775807',
      '9223372036854775807',
      '9223372036854775806',
      '0',
      '-1',
      '1',
      '9007199254740993',
      '9007199254740992',
      '4294967296',
    ].map((k) => plain([k], k === '-9223372036854775808' ? '-9223372036854775807 - 1' : k)),
  },
  {
    name: 'text',
    columns: ['k'],
    postgres: 'k text primary key',
    sqlite: 'k text primary key not null',
    keys: text(...words, 'A', 'a ', 'e\u0301', 'B '),
  },
  {
    name: 'text in German order',
    columns: ['k'],
    postgres: 'k text collate "de-x-icu" primary key',
    sqlite: 'k text collate rtrim primary key not null',
    keys: text(...words.filter((w) => w !== ' ')),
  },
  {
    name: 'text without case',
    columns: ['k'],
    postgres: 'k text collate nocase primary key',
    sqlite: 'k text collate nocase primary key not null',
    keys: text(...words.filter((w) => w !== 'B' && w !== 'İ'), 'Straße', 'MiXed', 'Ä'),
  },
  {
    name: 'citext',
    columns: ['k'],
    postgres: 'k citext primary key',
    sqlite: 'k text collate nocase not null unique',
    keys: text('', 'a', 'B', 'b ', 'zZ', 'É', 'ß'),
  },
  {
    name: 'char',
    columns: ['k'],
    postgres: 'k char(4) primary key',
    sqlite: 'k char(4) primary key not null',
    keys: text('', 'a', 'ab', 'A', ' a', '\u{1f600}', 'abcd'),
  },
  {
    name: 'uuid',
    columns: ['k'],
    postgres: 'k uuid primary key',
    sqlite: 'k uuid primary key not null',
    keys: [
      ...text(
        '00000000-0000-0000-0000-000000000000',
        'ffffffff-ffff-ffff-ffff-ffffffffffff',
        '7fffffff-ffff-ffff-ffff-ffffffffffff',
        '80000000-0000-0000-0000-000000000000',
        '0a000000-0000-4000-8000-000000000000',
        'a0000000-0000-4000-8000-000000000000',
      ),
      {
        key: ['abcdefab-0000-4000-8000-000000000000'],
        postgres: `'abcdefab-0000-4000-8000-000000000000'`,
        sqlite: `'ABCDEFAB-0000-4000-8000-000000000000'`,
      },
    ],
  },
  {
    name: 'numeric',
    columns: ['k'],
    postgres: 'k numeric primary key',
    sqlite: 'k text primary key not null',
    keys: [
      ...['0', '-1', '10', '9', '1.5', '-1.5', '-10', '12345678901234567890.5', '-12345678901234567890.5', '0.001'].map(
        (k) => plain([k], `'${k}'`),
      ),
      { key: ['2.5'], postgres: '2.500', sqlite: `'2.5'` },
      { key: ['100'], postgres: '100.00', sqlite: `'100'` },
    ],
  },
  {
    name: 'bytea',
    columns: ['k'],
    postgres: 'k bytea primary key',
    sqlite: 'k blob primary key not null',
    keys: ['', '00', '0000', 'ff', '7f', '80', '01ff', '5c'].map((hex) => ({
      key: [hex],
      postgres: `'\\x${hex}'`,
      sqlite: `x'${hex}'`,
    })),
  },
  {
    name: 'timestamp',
    columns: ['k'],
    postgres: 'k timestamp primary key',
    sqlite: 'k datetime primary key not null',
    keys: text(
      '9999-12-31 23:59:59.999999',
      '9999-12-31 23:59:59.999998',
      '0001-01-01 00:00:00',
      '1969-12-31 23:59:59',
      '2024-02-29 12:00:00',
      '2024-02-29 12:00:00.1',
      '2024-02-29 12:00:00.01',
    ),
  },
  {
    name: 'date',
    columns: ['k'],
    postgres: 'k date primary key',
    sqlite: 'k date primary key not null',
    keys: text('9999-12-31', '0001-01-01', '2024-02-29', '1999-12-31', '2000-01-01'),
  },
  {
    name: 'enum',
    columns: ['k'],
    postgres: 'k mood primary key',
    sqlite: 'k text primary key not null',
    keys: text('sad', 'ok', 'happy', 'Sad', 'a b'),
  },
  {
    name: 'boolean',
    columns: ['k', 'l'],
    postgres: 'k boolean, l int, primary key (k, l)',
    sqlite: 'k boolean not null, l int not null, primary key (k, l)',
    keys: ['true', 'false'].flatMap((b) =>
      ['-1', '0', '5'].map((n) => ({ key: [b, n], postgres: `${b}, ${n}`, sqlite: `${b}, ${n}` })),
    ),
  },
  {
    name: 'double',
    columns: ['k'],
    postgres: 'k float8 primary key',
    sqlite: 'k real primary key not null',
    keys: ['0', '-0.5', '0.1', '0.10000000000000002', '1e+23', '-1e+23', '5e-324'].map((k) => plain([k], k)),
  },
  {
    name: 'several columns',
    columns: ['k', 'order', 'L "m"'],
    postgres: 'k text, "order" bigint, "L ""m""" uuid, primary key ("order", k, "L ""m""")',
    sqlite: 'k text not null, "order" bigint not null, "L ""m""" uuid not null, primary key ("order", k, "L ""m""")',
    keys: ['', 'a', 'B', '\u{1f600}', '\uffee'].flatMap((k) =>
      ['-9223372036854775807', '0', '2'].map((n) =>
        plain([k, n, '01234567-89ab-cdef-0123-456789abcdef'], `'${k}', ${n}, '01234567-89ab-cdef-0123-456789abcdef'`),
      ),
    ),
  },
];
