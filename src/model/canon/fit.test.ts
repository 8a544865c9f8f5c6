import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Cell, Text } from '../row.ts';
import type { Column, ColumnType } from '../schema.ts';
import { canonical } from './canonical.ts';
import { commonType } from './common.ts';
import { convert } from './convert.ts';
import { fit } from './fit.ts';
import { isMisfit, misfit } from './misfit.ts';
import { storedAgain } from './stored.ts';

const column = (type: ColumnType, native: string, more: Partial<Column> = {}): Column => ({
  name: 'c',
  type,
  native,
  nullable: true,
  ...more,
});
const numeric = column({ kind: 'decimal', precision: 10, scale: 2 }, 'numeric(10,2)');
const varchar = column({ kind: 'text', maxLength: 5 }, 'varchar(5)');
const text = column({ kind: 'text' }, 'text');
const smallint = column({ kind: 'int', bits: 16 }, 'smallint');
const lite = column({ kind: 'text' }, 'TEXT', { loose: true });
const liteInt = column({ kind: 'int', bits: 64 }, 'INTEGER', { loose: true });

const decimal: ColumnType = { kind: 'decimal' };
const takes = (from: ColumnType, raw: string, into: Column, as = raw): void =>
  assert.deepEqual(fit(canonical(from, raw), from, into), { ok: true, cell: as });
const refuses = (from: ColumnType, raw: string, into: Column, reason: RegExp): void => {
  const result = fit(canonical(from, raw), from, into);
  assert.ok(!result.ok, `${raw} fits ${into.native}`);
  assert.match(result.reason, reason);
  // the same for those who may not see values
  assert.ok(
    !result.ok &&
      result.unquoted === `its value${result.reason.slice(result.reason.search(/ (does not fit|cannot be read) /))}`,
  );
};

test('a number that would be rounded is refused, with both named', () => {
  refuses(decimal, '19.9949', numeric, /^19\.9949 does not fit numeric\(10,2\)$/);
  refuses(decimal, '123456789', numeric, /does not fit/);
  refuses(decimal, 'NaN', numeric, /does not fit/);
  takes(decimal, '12345678.9', numeric);
  takes(decimal, '0.01', numeric);
  takes(decimal, 'NaN', column({ kind: 'decimal', precision: 10, scale: 2, special: true }, 'numeric(10,2)'));
  refuses(
    decimal,
    'Infinity',
    column({ kind: 'decimal', precision: 10, scale: 2, special: true }, 'numeric(10,2)'),
    /does not fit/,
  );
  takes(decimal, '0.05', column({ kind: 'decimal', precision: 2, scale: 2 }, 'numeric(2,2)'));
});

test('integers fit in range and without fraction only', () => {
  takes(decimal, '32767', smallint);
  takes(decimal, '-32768', smallint);
  refuses(decimal, '32768', smallint, /^32768 does not fit smallint$/);
  refuses({ kind: 'int', bits: 64 }, '-32769', smallint, /smallint/);
  refuses(decimal, '1.5', smallint, /cannot be read as smallint/);
});

test('floats take what they can give back', () => {
  const real = column({ kind: 'float', bits: 32 }, 'real');
  const double = column({ kind: 'float', bits: 64 }, 'double precision');
  takes(decimal, '0.1', real, '0.10000000149011612');
  takes(decimal, '0.1', double);
  refuses(decimal, '0.12345678901234567890', double, /double precision/);
  refuses({ kind: 'float', bits: 64 }, '0.123456789', real, /real/);
  takes({ kind: 'float', bits: 64 }, '0.5', real);
  refuses({ kind: 'float', bits: 64 }, '0.1', real, /0\.1 does not fit real exactly/);
});

test('a text is counted in characters', () => {
  takes({ kind: 'text' }, '😀😀😀😀😀', varchar);
  refuses({ kind: 'text' }, '123456', varchar, /it has 6 characters/);
});

