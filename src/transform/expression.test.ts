import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LockstepError } from '../model/errors.ts';
import type { Cell, Text } from '../model/row.ts';
import type { Column, ColumnType } from '../model/schema.ts';
import { compileExpression } from './expression.ts';
import { Invalid, toValue } from './value.ts';

const column = (name: string, type: ColumnType, nullable = false): Column => ({
  name,
  type,
  native: type.kind,
  nullable,
});
const columns: readonly Column[] = [
  column('cents', { kind: 'int', bits: 64 }),
  column('amount', { kind: 'decimal', precision: 30, scale: 12 }),
  column('rate', { kind: 'float', bits: 64 }),
  column('NAME', { kind: 'text' }),
  column('note', { kind: 'text' }, true),
  column('count', { kind: 'int', bits: 32 }, true),
  column('paid', { kind: 'bool' }),
  column('first name', { kind: 'text' }),
  column('in', { kind: 'text' }),
];
const stored: Readonly<Record<string, string | null>> = {
  cents: '9223372036854775807',
  amount: '0.123456789012',
  rate: '0.1',
  NAME: 'Ann',
  note: null,
  count: null,
  paid: 'true',
  'first name': 'Bob',
  in: 'word',
};

const result = (text: string, row: Readonly<Record<string, string | null>> = stored): unknown => {
  const compiled = compileExpression(text, columns, 'orders.total');
  return compiled.evaluate((name) => toValue(row[name] as Cell, name, columns.find((c) => c.name === name)!.type));
};
const shown = (value: unknown): string => String(value);

test('numbers are exact: 64-bit integers, 12 digits after the point, no binary fractions', () => {
  for (const [text, value] of [
    ['cents', '9223372036854775807'],
    ['cents * 2', '18446744073709551614'],
    ['cents / 100', '92233720368547758.07'],
    ['amount * 3', '0.370370367036'],
    ['amount + 0.000000000001', '0.123456789013'],
    ['0.1 + 0.2', '0.3'],
    ['rate + 0.2', '0.3'],
    ['5 / 2', '2.5'],
    ['1.5e3', '1500'],
    ['round(amount, 2)', '0.12'],
    ['-cents % 10', '-7'],
    ['decimal("1.10") * 2', '2.2'],
    ['int(cents)', '9223372036854775807'],
  ] as const)
    assert.equal(shown(result(text)), value, text);
});

test('comparing numbers compares numbers', () => {
  for (const text of [
    'amount in [0.1234567890120, 7]',
    'cents > 5 && amount < 1 && 1 <= cents && rate == 0.10',
    'size(NAME) == 3',
    'paid ? cents != 1 : false',
    'nullif(cents, 9223372036854775807) == null',
  ])
    assert.equal(result(text), true, text);
});

test('texts, NULLs, and names that are no identifiers', () => {
  for (const [text, value] of [
    ['name + " " + row["first name"]', 'Ann Bob'],
    ['row["in"]', 'word'],
    ['coalesce(note, "-")', '-'],
    ['note == null ? "none" : note', 'none'],
    ['note == null ? null : note + "!"', 'null'],
    ['NAME == null ? null : NAME + "!"', 'Ann!'],
    ['paid ? amount : null', '0.123456789012'],
    ['paid ? 0 : amount', '0'],
    ['note in [null, "x"] ? "yes" : "no"', 'yes'],
    ['name.substring(0, 2).upper() + name.substring(size(name) - 1)', 'ANn'],
    ['string(amount).padStart(16, "0")', '000.123456789012'],
    ['name.replace("n", "$&")', 'A$&$&'],
  ] as const)
    assert.equal(shown(result(text)), value, text);
});

test('only the columns that it names are its inputs', () => {
  const inputs = (text: string): readonly string[] => compileExpression(text, columns, 'x').inputs;
  assert.deepEqual(inputs('cents + amount'), ['cents', 'amount']);
  assert.deepEqual(inputs('row.NAME + row["in"]'), ['NAME', 'in']);
  assert.deepEqual(inputs('size(row) > 0').length, columns.length);
});

