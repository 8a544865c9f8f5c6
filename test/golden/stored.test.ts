import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { canonical } from '../../src/model/canon/canonical.ts';
import { fit } from '../../src/model/canon/fit.ts';
import { isMisfit, misfitContent } from '../../src/model/canon/misfit.ts';
import { storedBlob, storedInteger, storedReal, storedText } from '../../src/model/canon/stored.ts';
import type { Text } from '../../src/model/row.ts';
import type { ColumnType } from '../../src/model/schema.ts';

const int: ColumnType = { kind: 'int', bits: 64 };
const decimal: ColumnType = { kind: 'decimal' };
const double: ColumnType = { kind: 'float', bits: 64 };
const real: ColumnType = { kind: 'float', bits: 32 };
const text: ColumnType = { kind: 'text' };
const bool: ColumnType = { kind: 'bool' };
const bytes: ColumnType = { kind: 'bytes' };
const uuid: ColumnType = { kind: 'uuid' };
const date: ColumnType = { kind: 'date' };
const json: ColumnType = { kind: 'json', binary: true };

const cell = (as: ColumnType, stored: ColumnType, value: unknown): Text => {
  if (typeof value === 'bigint') return storedInteger(as, stored, String(value));
  if (typeof value === 'number') return storedReal(as, stored, value);
  return typeof value === 'string' ? storedText(as, stored, value) : storedBlob(as, stored, value as Uint8Array);
};

test('a loose cell is what it stores, read as the type that is asked for', () => {
  const id = Buffer.from('550e8400e29b41d4a716446655440000', 'hex');
  const cases: readonly (readonly [ColumnType, ColumnType, unknown, string])[] = [
    [int, int, 9007199254740993n, '9007199254740993'],
    [int, double, 3, '3'],
    [text, int, 7n, '7'],
    [text, text, '007', '007'],
    [decimal, double, 0.1, '0.1'],
    [decimal, double, 1e23, `1${'0'.repeat(23)}`],
    [double, double, -0, '0'],
    [double, double, 1e23, '1e+23'],
    [real, double, 0.1, '0.10000000149011612'],
    [real, double, 0.10000000149011612, '0.10000000149011612'],
    [bool, bool, 1n, 'true'],
    [bool, bool, 'false', 'false'],
    [text, bool, 1n, 'true'],
    [bytes, bytes, Buffer.from([0, 255]), '00ff'],
    [bytes, text, '\\x00FF', '00ff'],
    [uuid, bytes, id, '550e8400-e29b-41d4-a716-446655440000'],
    [uuid, text, '550E8400-E29B-41D4-A716-446655440000', '550e8400-e29b-41d4-a716-446655440000'],
    [text, uuid, id, '550e8400-e29b-41d4-a716-446655440000'],
    [date, text, '2024-02-29', '2024-02-29'],
    [json, json, 5n, '5'],
    [json, text, '{"b":1, "a":2.0}', '{"a":2,"b":1}'],
    [{ kind: 'text', padded: true }, text, 'ab  ', 'ab'],
    [text, { kind: 'text', padded: true }, 'ab  ', 'ab'],
  ];
  for (const [as, stored, value, expected] of cases)
    assert.equal(cell(as, stored, value), expected, `${stored.kind} as ${as.kind}: ${String(value)}`);
});

test('what the type cannot read is a misfit that says what was stored', () => {
  const cases: readonly (readonly [ColumnType, ColumnType, unknown, string, string])[] = [
    [int, int, 'abc', 't', 'abc'],
    [int, int, 1.5, 'n', '1.5'],
    [text, text, 5n, 'n', '5'],
    [text, text, 5, 'n', '5.0'],
    [text, text, Buffer.from('ab'), 'b', '6162'],
    [bool, bool, 2n, 'n', '2'],
    [date, date, 1700000000n, 'n', '1700000000'],
    [date, date, '2023-02-31', 't', '2023-02-31'],
    [bytes, bytes, '00ff', 't', '00ff'],
    [bytes, bytes, '\\x00ff', 't', '\\x00ff'],
    [real, double, 0.123456789, 'n', '0.123456789'],
    [uuid, bytes, Buffer.from('ab'), 'b', '6162'],
    [double, double, 9007199254740993n, 'n', '9007199254740993'],
  ];
  for (const [as, stored, value, letter, content] of cases) {
    const found = cell(as, stored, value);
    assert.ok(isMisfit(found), `${stored.kind} as ${as.kind}: ${String(value)}`);
    assert.deepEqual(misfitContent(found), { stored: letter, content });
  }
});

