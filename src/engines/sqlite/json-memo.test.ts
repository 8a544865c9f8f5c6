import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashed, hashView } from '../../lib/lookup3.ts';
import { JsonMemo } from './json-memo.ts';

const seen = (memo: JsonMemo, text: string, lead = 3): boolean => {
  const bytes = Buffer.from(`${'x'.repeat(lead)}${text}y`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const to = bytes.length - 1;
  hashView(view, lead, to - lead, 1, 2);
  const wanted = [...hashed];
  hashed.fill(0);
  const found = memo.find(view, lead, to);
  if (found) assert.deepEqual([...hashed], wanted, text);
  else {
    hashed.set(wanted);
    memo.keep(view, lead, to);
  }
  return found;
};

test('documents that were seen have their hash; others, however alike, do not', () => {
  const memo = new JsonMemo();
  const texts = [
    'null',
    '[{}]',
    '{"a":1}',
    '{"a":2}',
    '{"b":1}',
    '{"a":1} ',
    '[1,2,3]',
    '[1,2,31]',
    '["\u{1f600}"]',
    `"${'z'.repeat(126)}"`,
  ];
  for (const text of texts) assert.equal(seen(memo, text), false, text);
  for (const text of texts) assert.equal(seen(memo, text, 8), true, text);
  const long = `"${'z'.repeat(127)}"`;
  assert.equal(seen(memo, long), false);
  assert.equal(seen(memo, long), false);
});

test('of any two documents each gets its own hash, whatever shares its slot', () => {
  const memo = new JsonMemo();
  for (let n = 0; n < 30_000; n++) {
    seen(memo, `{"n":${n % 9000}}`);
    seen(memo, `{"n":${(n * 7) % 5}}`);
  }
});

test('where documents do not repeat it stops looking, and tries again later', () => {
  const memo = new JsonMemo();
  seen(memo, '{"kept":true}');
  for (let n = 0; n < 5000; n++) assert.equal(seen(memo, `{"n":${n}}`), false);
  assert.equal(seen(memo, '{"again":1}'), false);
  assert.equal(seen(memo, '{"again":1}'), false, 'it rests');
  for (let n = 0; n < 70_000; n++) seen(memo, '{"same":1}');
  assert.equal(seen(memo, '{"same":1}'), true);
});
