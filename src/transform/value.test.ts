import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cellOf, Invalid } from './value.ts';

test('a text with half of a character in it is no value: it would stand for bytes, or for what no type reads', () => {
  assert.equal(cellOf('🐀t5').cell, '🐀t5');
  // The second half of U+1F400 marks what a column cannot read, that of U+1F480 a single byte.
  for (const half of ['🐀t5'.slice(1), '💀'.slice(1), '😀'.slice(0, 1)])
    assert.throws(
      () => cellOf(half),
      (error: unknown) => error instanceof Invalid && /half of a character/.test(error.message),
    );
});
