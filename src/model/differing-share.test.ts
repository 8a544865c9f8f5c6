import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differingShare, rowsTogether } from './differing-share.ts';

const of = (source: number, target: number, onlySource: number, onlyTarget: number) => ({
  rows: { source, target },
  found: { only_in_source: onlySource, only_in_target: onlyTarget },
});

test('a share is of the rows of both sides, each key once', () => {
  assert.equal(rowsTogether(of(2, 2, 2, 2)), 4);
  assert.equal(differingShare(of(2, 2, 2, 2), 4), 1);
  assert.equal(differingShare(of(3, 3, 1, 1), 2), 0.5);
  assert.equal(differingShare(of(10, 5, 5, 0), 5), 0.5);
  assert.equal(differingShare(of(0, 0, 0, 0), 0), 0);
  assert.equal(differingShare(of(0, 0, 0, 0), 7), 1, 'the rows are not known');
});
