import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Text } from '../../model/row.ts';
import { bindCell } from './binds.ts';

const bound = (cell: string) => bindCell({ kind: 'decimal' }, 'NUMERIC', cell as Text, 'UTF-8');

test('a decimal is bound as the number that holds it exactly, else as its text', () => {
  assert.deepEqual(bound('1200'), { sql: '?', value: 1200n });
  assert.deepEqual(bound('0.5'), { sql: '?', value: 0.5 });
  assert.deepEqual(bound('100000000000000000000000'), { sql: '?', value: 1e23 });
  assert.deepEqual(bound('0.1000000000000000055'), { sql: '?', value: '0.1000000000000000055' });
});

// Minutes, when the time went with the square of the number of zeros.
test('a decimal of very many zeros takes no time', () => {
  const long = `1${'0'.repeat(250)}.${'0'.repeat(1_000_000)}1`;
  assert.deepEqual(bound(long), { sql: '?', value: long });
});
