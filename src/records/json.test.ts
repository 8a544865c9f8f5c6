import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Text } from '../model/row.ts';
import { jsonWriter } from './json.ts';

test('a text is written as JSON writes it, whatever characters are in it', () => {
  const write = jsonWriter({ kind: 'text' } as Parameters<typeof jsonWriter>[0]);
  for (let code = 0; code <= 0xffff; code++) {
    const text = `a${String.fromCharCode(code)}z`;
    if (write(text as Text) !== JSON.stringify(text)) assert.fail(`U+${code.toString(16)}`);
  }
  for (const text of ['', '\u{1f600}', '"', 'line\nline', '\ud83d', '\ude00\ud83d'])
    assert.equal(write(text as Text), JSON.stringify(text));
});

test('a time is RFC 3339, and what has no such form stays as it is', () => {
  const instant = jsonWriter({ kind: 'instant' } as Parameters<typeof jsonWriter>[0]);
  const local = jsonWriter({ kind: 'timestamp' } as Parameters<typeof jsonWriter>[0]);
  assert.equal(instant('2026-01-31 13:45:00.123456' as Text), '"2026-01-31T13:45:00.123456Z"');
  assert.equal(local('2026-01-31 13:45:00' as Text), '"2026-01-31T13:45:00"');
  for (const odd of [
    'infinity',
    '-infinity',
    '0044-03-15 12:00:00 BC',
    '12026-01-31 13:45:00',
    '2026-01-31 13:45:00\n',
  ])
    assert.equal(instant(odd as Text), `"${odd}"`);
});
