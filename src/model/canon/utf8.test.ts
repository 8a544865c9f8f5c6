import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeUtf8, encodeUtf8 } from './utf8.ts';

test('any bytes come back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      assert.deepEqual(Buffer.from(encodeUtf8(decodeUtf8(bytes))), Buffer.from(bytes));
    }),
    { numRuns: 3000 },
  );
});

test('broken sequences come back, whatever they look like', () => {
  const pieces = fc.constantFrom(
    'c3',
    'e282',
    'e282ac',
    'f09f98',
    'f09f9880',
    'ed',
    'eda080',
    'c080',
    'f4908080',
    'efbfbd',
    'efbbbf',
    '41',
    'ff',
    '80',
    '00',
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 8 }), (parts) => {
      const bytes = Buffer.from(parts.join(''), 'hex');
      assert.deepEqual(Buffer.from(encodeUtf8(decodeUtf8(bytes))), bytes);
    }),
    { numRuns: 3000 },
  );
});

test('different bytes are different texts', () => {
  const seen = new Map<string, string>();
  for (let a = 0; a < 256; a++)
    for (let b = 0; b < 256; b++) {
      const bytes = Uint8Array.of(a, b);
      const text = decodeUtf8(bytes);
      assert.equal(seen.get(text), undefined);
      seen.set(text, `${a} ${b}`);
    }
});

test('valid text decodes as it is, a byte order mark and U+FFFD included', () => {
  for (const text of ['', 'é€😀', '\ufeffbom', '\ufffd', 'a\0b']) assert.equal(decodeUtf8(Buffer.from(text)), text);
  assert.equal(decodeUtf8(Buffer.from('61ff62', 'hex')), 'a\udcffb');
  assert.equal(decodeUtf8(Buffer.from('efbfbdff', 'hex')), '\ufffd\udcff');
});

test('a view into a larger buffer is decoded by its own bounds', () => {
  const all = new Uint8Array([0x61, 0xff, 0x62, 0xc3, 0xa9]);
  assert.equal(decodeUtf8(all.subarray(1, 3)), '\udcffb');
  assert.equal(decodeUtf8(all.subarray(3)), 'é');
});
