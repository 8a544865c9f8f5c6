import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonical } from '../model/canon/canonical.ts';
import type { Column, ColumnType } from '../model/schema.ts';
import { spareCell } from './spare-cell.ts';

const column = (type: ColumnType, nullable = false): Column => ({ name: 'c', type, native: 'c', nullable });

const kinds: readonly ColumnType[] = [
  { kind: 'text' },
  { kind: 'text', maxLength: 40 },
  { kind: 'text', maxLength: 9 },
  { kind: 'text', maxLength: 2, padded: true },
  { kind: 'int', bits: 16 },
  { kind: 'int', bits: 32 },
  { kind: 'int', bits: 64 },
  { kind: 'uuid' },
  { kind: 'date' },
];

test('a spare value is canonical, fits its column, is the same each time and another for another row', () => {
  for (const type of kinds) {
    const made = Array.from({ length: 200 }, (_, i) => spareCell(column(type), `row ${i}`)!);
    for (const [i, cell] of made.entries()) {
      assert.equal(canonical(type, cell), cell, JSON.stringify(type));
      assert.equal(spareCell(column(type), `row ${i}`), cell);
      if (type.kind === 'text' && type.maxLength !== undefined) assert.ok(cell!.length <= type.maxLength);
      if (type.kind === 'int') assert.ok(BigInt(cell!) > 0n && BigInt(cell!) < 2n ** BigInt(type.bits - 1));
    }
    assert.ok(new Set(made).size > 190, `${JSON.stringify(type)}: ${new Set(made).size} of 200`);
  }
});

test('a column that may be NULL gives NULL, and where nothing can be made up, nothing is', () => {
  assert.equal(spareCell(column({ kind: 'text' }, true), 'x'), null);
  assert.equal(spareCell(column({ kind: 'enum', labels: ['a'] }, true), 'x'), null);
  for (const type of [{ kind: 'enum', labels: ['a', 'b'] }, { kind: 'bool' }, { kind: 'decimal' }] as const)
    assert.equal(spareCell(column(type), 'x'), undefined);
});