test('bytes that are no UTF-8, and NUL, stay out of a strict text column', () => {
  refuses({ kind: 'text' }, 'a\udcff', text, /not valid UTF-8/);
  refuses({ kind: 'text' }, 'a\0b', text, /NUL/);
  takes({ kind: 'text' }, 'a\udcff', lite);
  takes({ kind: 'text' }, 'a\0b', lite);
});

test('labels, fractions of seconds and NULL are checked', () => {
  const mood = column({ kind: 'enum', labels: ['sad', 'ok'] }, 'mood');
  takes({ kind: 'text' }, 'ok', mood);
  refuses({ kind: 'text' }, 'OK', mood, /none of its 2 labels/);
  const milli = column({ kind: 'timestamp', fraction: 3 }, 'timestamp(3)');
  takes({ kind: 'timestamp', fraction: 6 }, '2024-01-01 00:00:00.123', milli);
  refuses(
    { kind: 'timestamp', fraction: 6 },
    '2024-01-01 00:00:00.1234',
    milli,
    /keeps 3 digits of a second, this has 4/,
  );
  takes({ kind: 'timestamp', fraction: 6 }, '0044-03-15 00:00:00.123 BC', milli);
  assert.equal(fit(null, { kind: 'text' }, { ...text, nullable: false }).ok, false);
  assert.deepEqual(fit(null, { kind: 'text' }, text), { ok: true, cell: null });
});

test('a timestamp fits a date only at midnight', () => {
  const date = column({ kind: 'date' }, 'date');
  takes({ kind: 'timestamp', fraction: 6 }, '2024-01-01 00:00:00', date, '2024-01-01');
  takes({ kind: 'timestamp', fraction: 6 }, '0044-03-15 00:00:00 BC', date, '0044-03-15 BC');
  takes({ kind: 'timestamp', fraction: 6 }, 'infinity', date);
  refuses({ kind: 'timestamp', fraction: 6 }, '2024-01-01 00:00:01', date, /date/);
});

test('jsonb refuses what it cannot store', () => {
  const jsonb = column({ kind: 'json', binary: true }, 'jsonb');
  const json: ColumnType = { kind: 'json', binary: true };
  takes(json, '{"a":"\\\\u0000"}', jsonb);
  refuses(json, '{"a":"\\u0000"}', jsonb, /u0000/);
  refuses(json, '"\\ud800"', jsonb, /surrogate/);
  takes(json, '"\\u0000"', column({ kind: 'json', binary: false }, 'json'));
});

test('a misfit goes back into a loose column as it was, and into no strict one', () => {
  const cell = misfit('t', 'abc');
  assert.deepEqual(fit(cell, { kind: 'int', bits: 64 }, liteInt), { ok: true, cell });
  refuses({ kind: 'int', bits: 64 }, 'abc', smallint, /‹text "abc"› cannot be read as smallint/);
  // What is no uuid is still a text.
  takes({ kind: 'uuid' }, 'not a uuid', text, 'not a uuid');
  const blob = misfit('b', '00ff');
  assert.deepEqual(fit(blob, { kind: 'text' }, lite), { ok: true, cell: blob });
  assert.equal(fit(blob, { kind: 'text' }, text).ok, false);
});

test('a text that a numeric column of SQLite would turn into another is refused', () => {
  refuses({ kind: 'text' }, '007', liteInt, /does not fit INTEGER exactly/);
  takes({ kind: 'text' }, '7', liteInt);
  const liteNumber = column({ kind: 'decimal' }, 'NUMERIC', { loose: true });
  takes(decimal, '19.9949', liteNumber);
  takes(decimal, '9223372036854775807', liteNumber);
  refuses(decimal, '0.12345678901234567890', liteNumber, /15 digits/);
  refuses(decimal, '12345678901234567890', liteNumber, /15 digits/);
});

