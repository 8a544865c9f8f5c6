import { readFileSync } from 'node:fs';
import { doubleFromHex } from '../../src/model/canon/float.ts';
import type { ColumnType } from '../../src/model/schema.ts';

/** One value: the canonical text of its cell, and how each engine's SQL writes it. */
export interface Vector {
  readonly kind: string;
  readonly cell: string | null;
  /** Column type and SQL literal. */
  readonly pg: readonly (readonly [string, string])[];
  /** Declared type (without the marks of the vector file) and SQL literal. */
  readonly lite: readonly (readonly [string, string])[];
}

/** What both engines render a kind as, to compare them. Kinds that are not here are PostgreSQL's own. */
export const common: Readonly<Record<string, ColumnType>> = {
  int: { kind: 'int', bits: 64 },
  dec: { kind: 'decimal' },
  f8: { kind: 'float', bits: 64 },
  f4: { kind: 'float', bits: 32 },
  bool: { kind: 'bool' },
  text: { kind: 'text' },
  bytes: { kind: 'bytes' },
  date: { kind: 'date' },
  time: { kind: 'time', fraction: 6 },
  ts: { kind: 'timestamp', fraction: 6 },
  instant: { kind: 'instant', fraction: 6 },
  uuid: { kind: 'uuid' },
  json: { kind: 'json', binary: true },
};

interface FileVector {
  readonly canon: string | null;
  readonly pg?: readonly (readonly [string, string])[];
  readonly lite?: readonly (readonly [string, string])[];
}

const file = JSON.parse(readFileSync(new URL('../golden/canonical.json', import.meta.url), 'utf8')) as {
  readonly kinds: Readonly<Record<string, { readonly vectors: readonly FileVector[] }>>;
};

/** The file writes doubles as hexadecimal and booleans as digits: one-to-one forms of what a cell shows. */
const cell = (kind: string, canon: string | null): string | null => {
  if (canon === null) return null;
  if (kind === 'f8' || kind === 'f4') return doubleFromHex(canon);
  return kind === 'bool' ? (canon === '1' ? 'true' : canon === '0' ? 'false' : canon) : canon;
};

const fromFile: readonly Vector[] = Object.entries(file.kinds).flatMap(([kind, { vectors }]) =>
  vectors.map((v) => ({
    kind,
    cell: cell(kind, v.canon),
    pg: v.pg ?? [],
    lite: (v.lite ?? []).map(([type, literal]) => [type.replace(/:.*/, ''), literal] as const),
  })),
);

const pg = (kind: string, type: string, values: Readonly<Record<string, string>>): Vector[] =>
  Object.entries(values).map(([canon, literal]) => ({ kind, cell: canon, pg: [[type, literal]], lite: [] }));

const both = (
  kind: string,
  pgType: string,
  liteType: string,
  values: readonly (readonly [string, string, string])[],
): Vector[] =>
  values.map(([canon, p, l]) => ({
    kind,
    cell: canon,
    pg: p === '' ? [] : [[pgType, p]],
    lite: l === '' ? [] : [[liteType, l]],
  }));

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;
const deep = `${'['.repeat(400)}${']'.repeat(400)}`;
const thirty = '123456789012345678901234567890';

