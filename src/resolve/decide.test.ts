import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Difference } from '../model/change.ts';
import type { Cell } from '../model/row.ts';
import { byMode, firstOf, writingModes } from './decide.ts';

const key = ['1' as Cell];
const differences: readonly Difference[] = [
  { key, kind: 'only_in_source', source: key, target: null },
  { key, kind: 'different', source: key, target: key, columns: [0] },
  { key, kind: 'only_in_target', source: null, target: key },
];

test('each mode writes what its name says and withholds the rest', () => {
  const table = writingModes.map((mode) => [
    mode,
    ...differences.map((d) => {
      const decision = byMode(mode)(d)!;
      return `${decision.kind} ${decision.op}`;
    }),
  ]);
  assert.deepEqual(table, [
    ['mirror', 'write insert', 'write update', 'write delete'],
    ['upsert', 'write insert', 'write update', 'withheld delete'],
    ['insert_only', 'write insert', 'withheld update', 'withheld delete'],
    ['update_only', 'withheld insert', 'write update', 'withheld delete'],
  ]);
});

test('the first resolver with an answer decides', () => {
  const keepAll = firstOf(
    (d) => (d.kind === 'only_in_target' ? { kind: 'withheld', op: 'delete' } : undefined),
    byMode('mirror'),
  );
  assert.deepEqual(
    differences.map((d) => keepAll(d)!.kind),
    ['write', 'write', 'withheld'],
  );
});
