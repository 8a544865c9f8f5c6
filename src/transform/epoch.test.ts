import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Text } from '../model/row.ts';
import type { ColumnType } from '../model/schema.ts';
import { epochMoment, epochOfMoment, momentOfEpoch } from './epoch.ts';
import { Invalid } from './value.ts';

const int: ColumnType = { kind: 'int', bits: 64 };
const decimal: ColumnType = { kind: 'decimal' };
const cell = (text: string) => text as Text;

test('a number since 1970 is the moment that it stands for, to the microsecond', () => {
  const cases = [
    ['0', 'epoch_s', '1970-01-01 00:00:00'],
    ['-1', 'epoch_s', '1969-12-31 23:59:59'],
    ['1700000000', 'epoch_s', '2023-11-14 22:13:20'],
    ['1700000000123', 'epoch_ms', '2023-11-14 22:13:20.123'],
    ['-1', 'epoch_ms', '1969-12-31 23:59:59.999'],
    ['-62135596800', 'epoch_s', '0001-01-01 00:00:00'],
    ['253402300799', 'epoch_s', '9999-12-31 23:59:59'],
  ] as const;
  for (const [number, unit, moment] of cases) {
    assert.equal(momentOfEpoch(cell(number), 'n', int, unit), moment);
    assert.equal(epochOfMoment(cell(moment), 'n', epochMoment, unit), number);
  }
  assert.equal(momentOfEpoch(cell('1700000000.000001'), 'n', decimal, 'epoch_s'), '2023-11-14 22:13:20.000001');
  assert.equal(momentOfEpoch(null, 'n', int, 'epoch_s'), null);
  assert.equal(epochOfMoment(null, 'n', epochMoment, 'epoch_s'), null);
  assert.equal(epochOfMoment(cell('2023-11-14'), 'n', { kind: 'date' }, 'epoch_s'), '1699920000');
});

test('what stands for no moment is told, not guessed', () => {
  const wrong: readonly [string, ColumnType, 'epoch_s' | 'epoch_ms', RegExp][] = [
    ['253402300800', int, 'epoch_s', /not in the years 1 to 9999/],
    ['1700000000123', int, 'epoch_s', /not in the years 1 to 9999/],
    ['0.0000001', decimal, 'epoch_s', /no more than microseconds/],
    ['0.0001', decimal, 'epoch_ms', /no more than microseconds/],
    ['2024-01-01', { kind: 'text' }, 'epoch_s', /which is no number/],
  ];
  for (const [number, type, unit, words] of wrong)
    assert.throws(
      () => momentOfEpoch(cell(number), 'n', type, unit),
      (e) => e instanceof Invalid && words.test(e.message),
    );
  for (const [moment, type] of [
    ['infinity', epochMoment],
    ['17', int],
  ] as const)
    assert.throws(() => epochOfMoment(cell(moment), 'n', type, 'epoch_s'), Invalid);
});

test('every number of microseconds comes back as it was', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -62_135_596_800_000_000n, max: 253_402_300_799_999_999n }), (micros) => {
      const seconds = `${micros < 0n ? '-' : ''}${(micros < 0n ? -micros : micros) / 1_000_000n}.${String((micros < 0n ? -micros : micros) % 1_000_000n).padStart(6, '0')}`;
      const moment = momentOfEpoch(cell(seconds), 'n', decimal, 'epoch_s');
      assert.equal(Number(epochOfMoment(moment, 'n', epochMoment, 'epoch_s')) === Number(seconds), true);
      const again = momentOfEpoch(epochOfMoment(moment, 'n', epochMoment, 'epoch_s'), 'n', decimal, 'epoch_s');
      assert.equal(again, moment);
    }),
    { numRuns: 200 },
  );
});