/** What the file lacks. */
const more: readonly Vector[] = [
  ...pg('interval', 'interval', {
    P1M: "'1 mon'",
    P30D: "'30 days'",
    PT720H: "'720:00:00'",
    PT0S: "'0'",
    'P-1M2D': "'-1 mon +2 days'",
    'PT1M30.5S': "'00:01:30.5'",
    'P1Y2M3DT4H5M6.789012S': "'1 year 2 mons 3 days 04:05:06.789012'",
  }),
  ...pg('money', 'money', {
    '12.34': "'12.34'::numeric",
    '-0.05': "'-0.05'::numeric",
    '0': '0',
    '92233720368547758.07': "'92233720368547758.07'::numeric",
  }),
  ...pg('inet', 'inet', {
    '10.0.0.1/32': "'10.0.0.1'",
    '10.0.0.1/8': "'10.0.0.1/8'",
    '::1/128': "'::1'",
    '2001:db8::/32': "'2001:db8::/32'",
  }),
  ...pg('cidr', 'cidr', { '10.0.0.0/8': "'10.0.0.0/8'", '10.1.2.3/32': "'10.1.2.3'" }),
  ...pg('range', 'int4range', { '[1,5)': "'[1,4]'", empty: "'empty'", '(,)': "'(,)'" }),
  ...pg('range', 'numrange', { '[1.10,2]': "'[1.10,2]'", '(0,0.001)': "'(0,0.001)'" }),
  ...pg('range', 'tstzrange', {
    '["2024-01-01 00:00:00+00","2024-06-01 00:00:00+00")': "'[2024-01-01 02:00+02,2024-06-01 02:00+02)'",
  }),
  ...pg('range', 'int4multirange', { '{[1,3),[5,7)}': "'{[1,2],[5,6]}'", '{}': "'{}'" }),
  ...pg('citext', 'kit_citext', { ABC: "'ABC'", abc: "'abc'" }),
  ...pg('bit', 'varbit(9)', { '': "b''", '101': "b'101'", '000000000': "b'000000000'" }),
  ...pg('array', 'int[]', { '{1,2,3,4}': "'{1,2,3,4}'", '{{1,2},{3,4}}': "'{{1,2},{3,4}}'", '{NULL}': "'{NULL}'" }),
  ...pg('array', 'text[]', {
    '{"NULL",NULL,"",","}': "array['NULL',null,'',',']",
    '{{"a b",c},{"\\\\","{}"}}': "array[array['a b','c'],array['\\','{}']]",
  }),
  ...pg('array', 'timestamptz[]', { '{"2024-01-01 00:00:00+00"}': "array['2024-01-01 02:00+02'::timestamptz]" }),
  ...pg('array', 'float8[]', { '{0.1,-0,NaN,Infinity}': "'{0.1,-0,NaN,Infinity}'" }),
  ...pg('array', 'numeric[]', { '{1.10,1.1}': "'{1.10,1.1}'" }),
  ...pg('array', 'bytea[]', { '{"\\\\x00ff"}': "array['\\x00ff'::bytea]" }),
  ...pg('composite', 'kit_pair', {
    '(1,"a b")': "row(1,'a b')::kit_pair",
    '(,)': 'row(null,null)::kit_pair',
    '(2,"")': "row(2,'')::kit_pair",
    '(3,"""\\\\")': "row(3,'\"\\')::kit_pair",
  }),
  ...pg('xml', 'xml', { '<a b="1">x</a>': '\'<a b="1">x</a>\'', '<a/>': "'<a/>'" }),
  ...pg('enum', 'kit_mood', { 'it\'s "fine"': "'it''s \"fine\"'", '\u{1f600}': "'\u{1f600}'" }),
  ...pg('domain', 'kit_positive', { '5': '5' }),
  ...pg('timetz', 'timetz', { '10:00:00.123456+02': "'10:00:00.123456+02'" }),
  ...pg('other', 'macaddr', { '08:00:2b:01:02:03': "'08002b:010203'" }),
  ...pg('other', 'point', { '(1,2)': "'(1,2)'" }),
  ...pg('other', 'tsvector', { "'a':1 'b c':2": "'''a'':1 ''b c'':2'" }),
  ...pg('other', 'pg_lsn', { '16/B374D848': "'16/B374D848'" }),
  ...both('dec', 'numeric', 'TEXT', [
    [thirty, thirty, quoted(thirty)],
    [`-0.${thirty.slice(0, 29)}1`, `-0.${thirty.slice(0, 29)}1`, quoted(`-0.${thirty.slice(0, 29)}1`)],
    ['12300', '12300.000', quoted('+012300.000')],
    ['0', '0.000', quoted('-0.00')],
    [`1${'0'.repeat(400)}`, '1e400', quoted('1e400')],
    [`0.${'0'.repeat(399)}1`, '1e-400', quoted('1E-400')],
  ]),
  ...both('date', 'date', 'DATE', [
    ['0001-01-01', "'0001-01-01'", "'0001-01-01'"],
    ['9999-12-31', "'9999-12-31'", "'9999-12-31'"],
    ['0001-12-31 BC', "'0001-12-31 BC'", ''],
    ['4713-01-01 BC', "'4713-01-01 BC'", ''],
    ['5874897-12-31', "'5874897-12-31'", ''],
  ]),
  ...both('ts', 'timestamp', 'TIMESTAMP', [
    ['9999-12-31 23:59:59.999999', "'9999-12-31 23:59:59.999999'", "'9999-12-31T23:59:59.999999'"],
    ['4713-01-01 00:00:00 BC', "'4713-01-01 00:00:00 BC'", ''],
  ]),
  ...both('instant', 'timestamptz', 'TIMESTAMP', [
    ['9999-12-31 23:59:59.999999', "'9999-12-31 23:59:59.999999Z'", "'9999-12-31T23:59:59.999999Z'"],
    ['0001-01-01 00:00:00', "'0001-01-01 00:00:00Z'", "'0001-01-01 02:00:00+02:00'"],
    ['2024-01-01 00:00:00', "'2024-01-01 05:30:00+05:30'", "'2024-01-01 05:30:00+05:30'"],
    ['-infinity', "'-infinity'", ''],
  ]),
  ...both('json', 'jsonb', 'JSON', [
    [deep, quoted(deep), quoted(deep)],
    ['{"a":{"b":2}}', `'{"a":{"b":1,"b":2}}'`, `'{ "a" : {"b":1,"b":2} }'`],
    [`1${'0'.repeat(30)}`, "'1e30'", "'1e30'"],
    [`{"n":-${thirty}.5}`, `'{"n":-${thirty}.50}'`, `'{"n":-${thirty}.50}'`],
    ['{"":"\u{1f600}"}', `'{"":"\\ud83d\\ude00"}'`, `'{"":"\u{1f600}"}'`],
    ['[1,1,0.5,null,false]', `'[1.0, 1, 5e-1, null, false]'`, `'[1e0,1.00,0.5,null,false]'`],
  ]),
  ...both('json', 'json', 'JSON', [['{"a":2,"b":1}', `'{"b":1, "a":1, "a":2}'`, `'{"a":2,"b":1}'`]]),
  ...both('text', '', 'TEXT', [
    ['a\udcffb', '', "cast(x'61ff62' as text)"],
    ['\udcc3', '', "cast(x'c3' as text)"],
    ['\udced\udca0\udc80', '', "cast(x'eda080' as text)"],
    ['\udcc0\udc80', '', "cast(x'c080' as text)"],
  ]),
  ...both('int', 'int8', 'INTEGER', [
    ['-9223372036854775808', '-9223372036854775808', '(-9223372036854775807 - 1)'],
    ['5', '5', "'5'"],
    ['\udc00tfive', '', "'five'"],
    ['\udc00n1.5', '', '1.5'],
    ['\udc00bff', '', "x'ff'"],
  ]),
  ...both('bool', 'boolean', 'BOOLEAN', [
    ['\udc00n2', '', '2'],
    ['\udc00tmaybe', '', "'maybe'"],
  ]),
  ...both('uuid', 'uuid', 'UUID', [
    [
      '550e8400-e29b-41d4-a716-446655440000',
      "'{550e8400e29b41d4a716446655440000}'",
      "'550E8400-E29B-41D4-A716-446655440000'",
    ],
  ]),
];

