import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ColumnType } from '../schema.ts';
import { canonical } from './canonical.ts';
import { isMisfit, misfitContent } from './misfit.ts';

const types: readonly ColumnType[] = [
  { kind: 'bool' },
  { kind: 'int', bits: 64 },
  { kind: 'decimal' },
  { kind: 'float', bits: 64 },
  { kind: 'float', bits: 32 },
  { kind: 'text' },
  { kind: 'text', padded: true },
  { kind: 'bytes' },
  { kind: 'uuid' },
  { kind: 'date' },
  { kind: 'time', fraction: 6 },
  { kind: 'timestamp', fraction: 6 },
  { kind: 'instant', fraction: 6 },
  { kind: 'json', binary: true },
  { kind: 'bit' },
];

/** Texts that are nearly values. */
const pieces = fc.constantFrom(
  '0',
  '1',
  '9',
  '12',
  '-',
  '+',
  '.',
  'e',
  'E',
  ':',
  ' ',
  'T',
  'Z',
  '2024-02-29',
  '0044-03-15',
  '12:34:56',
  '24:00:00',
  ' BC',
  '+02',
  '{',
  '}',
  '[',
  ']',
  '"',
  ',',
  'a',
  'ff',
  'NaN',
  'inf',
  'Infinity',
  'true',
  'T',
  '\\x',
  '000',
  '1e400',
  '1e-400',
  '\udcff',
  '\udc00',
  '😀',
);
const raws = fc.oneof(
  fc.array(pieces, { maxLength: 6 }).map((p) => p.join('')),
  fc.double().map(String),
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map(String),
  fc.json(),
  fc.string(),
);

test('a canonical text reads as itself, whatever it was made of', () => {
  fc.assert(
    fc.property(fc.constantFrom(...types), raws, (type, raw) => {
      const once = canonical(type, raw);
      assert.equal(canonical(type, once), once);
      if (isMisfit(once) && !raw.startsWith('\udc00'))
        assert.deepEqual(misfitContent(once), { stored: 't', content: raw });
    }),
    { numRuns: 30_000 },
  );
});

const reads = (type: ColumnType, cases: Readonly<Record<string, string>>): void => {
  for (const [raw, expected] of Object.entries(cases)) assert.equal(canonical(type, raw), expected, raw);
};
const isOdd = (type: ColumnType, raws: readonly string[]): void => {
  for (const raw of raws)
    assert.ok(isMisfit(canonical(type, raw)), `${type.kind} ${JSON.stringify(raw)} → ${canonical(type, raw)}`);
};

test('booleans and integers', () => {
  reads({ kind: 'bool' }, { t: 'true', TRUE: 'true', '0': 'false', False: 'false' });
  isOdd({ kind: 'bool' }, ['2', '', 'yes', 'tru', ' true']);
  reads(
    { kind: 'int', bits: 64 },
    { '007': '7', '+5': '5', '-0': '0', '1.0': '1', '1e3': '1000', '-9223372036854775808': '-9223372036854775808' },
  );
  isOdd({ kind: 'int', bits: 64 }, [
    '',
    ' 1',
    '1 ',
    '1.5',
    '9223372036854775808',
    '0x10',
    '1_000',
    '1e400',
    'NaN',
    '١',
  ]);
});

test('decimals keep every digit and never run away', () => {
  reads(
    { kind: 'decimal' },
    {
      '1.50': '1.5',
      '-0.00': '0',
      '.5': '0.5',
      '5.': '5',
      '1e2': '100',
      '12.5e-3': '0.0125',
      '-1E+2': '-100',
      '0e999999999': '0',
      nan: 'NaN',
      '-INF': '-Infinity',
    },
  );
  assert.equal(canonical({ kind: 'decimal' }, `${'1'.repeat(5000)}.${'0'.repeat(20_000)}`), '1'.repeat(5000));
  isOdd({ kind: 'decimal' }, [
    '1e1000000000',
    '1e-1000000000',
    '1e99999999999999999999',
    '.',
    '-',
    'e5',
    '1e',
    '1.2.3',
    '',
  ]);
});

