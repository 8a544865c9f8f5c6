import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nameGiver } from './names.ts';

const ascii = (name: string): string | undefined => (/^[\w$]+$/.test(name) ? undefined : 'no');

test('a name is kept where it can be, made where it cannot, and given once whatever its case', () => {
  const give = nameGiver(20, ascii, ['Users']);
  assert.equal(give('by_name', ['t', 'name']), 'by_name');
  assert.equal(give('BY_NAME', ['t', 'name']), 'BY_NAME_2');
  assert.equal(give('users', ['t']), 'users_2');
  assert.equal(give(undefined, ['or ders', 'na"me', 'key']), 'or_ders_na_me_key');
  assert.equal(give('größe', ['größe', 'idx']), 'gr_e_idx');
  const long = give(undefined, ['x'.repeat(40)]);
  const other = give(undefined, [`${'x'.repeat(40)}y`]);
  assert.equal(Buffer.byteLength(long), 20);
  assert.notEqual(long, other);
});