test('a number in a loose column of another kind comes back as a number', () => {
  takes(decimal, '1.5', liteInt, misfit('n', '1.5'));
  takes({ kind: 'int', bits: 32 }, '2', column({ kind: 'bool' }, 'BOOLEAN', { loose: true }), misfit('n', '2'));
  refuses(decimal, '0.12345678901234567890', column({ kind: 'float', bits: 64 }, 'REAL', { loose: true }), /REAL/);
  refuses({ kind: 'text' }, '1.50', liteInt, /INTEGER/);
  refuses({ kind: 'text' }, '2024', column({ kind: 'date' }, 'DATE', { loose: true }), /DATE/);
});

test('CHAR(n) is trimmed on its own side, and a text with blanks at its end does not fit it', () => {
  const char = column({ kind: 'text', maxLength: 5, padded: true }, 'char(5)');
  const { as } = commonType(char, text);
  assert.equal(convert('ab   ' as Text, char.type, as!), 'ab');
  takes(as!, 'ab', char);
  refuses(as!, 'ab ', char, /does not fit char\(5\) exactly/);
});

test('a long value is cut in the message', () => {
  const result = fit(canonical({ kind: 'text' }, 'x\u001b'.repeat(500)), { kind: 'text' }, varchar);
  assert.ok(!result.ok && result.reason.length < 200 && !result.reason.includes('\u001b'), JSON.stringify(result));
});

test('what fits is the same value again when it is read as the common type', () => {
  const columns: Column[] = [
    numeric,
    varchar,
    text,
    smallint,
    lite,
    liteInt,
    column({ kind: 'float', bits: 32 }, 'real'),
    column({ kind: 'float', bits: 64 }, 'float8'),
    column({ kind: 'bool' }, 'bool'),
    column({ kind: 'date' }, 'date'),
    column({ kind: 'timestamp', fraction: 3 }, 'timestamp(3)'),
    column({ kind: 'instant', fraction: 6 }, 'timestamptz'),
    column({ kind: 'uuid' }, 'uuid'),
    column({ kind: 'json', binary: true }, 'jsonb'),
    column({ kind: 'text', maxLength: 4, padded: true }, 'char(4)'),
    column({ kind: 'bytes' }, 'bytea'),
    column({ kind: 'decimal' }, 'NUMERIC', { loose: true }),
    column({ kind: 'bytes' }, 'BLOB', { loose: true }),
  ];
  const raws = fc.oneof(
    fc.constantFrom(
      '',
      '0',
      '1',
      '-1',
      '007',
      '1.5',
      '0.1',
      '0.10000000149011612',
      '19.90',
      '1e3',
      'true',
      'abc',
      'ab  ',
      '2024-01-01',
      '2024-01-01 00:00:00',
      '2024-01-01 12:00:00.123456',
      'infinity',
      'NaN',
      '{"a":1}',
      '550e8400-e29b-41d4-a716-446655440000',
      'deadbeef',
      '9'.repeat(25),
      'a\udcff',
    ),
    fc.double().map(String),
    fc.string({ maxLength: 8 }),
  );
  let fits = 0;
  fc.assert(
    fc.property(fc.constantFrom(...columns), fc.constantFrom(...columns), raws, (source, target, raw) => {
      const { as } = commonType(source, target);
      if (as === undefined) return;
      const own = canonical(source.type, raw);
      const cell = convert(own, source.type, as);
      const result = fit(cell, as, target);
      if (!result.ok) return;
      fits++;
      const back =
        target.loose && result.cell !== null
          ? storedAgain(as, target.type, result.cell)
          : convert(result.cell, target.type, as);
      assert.equal(back, cell);
      // Its own canonical text: written and read back it is the same.
      if (!isMisfit(result.cell)) assert.equal(canonical(target.type, result.cell as string), result.cell as Cell);
    }),
    { numRuns: 20_000 },
  );
  assert.ok(fits > 2000, `${fits} fitted`);
});
