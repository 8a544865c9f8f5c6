import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Decimal } from './decimal.ts';

const parts = fc.record({ digits: fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), scale: fc.nat(14) });
const of = (p: { readonly digits: bigint; readonly scale: number }): Decimal => new Decimal(p.digits, p.scale);
const text = (n: Decimal): string => String(n);

test('arithmetic is exact', () => {
  const cases: readonly [string, string, string, string, string][] = [
    ['0.1', '0.2', '0.3', '-0.1', '0.02'],
    ['0.000000000001', '0.000000000002', '0.000000000003', '-0.000000000001', '0.000000000000000000000002'],
    ['9223372036854775807', '1', '9223372036854775808', '9223372036854775806', '9223372036854775807'],
    ['-5', '2.50', '-2.5', '-7.5', '-12.5'],
  ];
  for (const [a, b, sum, difference, product] of cases) {
    assert.equal(text(Decimal.of(a).plus(Decimal.of(b))), sum);
    assert.equal(text(Decimal.of(a).minus(Decimal.of(b))), difference);
    assert.equal(text(Decimal.of(a).times(Decimal.of(b))), product);
  }
});

test('what was added can be taken away, what was multiplied divided', () => {
  fc.assert(
    fc.property(parts, parts, (p, q) => {
      const [a, b] = [of(p), of(q)];
      assert.equal(text(a.plus(b).minus(b)), text(a));
      assert.equal(text(Decimal.of(text(a))), text(a), 'its text reads back');
      if (b.digits !== 0n) {
        assert.equal(text(a.times(b).dividedBy(b)), text(a));
        const [whole, rest] = [a.minus(a.modulo(b)).dividedBy(b), a.modulo(b)];
        assert.equal(text(whole.times(b).plus(rest)), text(a));
        assert.equal(text(whole), text(whole.truncated()));
      }
      assert.equal(Math.sign(a.compare(b)), Math.sign(Number(a.minus(b).digits > 0n) - Number(a.minus(b).digits < 0n)));
    }),
  );
});

test('a quotient that does not end is rounded at 20 digits, half away from zero', () => {
  assert.equal(text(Decimal.of('1').dividedBy(Decimal.of('3'))), '0.33333333333333333333');
  assert.equal(text(Decimal.of('-2').dividedBy(Decimal.of('3'))), '-0.66666666666666666667');
  assert.equal(text(Decimal.of('1999').dividedBy(Decimal.of('100'))), '19.99');
  assert.throws(() => Decimal.of('1').dividedBy(Decimal.of('0.00')), /division by zero/);
  assert.throws(() => Decimal.of('1').modulo(Decimal.of('0')), /division by zero/);
});

test('rounding is half away from zero, as in SQL', () => {
  for (const [n, places, rounded] of [
    ['2.345', 2, '2.35'],
    ['-2.345', 2, '-2.35'],
    ['2.5', 0, '3'],
    ['-0.4', 0, '0'],
    ['1250', -2, '1300'],
    ['1.1', 5, '1.1'],
  ] as const)
    assert.equal(text(Decimal.of(n).rounded(places)), rounded, n);
});

test('what is no number is refused', () => {
  for (const raw of ['', 'abc', 'NaN', 'Infinity', '1,5', '0x10', '1e999999999', '--1'])
    assert.throws(() => Decimal.of(raw), /cannot be calculated with|is not a number/, raw);
  assert.equal(text(Decimal.of(' 1.50e1 ')), '15');
});
