/** One value of a kind: what it is worth (equal worth must compare as equal), and how each engine's SQL writes it. */
export interface Sample {
  readonly worth: string;
  /** Absent: this engine cannot hold it. */
  readonly postgres?: string;
  readonly sqlite?: string;
}

/** A type of column and values of it that somebody might confuse. */
export interface Kind {
  readonly name: string;
  readonly postgres?: string;
  readonly sqlite?: string;
  readonly samples: readonly Sample[];
}

const nothing: Sample = { worth: 'NULL', postgres: 'null', sqlite: 'null' };
const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** The same quoted text in both engines; `=` before a text gives its worth where it is not the text itself. */
const texts = (...values: readonly (string | readonly [worth: string, text: string])[]): Sample[] => [
  nothing,
  ...values.map((v) => {
    const [worth, text] = typeof v === 'string' ? [v, v] : v;
    return { worth: `= ${worth}`, postgres: quoted(text), sqlite: quoted(text) };
  }),
];
const numbers = (...values: readonly (string | readonly [worth: string, text: string])[]): Sample[] => [
  nothing,
  ...values.map((v) => {
    const [worth, text] = typeof v === 'string' ? [v, v] : v;
    return { worth: `= ${worth}`, postgres: text, sqlite: text };
  }),
];
const only = (engine: 'postgres' | 'sqlite', worth: string, literal: string): Sample => ({
  worth: `= ${worth}`,
  [engine]: literal,
});
const each = (worth: string, postgres: string, sqlite: string): Sample => ({ worth: `= ${worth}`, postgres, sqlite });

const hardTexts = [
  '',
  ' ',
  '  ',
  'a',
  'a ',
  'A',
  'á',
  'a\u0301',
  'NULL',
  '~',
  '|',
  '-1',
  '\u{1f600}',
  '\u{1f601}',
  '\uffee',
  '\u200b',
  'a\n',
  'a\r\n',
  '\t',
  '\\n',
  'ß',
  'ss',
  'ﬀ',
  'İ',
  'i\u0307',
  '1,2',
  '"',
  "it's",
  '\u001b[31m',
];

