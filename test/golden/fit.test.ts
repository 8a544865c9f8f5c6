import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { canonical } from '../../src/model/canon/canonical.ts';
import { fit } from '../../src/model/canon/fit.ts';
import { isMisfit } from '../../src/model/canon/misfit.ts';
import type { Text } from '../../src/model/row.ts';
import type { Column, ColumnType } from '../../src/model/schema.ts';
import { type TestDatabase, testDatabase } from '../servers/postgres.ts';
import { seeded, valuesOf } from './values.ts';

let database: TestDatabase;
before(async () => {
  database = await testDatabase();
  await database.query("create type mood as enum ('sad', 'ok', 'käse')");
});
after(async () => {
  await database[Symbol.asyncDispose]();
});

const decimal: ColumnType = { kind: 'decimal', special: true };
const numeric = (precision: number, scale: number): ColumnType => ({
  kind: 'decimal',
  precision,
  scale,
  special: true,
});
const timestamp: ColumnType = { kind: 'timestamp', fraction: 6 };
const text: ColumnType = { kind: 'text' };

/** A common type, a column, and how the server writes its values as text of the common type. */
const cases: readonly {
  readonly from: ColumnType;
  readonly native: string;
  readonly type: ColumnType;
  readonly back?: string;
}[] = [
  { from: decimal, native: 'numeric(10,2)', type: numeric(10, 2) },
  { from: decimal, native: 'numeric(3,5)', type: numeric(3, 5) },
  { from: decimal, native: 'numeric(3,-2)', type: numeric(3, -2) },
  { from: decimal, native: 'numeric', type: decimal },
  { from: decimal, native: 'int2', type: { kind: 'int', bits: 16 } },
  { from: decimal, native: 'int4', type: { kind: 'int', bits: 32 } },
  { from: decimal, native: 'int8', type: { kind: 'int', bits: 64 } },
  { from: decimal, native: 'float4', type: { kind: 'float', bits: 32 } },
  { from: decimal, native: 'float8', type: { kind: 'float', bits: 64 } },
  { from: timestamp, native: 'timestamp(3)', type: { kind: 'timestamp', fraction: 3 } },
  { from: timestamp, native: 'timestamp(0)', type: { kind: 'timestamp', fraction: 0 } },
  { from: timestamp, native: 'date', type: { kind: 'date' }, back: 'timestamp' },
  { from: { kind: 'time', fraction: 6 }, native: 'time(2)', type: { kind: 'time', fraction: 2 } },
  { from: text, native: 'varchar(5)', type: { kind: 'text', maxLength: 5 } },
  { from: text, native: 'char(5)', type: { kind: 'text', maxLength: 5, padded: true } },
  { from: text, native: 'mood', type: { kind: 'enum', labels: ['sad', 'ok', 'käse'] } },
  { from: text, native: 'int4', type: { kind: 'int', bits: 32 } },
  { from: text, native: 'date', type: { kind: 'date' } },
  { from: text, native: 'uuid', type: { kind: 'uuid' } },
];

const extra: Readonly<Record<string, readonly string[]>> = {
  decimal: [
    '0.05',
    '0.00999',
    '0.01',
    '0.009999',
    '99900',
    '99950',
    '100000',
    '100',
    '150',
    '99999999.99',
    '100000000',
    '19.9949',
    '0.1',
    '16777217',
    '9007199254740993',
    '32767',
    '32768',
    '-32768',
    '-32769',
    '2147483648',
    '9223372036854775807',
    '9223372036854775808',
    '1.5',
    '-0.5',
  ],
  text: [
    'sad',
    'ok',
    'käse',
    'SAD',
    'sad ',
    'ab   ',
    'abcde ',
    'abcdef',
    '😀😀😀😀😀',
    '😀😀😀😀😀😀',
    '7',
    '007',
    ' 7',
    '+7',
    '2024-02-29',
    '2024-2-29',
    '2023-02-29',
    '20240229',
    '0044-03-15 BC',
    '550e8400-e29b-41d4-a716-446655440000',
    '550E8400-E29B-41D4-A716-446655440000',
    '{550e8400-e29b-41d4-a716-446655440000}',
    'infinity',
    'tomorrow',
  ],
  timestamp: [
    '2024-01-01 00:00:00',
    '2024-01-01 00:00:00.12',
    '2024-01-01 00:00:00.1234',
    '0044-03-15 00:00:00 BC',
    'infinity',
    '10000-01-01 00:00:00',
  ],
  time: ['24:00:00', '12:00:00.12', '12:00:00.123'],
};

for (const { from, native, type } of cases)
  test(`${from.kind} into ${native}: what fits comes back from the server as it was, what is refused does not`, async () => {
    const values = [...extra[from.kind]!, ...valuesOf(from, seeded(native + from.kind), 1000)]
      .map((raw) => canonical(from, raw))
      .filter((cell) => !isMisfit(cell) && !cell.includes('\0') && cell.length < 400);
    const { rows } = await database.query(
      `select pg_input_is_valid(t, '${native}') as valid, case when pg_input_is_valid(t, '${native}') then t::${native}::text end as stored
         from unnest($1::text[]) with ordinality as u(t, n) order by n`,
      [values],
    );
    const column: Column = { name: 'c', type, native, nullable: true };
    let fits = 0;
    values.forEach((value, i) => {
      const result = fit(value, from, column);
      const stored = rows[i]!.valid ? (rows[i]!.stored as string) : undefined;
      // What the server made of it, as the common type again: the same value, or it was changed.
      const kept = stored !== undefined && same(from, type, stored, value);
      assert.equal(result.ok, kept, `${value} stored as ${stored}: ${result.ok ? 'fits' : result.reason}`);
      if (result.ok) {
        fits++;
        assert.equal(canonical(type, stored!), result.cell);
      }
    });
    assert.ok(fits > 0 && (fits < values.length || native === 'numeric'), `${fits} of ${values.length} fit`);
  });

const same = (from: ColumnType, type: ColumnType, stored: string, value: Text): boolean => {
  // varchar(n) cuts trailing blanks and char(n) drops them: the text is another one.
  if (from.kind === 'text' && type.kind === 'text') return (type.padded ? stored.replace(/ +$/, '') : stored) === value;
  return canonical(from, stored) === value;
};
