import assert from 'node:assert/strict';
import { test } from 'node:test';
import { misfit } from '../model/canon/misfit.ts';
import type { Key, Text } from '../model/row.ts';
import { Candidates } from './candidates.ts';
import { wholeRange } from './lists.ts';

const none = { hi: 0, lo: 0 };

const listOf = (...keys: readonly Key[]): Candidates => {
  const list = new Candidates(2);
  for (const key of keys) list.add(key, 1, none, none);
  return list;
};

test('a list is read again from its first key on; from one that its type cannot be read as, with the whole table', () => {
  const plain: Key = ['a' as Text, '10:00:00' as Text];
  // a TIME of MySQL may hold more than a day: its server has no place for it where ours has
  const odd: Key = ['a' as Text, misfit('t', '100:00:00')];
  assert.deepEqual(wholeRange(listOf(plain, odd), 2), { kind: 'range', from: plain });
  assert.deepEqual(wholeRange(listOf(odd), 2), { kind: 'all' });
  assert.deepEqual(wholeRange(listOf(), 2), { kind: 'keys', keys: [] });
});