test('what cannot be evaluated makes the row invalid, with the reason', () => {
  for (const [text, reason] of [
    ['cents / 0', /division by zero/],
    ['cents % (cents - cents)', /division by zero/],
    ['count + 1', /count is NULL \(coalesce/],
    ['decimal(NAME)', /'Ann' is not a number/],
    ['name.substring(0, 99)', /./],
    ['"a".padStart(9999999999, "x")', /more than/],
  ] as const)
    assert.throws(
      () => result(text),
      (error: unknown) => error instanceof Invalid && reason.test(error.message),
      text,
    );
  const odd = { ...stored, amount: 'NaN', cents: '\udc00tabc' };
  assert.throws(() => result('amount + 1', odd), /amount is NaN, which cannot be calculated with/);
  assert.throws(() => result('cents + 1', odd), /cents holds ‹text "abc"›, which is no int|cents holds/);
  assert.equal(result('NAME', odd), 'Ann', 'a value that is not looked at does no harm');
});

test('nothing but the row can be reached', () => {
  for (const text of [
    'constructor',
    '__proto__',
    'toString()',
    'this',
    'globalThis',
    'process',
    'require("fs")',
    'name.constructor',
    'name.__proto__',
    'amount.digits',
    'amount.constructor("return 1")()',
    '[].constructor',
    '"".constructor.constructor("return process")()',
    'row.constructor',
    'row.__proto__',
    'row["constructor"]',
    'row["__proto__"]',
  ])
    assert.throws(() => result(text), LockstepError, text);
  for (const text of [
    'row["const" + "ructor"]',
    'row["__pro" + "to__"]',
    '{"a": 1}["__proto__"]',
    '{"a": 1}.constructor',
    'b"{}".json().constructor',
    'b"{}".json()["__proto__"]',
  ])
    assert.throws(() => result(text), Invalid, text);
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
});

test('mistakes are told when the configuration is read', () => {
  for (const [text, message] of [
    ['amoumt * 2', /there is no column amoumt/],
    ['row.amoumt', /there is no column amoumt/],
    ['cents == "x"', /no such overload/],
    ['cents +', /./],
    ['NAME.matches("^A")', /like\("pattern"\)/],
    ['NAME.like("(?=x)")', /pars/],
    [`${'('.repeat(200)}1${')'.repeat(200)}`, /./],
  ] as const)
    assert.throws(
      () => compileExpression(text, columns, 'orders.total'),
      (error: unknown) =>
        error instanceof LockstepError &&
        error.code === 'CONFIG' &&
        error.message.startsWith('orders.total: ') &&
        message.test(error.message),
      text,
    );
});

test('a pattern that backtracking engines never finish is matched in linear time', () => {
  const text = `${'a'.repeat(20_000)}!` as Text;
  const row = { ...stored, NAME: text };
  assert.equal(result('NAME.like("^(a+)+$")', row), false);
  assert.equal(result('NAME.like("^(a|a)*b?!$")', row), true);
});

test('no quotient loses its fraction, whatever its integers come from', () => {
  const row = { ...stored, cents: '7' };
  const shown: Readonly<Record<string, string>> = {
    'coalesce(count, 7) / coalesce(count, 2)': '3.5',
    'size(NAME) / size("ab")': '1.5',
    'int(cents) / int("2")': '3.5',
    'cents / size("ab") / size("abcd")': '0.875',
    '(size(NAME) + size("ab")) / size("ab") * 2': '5',
    '-size(NAME) / (size("a") / size("ab"))': '-6',
    'cents > 3 ? size(NAME) / 2 : size(NAME) / size("ab")': '1.5',
    'round(size(NAME) / size("ab"), 0)': '2',
    '[size(NAME) / size("ab"), 1][0] + 1 / 4': '1.75',
  };
  for (const [text, value] of Object.entries(shown)) assert.equal(String(result(text, row)), value, text);
  assert.equal(result('coalesce(count, 7) in [7]', row), true);
  assert.throws(() => result('NAME / 2', row), /no such overload/);
  assert.throws(() => result('size(NAME) / size("")', row), /division by zero/);
});