export const kinds: readonly Kind[] = [
  { name: 'smallint', postgres: 'smallint', samples: numbers('0', '1', '-1', '32767', '-32768', '256', '255') },
  {
    name: 'integer',
    postgres: 'integer',
    sqlite: 'integer',
    samples: numbers('0', '1', '-1', '2147483647', '-2147483648', '65536', '16777216'),
  },
  {
    name: 'bigint',
    postgres: 'bigint',
    sqlite: 'bigint',
    // A number and the same shifted by 32 bits; neighbours beyond 2^53; both ends.
    samples: numbers(
      '0',
      '140',
      '601295421440',
      '-140',
      '4294967296',
      '1',
      '-1',
      '4294967295',
      '9007199254740992',
      '9007199254740993',
      '9223372036854775807',
      '9223372036854775806',
      '-9223372036854775807',
      '-9223372036854775807 - 1',
    ),
  },
  { name: 'oid', postgres: 'oid', samples: numbers('0', '1', '4294967295') },
  {
    name: 'numeric',
    postgres: 'numeric',
    sqlite: 'text',
    samples: [
      ...texts(
        '0',
        '1',
        '-1',
        '10000',
        '1.0001',
        '100000000',
        '0.1',
        '0.01',
        '-0.1',
        '12345678901234567890.123456789',
        '12345678901234567890.123456788',
        '0.000000000000000000000000000001',
        '999999999999999999999999999999',
      ),
      // Equal by value; a text column of SQLite that meets a text column would tell them apart.
      only('postgres', '0', '0.000'),
      only('postgres', '1', '1.00000'),
      only('postgres', 'NaN', `'NaN'`),
      only('postgres', 'Infinity', `'Infinity'`),
      only('postgres', '-Infinity', `'-Infinity'`),
    ],
  },
  {
    name: 'numeric(20,4)',
    postgres: 'numeric(20,4)',
    sqlite: 'decimal(20,4)',
    samples: numbers('0', '1', ['1', '1.0000'], '-1', '10000', '0.0001', '-0.0001', '9999.9999', '10000.0001', '0.5'),
  },
  {
    name: 'money',
    postgres: 'money',
    samples: [
      nothing,
      ...['0', '0.01', '-0.01', '92233720368547758.07', '100'].map((v) => only('postgres', v, `'${v}'`)),
    ],
  },
  {
    name: 'double',
    postgres: 'float8',
    sqlite: 'real',
    samples: [
      ...numbers(
        '0',
        '0.1',
        '0.10000000000000002',
        '-0.1',
        '1e23',
        ['1e23', '9.999999999999999e22'],
        '9.999999999999997e22',
        '5e-324',
        '1.5',
        '1',
        '-1',
      ),
      each('1.7976931348623157e308', `'1.7976931348623157e308'`, '1.7976931348623157e308'),
      each('Infinity', `'Infinity'`, '9e999'),
      each('-Infinity', `'-Infinity'`, '-9e999'),
      each('0', `'-0'`, '-0.0'),
      only('postgres', 'NaN', `'NaN'`),
      // Another bit pattern of NaN.
      only('postgres', 'NaN', `'Infinity'::float8 - 'Infinity'::float8`),
    ],
  },
  { name: 'real', postgres: 'real', samples: numbers('0', '0.1', '-0.1', '16777216', '1e-45', '3.4028235e38') },
  {
    name: 'boolean',
    postgres: 'boolean',
    sqlite: 'boolean',
    samples: [nothing, each('true', 'true', '1'), each('false', 'false', '0')],
  },
  {
    name: 'text',
    postgres: 'text',
    sqlite: 'text',
    samples: [
      ...texts(...hardTexts),
      only('sqlite', 'embedded NUL', `'a' || char(0) || 'b'`),
      only('sqlite', 'embedded NUL, another end', `'a' || char(0) || 'c'`),
      only('sqlite', 'a byte that is no UTF-8', `cast(x'ff' as text)`),
      only('sqlite', 'another byte that is no UTF-8', `cast(x'fe' as text)`),
      only('sqlite', 'the replacement character', `cast(x'efbfbd' as text)`),
      only('sqlite', 'a cut character', `cast(x'c3' as text)`),
      only('sqlite', 'a blob of the letter a', `x'61'`),
      only('sqlite', 'an empty blob', `x''`),
    ],
  },
  {
    name: 'varchar(40)',
    postgres: 'varchar(40)',
    sqlite: 'varchar(40)',
    samples: texts('', ' ', 'x', 'x ', 'X', '\u{10ffff}'),
  },
  {
    name: 'char(6)',
    postgres: 'char(6)',
    sqlite: 'char(6)',
    // Trailing blanks are padding here, and nothing else is.
    samples: texts('', 'ab', ['ab', 'ab  '], 'ab\t', 'AB', ' ab', '\u{1f600}', ['', '   ']),
  },
  { name: 'citext', postgres: 'citext', samples: texts('a', 'A', 'b', 'É', 'é', '') },
  {
    name: 'bytes',
    postgres: 'bytea',
    sqlite: 'blob',
    samples: [
      nothing,
      ...['', '00', '0000', 'ff', '5c', '5c78', '61', 'c3a9', '01ff', 'ff01'].map((hex) =>
        each(hex, `'\\x${hex}'`, `x'${hex}'`),
      ),
      only('sqlite', 'the text a', `'a'`),
      only('sqlite', 'the text 61', `'61'`),
    ],
  },
  {
    name: 'uuid',
    postgres: 'uuid',
    sqlite: 'uuid',
    samples: texts(
      '00000000-0000-0000-0000-000000000000',
      'ffffffff-ffff-ffff-ffff-ffffffffffff',
      '01234567-89ab-cdef-0123-456789abcdef',
      ['01234567-89ab-cdef-0123-456789abcdef', '01234567-89AB-CDEF-0123-456789ABCDEF'],
      '01234567-89ab-cdef-0123-456789abcdee',
      '89abcdef-0123-4567-0123-456789abcdef',
    ),
  },
  {
    name: 'date',
    postgres: 'date',
    sqlite: 'date',
    samples: [
      ...texts('2024-02-29', '2024-02-28', '0001-01-01', '9999-12-31', '1900-01-01', '2024-12-01', '2024-01-12'),
      ...['0001-12-31 BC', '0044-03-15 BC', '0044-03-15', 'infinity', '-infinity', '5874897-12-31'].map((d) =>
        only('postgres', d, `'${d}'`),
      ),
    ],
  },
  {
    name: 'time',
    postgres: 'time',
    sqlite: 'time',
    samples: texts(
      '00:00:00',
      '23:59:59.999999',
      '23:59:59.999998',
      '12:00:00',
      ['12:00:00', '12:00:00.000'],
      '00:00:00.000001',
    ),
  },
  { name: 'timetz', postgres: 'timetz', samples: texts('12:00:00+00', '13:00:00+01', '12:00:00+01') },
  {
    name: 'timestamp',
    postgres: 'timestamp',
    sqlite: 'datetime',
    samples: [
      ...texts(
        '9999-12-31 23:59:59.999999',
        '9999-12-31 23:59:59.999998',
        '2024-02-29 12:00:00',
        ['2024-02-29 12:00:00', '2024-02-29 12:00:00.000'],
        '2024-02-29 13:00:00',
        '0001-01-01 00:00:00',
        '1969-12-31 23:59:59.999999',
        '1970-01-01 00:00:00',
      ),
      ...['0001-01-01 00:00:00 BC', 'infinity', '-infinity', '294276-12-31 23:59:59.999999'].map((d) =>
        only('postgres', d, `'${d}'`),
      ),
    ],
  },
  {
    name: 'timestamptz',
    postgres: 'timestamptz',
    sqlite: 'timestamptz',
    samples: [
      nothing,
      each('noon', `'2024-07-01 12:00:00+00'`, `'2024-07-01 12:00:00'`),
      each('noon', `'2024-07-01 14:00:00+02'`, `'2024-07-01T12:00:00Z'`),
      each('one', `'2024-07-01 13:00:00+00'`, `'2024-07-01 13:00:00'`),
      each('end', `'9999-12-31 23:59:59.999999+00'`, `'9999-12-31 23:59:59.999999'`),
      each('end - 1', `'9999-12-31 23:59:59.999998+00'`, `'9999-12-31 23:59:59.999998'`),
      only('postgres', 'infinity', `'infinity'`),
      only('postgres', '-infinity', `'-infinity'`),
      only('postgres', '4713 BC', `'4713-01-01 00:00:00+00 BC'`),
    ],
  },
  {
    name: 'interval',
    postgres: 'interval',
    // PostgreSQL's own `=` takes some of these for equal.
    samples: texts('1 mon', '30 days', '720 hours', '1 day', '24 hours', '-1 day', '0', '1 microsecond', '12 mons'),
  },
  {
    name: 'bit',
    postgres: 'bit varying(40)',
    samples: [nothing, ...['', '0', '1', '01', '10', '00000000'].map((v) => only('postgres', v, `b'${v}'`))],
  },
  {
    name: 'enum',
    postgres: 'mood',
    sqlite: 'text',
    samples: texts('sad', 'ok', 'happy', 'Sad', 'very happy'),
  },
  {
    name: 'jsonb',
    postgres: 'jsonb',
    sqlite: 'jsonb',
    samples: [
      ...texts(
        ['one', '{"a":1,"b":[true,null]}'],
        ['one', '{"b": [true, null], "a": 1}'],
        ['decimal', '{"a":1.5}'],
        ['string', '{"a":"1"}'],
        ['nested', '[[1],2]'],
        ['flat', '[1,[2]]'],
        ['null', 'null'],
        ['text null', '"null"'],
        ['empty list', '[]'],
        ['empty object', '{}'],
        ['five', '5'],
        ['minus five', '-5'],
        ['big', '[12345678901234567890]'],
        ['big, next', '[12345678901234567891]'],
        ['é', '"é"'],
      ),
      only('postgres', 'one', `'{"a":1.0,"b":[true,null]}'`),
    ],
  },
  {
    name: 'json',
    postgres: 'json',
    sqlite: 'json',
    samples: texts(
      ['one', '{"a":1}'],
      ['one', '{ "a" : 1 }'],
      ['two', '{"a":2}'],
      ['null', 'null'],
      ['list', '[1,2]'],
      ['swapped', '[2,1]'],
    ),
  },
  {
    name: 'array',
    postgres: 'int[]',
    samples: texts('{}', '{1,2,3,4}', '{{1,2},{3,4}}', '{NULL}', '{1,2,4,3}', '[0:3]={1,2,3,4}'),
  },
  { name: 'text array', postgres: 'text[]', samples: texts('{}', '{""}', '{NULL}', '{"NULL"}', '{"a,b"}', '{a,b}') },
  { name: 'range', postgres: 'numrange', samples: texts('empty', '[1,2)', '(1,2)', '[1,2]', '(,)') },
  { name: 'inet', postgres: 'inet', samples: texts('10.0.0.1', '10.0.0.1/8', '10.0.0.1/24', '::1') },
  { name: 'xml', postgres: 'xml', samples: texts('<a/>', '<a></a>', '<a> </a>') },
  { name: 'composite', postgres: 'place', samples: texts('(,)', '("",)', '(a,1)', '(a,)', '("a ",1)') },
  { name: 'domain', postgres: 'posint', samples: numbers('0', '1', '601295421440') },
  {
    name: 'anything',
    sqlite: '',
    samples: [
      nothing,
      only('sqlite', 'empty', `''`),
      only('sqlite', 'empty blob', `x''`),
      only('sqlite', 'text a', `'a'`),
      only('sqlite', 'blob a', `x'61'`),
      only('sqlite', 'integer 1', '1'),
      only('sqlite', 'text 1', `'1'`),
      only('sqlite', 'real 1.5', '1.5'),
      only('sqlite', 'no UTF-8', `cast(x'80' as text)`),
    ],
  },
];
