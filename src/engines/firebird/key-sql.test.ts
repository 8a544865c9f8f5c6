import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Text } from '../../model/row.ts';
import type { ColumnType } from '../../model/schema.ts';
import type { ColumnSql } from './columns.ts';
import { lookups } from './key-sql.ts';

const column = (stored: ColumnType, type: number): ColumnSql => ({
  column: { name: 'AT', stored, as: stored },
  facts: { type, subType: 0, length: 8, precision: 0, scale: 0, characters: 0, charset: '', dimensions: 0 } as never,
  computed: false,
  sql: 't."AT"',
  sorted: 't."AT"',
  outputs: ['t."AT"'],
  reader: (bytes) => bytes.toString(),
  codec: undefined,
  charset: '',
});

test('a table is read whole for keys that SQL cannot say, and none of them is taken for missing', () => {
  const key = ['2024-02-29 12:00:00.5' as Text];
  const plain = lookups([column({ kind: 'timestamp', fraction: 4 }, 35)], [key]);
  assert.deepEqual(plain, [{ where: `t."AT" in (timestamp '2024-02-29 12:00:00.5')`, keys: [key] }]);
  assert.equal(lookups([column({ kind: 'instant', fraction: 4 }, 29)], [key]), undefined);
});
