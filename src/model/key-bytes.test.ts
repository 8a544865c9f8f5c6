import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyBytes, keyOfBytes } from './key-bytes.ts';
import { compareKeys } from './order.ts';
import type { Cell, Key, Text } from './row.ts';
import type { ColumnType } from './schema.ts';

const misfits = ['\udc00tabc', '\udc00n1.5', '\udc00b00ff'];
const cells: readonly (readonly [ColumnType, readonly (string | null)[]])[] = [
  [{ kind: 'int', bits: 64 }, ['0', '-1', '1', '17', '9223372036854775807', '-9223372036854775808', ...misfits, null]],
  [
    { kind: 'decimal' },
    ['0', '-1', '1', '1.5', '1.55', '-1.5', '-1.55', '10', '9.99', '-10', '-9.99', '0.001', '-0.001', 'NaN'].concat(
      ['Infinity', '-Infinity', '123456789012345678901234567890.5', '-123456789012345678901234567890'],
      misfits,
    ),
  ],
  [
    { kind: 'float', bits: 64 },
    ['0', '1', '-1', '0.1', '1e+300', '-1e+300', '5e-324', '-5e-324', 'NaN', 'Infinity', '-Infinity', ...misfits],
  ],
  [{ kind: 'date' }, ['2020-01-01', '1999-12-31', 'infinity', '-infinity', '0044-03-15 BC', '12020-01-01', ...misfits]],
  [
    { kind: 'timestamp', fraction: 6 },
    ['2020-01-01 00:00:00', '2020-01-01 00:00:00.5', '1999-12-31 23:59:59.999999', 'infinity', '-infinity'].concat(
      ['0044-03-15 00:00:00 BC', '12020-01-01 00:00:00'],
      misfits,
    ),
  ],
  [
    { kind: 'uuid' },
    [
      '00000000-0000-0000-0000-000000000000',
      'ffffffff-ffff-ffff-ffff-ffffffffffff',
      '7fffffff-0000-1111-2222-333344445555',
    ],
  ],
  [{ kind: 'bool' }, ['false', 'true', null]],
  [
    { kind: 'text' },
    [
      '',
      'a',
      'b',
      'ab',
      'a\0b',
      'a\0',
      '\0',
      '\0\0',
      'a\u0001',
      '\u00e9',
      '\u{1f600}',
      '\ufffd',
      '\udc80',
      '\udcff',
    ].concat(['a\ud800', '\ud800', 'z\udce2\udc82\udcac', 'z\u20ac', 'z\u20acx'], misfits),
  ],
];

test('bytes of keys order as keys do, and give them back', () => {
  const last: ColumnType = { kind: 'text' };
  for (const [type, values] of cells)
    for (const a of values)
      for (const b of values)
        for (const [p, q] of [
          ['', 'x'],
          ['x', ''],
          ['x', 'x'],
        ]) {
          const types: readonly ColumnType[] = [type, last];
          const x = [a as Cell, p as Text] as Key;
          const y = [b as Cell, q as Text] as Key;
          assert.deepEqual(keyOfBytes(types, keyBytes(types, x)), x);
          const order = Math.sign(Buffer.compare(keyBytes(types, x), keyBytes(types, y)));
          assert.equal(order, Math.sign(compareKeys(types, x, y)), `${type.kind} ${JSON.stringify([x, y])}`);
        }
});