/**
 * Where we say more than the file: what a column's type cannot hold exactly is a misfit, kept whole, and not rounded
 * or passed on as if it were a value. An integer beyond 64 bits is a decimal.
 */
const ours = (v: Vector): readonly Vector[] => {
  if (v.kind === 'bool' && v.cell === '2') return [];
  if (v.kind === 'int' && v.cell === '18446744073709551615') return [{ ...v, kind: 'dec', lite: [] }];
  if (v.cell === '2023-02-31') return [{ ...v, cell: '\udc00t2023-02-31' }];
  const rounded = v.lite.filter(
    ([, literal]) => v.kind === 'f4' && (literal === '16777217e0' || literal === '1.4e-45'),
  );
  return [{ ...v, lite: v.lite.filter((l) => !rounded.includes(l)) }];
};

export const vectors: readonly Vector[] = [
  ...fromFile.flatMap(ours),
  ...both('f4', '', 'REAL', [
    ['\udc00n16777217.0', '', '16777217e0'],
    ['\udc00n1.4e-45', '', '1.4e-45'],
  ]),
  ...more,
];

/** Types that the vectors need to exist in PostgreSQL. */
export const pgTypes = [
  `create type spk_enum as enum ('a', 'B', 'c,d')`,
  `create type kit_mood as enum ('it''s "fine"', '\u{1f600}')`,
  'create type kit_pair as (n int, t text)',
  'create domain kit_positive as int check (value > 0)',
  // Where the extension is not at hand, a nondeterministic collation compares as loosely.
  `do $$ begin create extension citext; create domain kit_citext as citext; exception when others then
     create collation kit_nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
     create domain kit_citext as text collate kit_nocase; end $$`,
];
