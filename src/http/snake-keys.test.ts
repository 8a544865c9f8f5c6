import assert from 'node:assert/strict';
import { test } from 'node:test';
import { snakeKeys } from './snake-keys.ts';

test('fields are spelled as the API spells them, at every depth; what they hold stays', () => {
  assert.deepEqual(
    snakeKeys({ maxChangeRatio: null, retry: { baseMs: 200, codes: ['readOnly', { maxMs: 1 }] }, emptySource: 'stop' }),
    { max_change_ratio: null, retry: { base_ms: 200, codes: ['readOnly', { max_ms: 1 }] }, empty_source: 'stop' },
  );
});
