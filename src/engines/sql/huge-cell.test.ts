import assert from 'node:assert/strict';
import { constants } from 'node:buffer';
import { test } from 'node:test';
import { hugeCell } from './huge-cell.ts';

const thrownBy = (work: () => unknown): unknown => {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
};

test('what JavaScript says of texts that are too long is said in words that lead on', () => {
  const long = 'x'.repeat(constants.MAX_STRING_LENGTH);
  for (const error of [
    thrownBy(() => `${long}x`),
    thrownBy(() => Buffer.alloc(constants.MAX_STRING_LENGTH + 1).toString('latin1')),
  ]) {
    const told = hugeCell(error, 'shop', 'reading public.files');
    assert.match(told?.message ?? '', /^shop: reading public.files met a row with a cell of more than 512 MB/);
    assert.match(told?.hint ?? '', /--exclude/);
  }
  for (const error of [new Error('x'), new RangeError('precision'), null, 'text'])
    assert.equal(hugeCell(error, 'shop', 'reading'), undefined);
});
