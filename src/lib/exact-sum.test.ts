import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { exactSum } from './exact-sum.ts';

const number = (text: string) => {
  const negative = text.startsWith('-');
  const [whole, fraction = ''] = text.replace('-', '').split('.');
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  return { negative, digits, exponent: -fraction.length };
};
const sumOf = (...texts: string[]): string => {
  const sum = exactSum();
  for (const text of texts) sum.add(number(text), 1);
  return sum.text();
};

test('decimals are added without rounding, whatever their scales', () => {
  assert.equal(sumOf(), '0');
  assert.equal(sumOf('0.1', '0.2'), '0.3');
  assert.equal(sumOf('12', '-12.000000000000000000000000000001'), '-0.000000000000000000000000000001');
  assert.equal(sumOf('99999999999999999999.99', '0.01'), '100000000000000000000');
  assert.equal(sumOf('-0.05', '0.050'), '0');
  const sum = exactSum();
  sum.add({ negative: false, digits: '15', exponent: 3 }, 1);
  sum.add({ negative: true, digits: '1', exponent: -2 }, -1);
  assert.equal(sum.text(), '15000.01');
});

test('sums of cents are those of whole numbers', () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n })), (cents) => {
      const text = (c: bigint): string => {
        const digits = String(c < 0n ? -c : c).padStart(3, '0');
        return `${c < 0n ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
      };
      const expected = text(cents.reduce((a, b) => a + b, 0n)).replace(/\.?0+$/, '');
      assert.equal(sumOf(...cents.map(text)), expected.replace(/^-?0?$/, '0') || '0');
    }),
  );
});