test('a text stands for a double only if the double can be printed so', () => {
  reads(
    { kind: 'float', bits: 64 },
    {
      '1e23': '1e+23',
      '0.1': '0.1',
      '1.0': '1',
      '-0': '0',
      '0.10000000000000001': '0.1',
      '100000000000000000000000': '1e+23',
      inf: 'Infinity',
      '0.1000000000000000055511151231257827021181583404541015625': '0.1',
    },
  );
  isOdd({ kind: 'float', bits: 64 }, ['0.10000000000000000001', '9007199254740993', '1e400', '1e-400', '0x1', '']);
  reads(
    { kind: 'float', bits: 32 },
    {
      '0.1': '0.10000000149011612',
      '0.10000000149011612': '0.10000000149011612',
      '0.100000001': '0.10000000149011612',
      '16777216': '16777216',
    },
  );
  isOdd({ kind: 'float', bits: 32 }, ['0.1000001234', '16777217', '1e39', '1e-46', '3.14159265358979']);
});

test('dates and times are read in the usual spellings and never guessed', () => {
  reads(
    { kind: 'date' },
    {
      '2024-02-29 00:00:00': '2024-02-29',
      '2024-02-29T00:00': '2024-02-29',
      Infinity: 'infinity',
      '12024-01-01': '12024-01-01',
      '02024-01-01': '2024-01-01',
    },
  );
  isOdd({ kind: 'date' }, [
    '2023-02-29',
    '0000-01-01',
    '2024-13-01',
    '2024-00-15',
    '2024-01-01 00:00:01',
    '2024-1-1',
    '20240101',
    '1700000000',
    '2024-01-01Z',
    '1900-02-29',
    '5874898-01-01',
    '4714-11-23 BC',
  ]);
  reads(
    { kind: 'time', fraction: 6 },
    {
      '12:00': '12:00:00',
      '12:00:00.500': '12:00:00.5',
      '24:00:00': '24:00:00',
      '12:00:00.1234560': '12:00:00.123456',
    },
  );
  isOdd({ kind: 'time', fraction: 6 }, [
    '24:00:01',
    '12:60:00',
    '12:00:60',
    '12:00:00.1234567',
    '12:00:00+02',
    '-01:00:00',
    '1:00:00',
    '12',
  ]);
  reads(
    { kind: 'timestamp', fraction: 6 },
    {
      '2024-01-01': '2024-01-01 00:00:00',
      '2024-01-01T12:00:00Z': '2024-01-01 12:00:00',
      '2024-12-31 24:00:00': '2025-01-01 00:00:00',
      '2024-01-01 12:00:00.000': '2024-01-01 12:00:00',
    },
  );
  isOdd({ kind: 'timestamp', fraction: 6 }, [
    '2024-01-01 12:00:00+02',
    '2024-01-01 12:00:00.0000001',
    '294277-01-01 00:00:00',
    '1700000000',
    '2024-01-01 12:00:60',
    '2024-01-01  12:00:00',
  ]);
  reads(
    { kind: 'instant', fraction: 6 },
    {
      '2024-01-01T00:30:00+02:00': '2023-12-31 22:30:00',
      '2024-01-01 00:30:00.25-0530': '2024-01-01 06:00:00.25',
      '2024-01-01 00:30:00+05:45': '2023-12-31 18:45:00',
      '0001-01-01 00:00:00+01': '0001-12-31 23:00:00 BC',
      '2024-01-01 00:30:00': '2024-01-01 00:30:00',
      '1890-01-01 00:00:00+00:53:28': '1889-12-31 23:06:32',
    },
  );
  isOdd({ kind: 'instant', fraction: 6 }, [
    '1700000000',
    '1700000000.5',
    '2024-01-01 00:30:00 Europe/Berlin',
    '2024-01-01 00:30:00+25',
    '',
  ]);
});

test('bytes and uuids', () => {
  reads({ kind: 'bytes' }, { '\\xDEADBEEF': 'deadbeef', '0xAB': 'ab', '': '', AB: 'ab' });
  isOdd({ kind: 'bytes' }, ['abc', 'xy', '\\\\xab', 'a b']);
  const id = '550e8400-e29b-41d4-a716-446655440000';
  reads({ kind: 'uuid' }, { [id.toUpperCase()]: id, [`{${id}}`]: id, [id.replaceAll('-', '')]: id });
  isOdd({ kind: 'uuid' }, [`{${id}`, `${id}0`, id.slice(1), `${id} `, '']);
});

test('a text is itself, blanks and all; CHAR(n) loses blanks at its end only', () => {
  reads({ kind: 'text' }, { ' a ': ' a ', '': '', 'a\u00a0': 'a\u00a0' });
  reads({ kind: 'text', padded: true }, { ' a  ': ' a', 'a\t ': 'a\t', '  ': '', 'a\u00a0': 'a\u00a0' });
});
