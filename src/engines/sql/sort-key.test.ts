import assert from 'node:assert/strict';
import { test } from 'node:test';
import { misfit } from '../../model/canon/misfit.ts';
import { compareCells } from '../../model/order.ts';
import type { Cell } from '../../model/row.ts';
import type { ColumnType } from '../../model/schema.ts';
import { sortKey } from './sort-key.ts';

const odd: readonly Cell[] = [null, misfit('t', 'x'), misfit('n', '1.5'), misfit('b', '00'), misfit('b', '0001')];
const cells = (...texts: string[]): readonly Cell[] => [...odd, ...(texts as Cell[])];

const cases: readonly (readonly [ColumnType, readonly Cell[]])[] = [
  [
    { kind: 'int', bits: 64 },
    cells('0', '1', '-1', '9', '10', '-9', '-10', '9223372036854775807', '-9223372036854775808'),
  ],
  [
    { kind: 'decimal' },
    cells(
      '0',
      '0.5',
      '-0.5',
      '1',
      '1.5',
      '-1',
      '-1.5',
      '10',
      '-10',
      '99.99',
      '100',
      'NaN',
      'Infinity',
      '-Infinity',
      '0.05',
    ),
  ],
  [{ kind: 'float', bits: 64 }, cells('0', '0.1', '-0.1', '1e+23', '-1e+23', '5e-324', 'NaN', 'Infinity', '-Infinity')],
  [
    { kind: 'date' },
    cells('2000-01-01', '0001-01-01', '9999-12-31', '12000-01-01', '0044-03-15 BC', 'infinity', '-infinity'),
  ],
  [
    { kind: 'timestamp', fraction: 6 },
    cells(
      '2000-01-01 00:00:00',
      '2000-01-01 00:00:00.5',
      '2000-01-01 00:00:00.25',
      '1999-12-31 23:59:59',
      'infinity',
      '-infinity',
    ),
  ],
  [{ kind: 'text' }, cells('', 'a', 'ab', 'B', '\u00e9', '\ufffd', '\u{1f600}', 'a\0', '\udcff', 'a\udc80')],
  [{ kind: 'bool' }, cells('true', 'false')],
];

test('sort keys order as canonical cells do', () => {
  let compared = 0;
  for (const [type, values] of cases) {
    for (const a of values) {
      for (const b of values) {
        const byBytes = Math.sign(Buffer.compare(sortKey(type, a), sortKey(type, b)));
        assert.equal(byBytes, Math.sign(compareCells(type, a, b)), `${type.kind}: ${a} and ${b}`);
        compared++;
      }
    }
  }
  assert.ok(compared > 800);
});
