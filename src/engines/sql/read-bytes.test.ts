import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dateDays, dateText } from '../../model/canon/date.ts';
import { decimalText } from '../../model/canon/decimal.ts';
import { intText } from '../../model/canon/int.ts';
import { parts, timestampParts, timestampText } from '../../model/canon/timestamp.ts';
import { halves, splitMicros } from '../../model/hash/column-hash.ts';
import { dayAt, decimal, readDecimal, readInteger, readMoment } from './read-bytes.ts';

/** The bytes of a text between two others: a reader must stop where the value does. */
const framed = (text: string): { bytes: Buffer; view: DataView; start: number; end: number } => {
  const bytes = Buffer.from(`7\u001f${text}\u001f7`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return { bytes, view, start: 2, end: bytes.length - 2 };
};

const two = (n: number): string => String(n).padStart(2, '0');

test('every date of four centuries and every one that is none', () => {
  for (const year of [0, 1, 4, 100, 1900, 1999, 2000, 2019, 2020, 2100, 2400, 9996, 9999])
    for (let month = 0; month <= 13; month++)
      for (let day = 0; day <= 32; day++) {
        const text = `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`;
        const { bytes, view, start } = framed(text);
        const canonical = dateText(text);
        assert.equal(dayAt(bytes, view, start), canonical === undefined ? Number.NaN : dateDays(canonical), text);
      }
  for (const text of ['2024/02/01', '2024-2-1\u001f', '2024-02-0x', '202x-02-01', '2024-0x-01', '2024-02'])
    assert.equal(dayAt(framed(text).bytes, framed(text).view, 2), Number.NaN, text);
});

test('a moment is read whole or not at all, and only as its canonical text says', () => {
  const dates = ['2024-02-29', '2023-02-29', '0001-01-01', '9999-12-31'];
  const clocks = [' 00:00:00', 'T23:59:59', ' 24:00:00', ' 12:60:00', ' 12:00', ' 12:00:00.', '_12:00:00', ''];
  const tails = [
    '',
    '.5',
    '.500000',
    '.123456',
    '.1234567',
    '.0000001',
    'Z',
    '.25Z',
    '+00',
    '+00:00',
    '+01',
    '-00',
    ' BC',
    ' ',
    'x',
  ];
  let read = 0;
  for (const text of dates.flatMap((d) => clocks.flatMap((c) => tails.map((t) => d + c + t)))) {
    const { bytes, view, start, end } = framed(text);
    if (readMoment(bytes, view, start) !== end) continue;
    read++;
    const found = [...halves];
    const canonical = timestampText(text);
    assert.ok(canonical !== undefined, text);
    assert.equal(timestampParts(canonical), 0);
    splitMicros(parts.seconds, parts.micros);
    assert.deepEqual(found, [...halves], text);
  }
  assert.equal(read, 3 * 2 * 8);
});

test('a number is read whole or not at all', () => {
  const numbers = ['0', '-0', '5', '-17', '007', '99999999', '123456789', '9007199254740993', '9223372036854775807'];
  const others = [
    '-9223372036854775808',
    '9223372036854775808',
    '',
    '-',
    '+5',
    '1e5',
    '0x10',
    '1.',
    '.5',
    '1.50',
    '-0.0',
  ];
  const more = ['12345678.1234', '1.12345', '0.30000000000000004', '1.2.3', '1 ', 'Inf', 'NaN', '.'];
  let small = 0;
  for (const text of [...numbers, ...others, ...more]) {
    const { bytes, start, end } = framed(text);
    if (readInteger(bytes, start) === end) {
      const value = (BigInt(halves[0]!) << 32n) | BigInt(halves[1]! >>> 0);
      assert.equal(intText(text), String(value), text);
    } else assert.ok(!/^-?\d{1,18}$/.test(text), text);
    if (readDecimal(bytes, start, false) === end) {
      const canonical = decimalText(text);
      assert.ok(canonical !== undefined, text);
      if (decimal.whole < 0) continue;
      small++;
      const value = (decimal.negative ? -1 : 1) * (decimal.whole + decimal.fraction / 10_000);
      assert.equal(value + 0, Number(canonical), text);
    } else assert.ok(!/^-?\d+(\.\d+)?$/.test(text), text);
  }
  assert.equal(small, 11);
  const { bytes, start, end } = framed('0.30000000000000004');
  assert.equal(readDecimal(bytes, start, true), -1);
  assert.equal(readDecimal(bytes, start, false), end);
});