test('storage classes never run together in a column of any kind', () => {
  for (const type of [int, text, double, bytes, uuid, date, json] as const) {
    const cells = ['1', 'x1', Buffer.from('1'), Buffer.from('31', 'hex')].map((v) => cell(type, type, v));
    assert.notEqual(cells[0], cells[2]);
    assert.notEqual(cells[1], cells[2]);
    assert.equal(cells[2], cells[3]);
  }
  assert.notEqual(cell(text, text, 1n), cell(text, text, '1'));
  assert.notEqual(cell(text, text, 1n), cell(text, text, 1));
});

/** Declared types, their kinds and values that a fit may let through: written as the cell says and read again. */
const columns: readonly { readonly declared: string; readonly type: ColumnType }[] = [
  { declared: 'INTEGER', type: int },
  { declared: 'NUMERIC', type: decimal },
  { declared: 'REAL', type: double },
  { declared: 'TEXT', type: text },
  { declared: 'BLOB', type: bytes },
  { declared: 'BOOLEAN', type: bool },
  { declared: 'DATE', type: date },
  { declared: 'JSON', type: json },
  { declared: 'UUID', type: uuid },
];

/** The value to bind for a cell of a loose column. */
const bound = (type: ColumnType, value: Text): bigint | number | string | Uint8Array => {
  if (isMisfit(value)) {
    const { stored, content } = misfitContent(value);
    if (stored === 't') return content;
    if (stored === 'b') return Buffer.from(content, 'hex');
    return /^-?[0-9]+$/.test(content) ? BigInt(content) : Number(content);
  }
  switch (type.kind) {
    case 'int':
      return BigInt(value);
    case 'float':
      return Number(value);
    case 'bool':
      return value === 'true' ? 1n : 0n;
    case 'bytes':
      return Buffer.from(value, 'hex');
    default:
      return value;
  }
};

test('what a fit lets into SQLite comes back as it was fitted, whatever the affinity does to it', () => {
  const db = new DatabaseSync(':memory:');
  const sources: readonly ColumnType[] = [int, decimal, double, text, bool, bytes, date, json, uuid];
  const raws = [
    '0',
    '1',
    '-1',
    '2',
    '007',
    '1.5',
    '1.50',
    '0.1',
    '1e3',
    '9223372036854775807',
    '9223372036854775808',
    '0.12345678901234567890',
    '123456789012345678.12',
    '1e300',
    'true',
    'abc',
    '',
    ' 1',
    '1 ',
    '2024',
    '2024-01-01',
    '2024-01-01 00:00:00',
    'deadbeef',
    '{"a":1}',
    '[1.5]',
    '"x"',
    '550e8400-e29b-41d4-a716-446655440000',
    'Infinity',
    '0x10',
    '1_000',
    '.5',
    '5.',
    '+5',
    '-0',
  ];
  let written = 0;
  let refused = 0;
  for (const { declared, type } of columns) {
    db.exec(`create table "${declared}" (c ${declared})`);
    const insert = db.prepare(`insert into "${declared}" values (?) returning c`);
    insert.setReadBigInts(true);
    for (const from of sources)
      for (const raw of raws) {
        const value = canonical(from, raw);
        if (isMisfit(value)) continue;
        const result = fit(value, from, { name: 'c', type, native: declared, nullable: true, loose: true });
        if (!result.ok) {
          refused++;
          continue;
        }
        written++;
        const { c } = insert.get(bound(type, result.cell!)) as { c: unknown };
        assert.equal(cell(type, type, c), result.cell, `${from.kind} ${raw} into ${declared}`);
        assert.equal(cell(from, type, c), value, `${from.kind} ${raw} read back from ${declared}`);
      }
  }
  assert.ok(written > 300 && refused > 100, `${written} written, ${refused} refused`);
});
