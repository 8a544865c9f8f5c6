import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Change } from '../model/change.ts';
import type { Text } from '../model/row.ts';
import { openSpool } from './spool.ts';

const hostile = ['', '\u2028', '\u2029', '\n', '\r\n', '\u0000', '\udc80', '\udc00t1', '😀', '"', '\\', "'"];

const change = (i: number): Change => ({
  key: [String(i) as Text],
  op: 'update',
  before: [String(i) as Text, null],
  after: [String(i) as Text, hostile[i % hostile.length] as Text],
  columns: [1],
});

test('changes come back from memory and from files as they went in, and no file stays', async () => {
  const parent = mkdtempSync(join(tmpdir(), 'lockstep-spool-'));
  try {
    for (const count of [0, 1, 3999, 4000, 12_345]) {
      await using spool = openSpool(parent);
      for (let i = 0; i < count; i++) await spool.add('a', change(i));
      await spool.add('b', { key: ['x' as Text], op: 'delete', before: ['x' as Text], after: null });
      assert.equal(spool.count('a'), count);
      assert.equal(readdirSync(parent).length, count >= 4000 ? 1 : 0);
      const found: Change[] = [];
      for await (const batch of spool.read('a')) found.push(...batch);
      assert.equal(found.length, count);
      found.forEach((c, i) => {
        assert.deepEqual(c, change(i));
      });
      const again: Change[] = [];
      for await (const batch of spool.read('a')) again.push(...batch);
      assert.deepEqual(again, found, 'a lane is read any number of times');
      const other: Change[] = [];
      for await (const batch of spool.read('b')) other.push(...batch);
      assert.deepEqual(other, [{ key: ['x'], op: 'delete', before: ['x'], after: null }]);
    }
    assert.deepEqual(readdirSync(parent), []);
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
  assert.ok(!existsSync(parent));
});
