import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { sealOf } from './seal.ts';

const secret = Buffer.alloc(32, 7);

test('a tag is the same text for the same tag in every process, and comes back', () => {
  const [one, other] = [sealOf(secret), sealOf(secret)];
  const tags = Array.from({ length: 50 }, () => randomBytes(16).toString('hex'));
  for (const tag of tags) {
    assert.equal(one.tag(tag), other.tag(tag));
    assert.equal(other.openTag(one.tag(tag)), tag);
    assert.notEqual(sealOf(Buffer.alloc(32, 8)).tag(tag), one.tag(tag));
  }
  for (const wrong of ['', 'x', '*', one.tag(tags[0]!).slice(1), `${one.tag(tags[0]!)}A`])
    assert.equal(one.openTag(wrong), undefined);
});

test('a cursor opens in another process, for what it is about only, and shows and repeats nothing', () => {
  const [one, other] = [sealOf(secret), sealOf(secret)];
  const contents = [
    '',
    'a',
    '["17"]',
    'ä\u{1f600}'.repeat(20),
    'x'.repeat(1000),
    ...Array.from({ length: 40 }, (_, i) => 'y'.repeat(i)),
  ];
  const sealed = contents.map((content) => one.cursor(content, 'list'));
  contents.forEach((content, i) => {
    assert.equal(other.openCursor(sealed[i]!, 'list'), content);
    assert.equal(other.openCursor(sealed[i]!, 'lis'), undefined);
    const bytes = Buffer.from(sealed[i]!, 'base64url');
    for (const at of [0, 8, 13, 14, 29, bytes.length - 1]) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 1;
      assert.equal(one.openCursor(damaged.toString('base64url'), 'list'), undefined, `byte ${at}`);
    }
    if (content.length > 3) assert.ok(!bytes.includes(content));
  });
  assert.notEqual(one.cursor('same', 'list'), one.cursor('same', 'list'));
  assert.equal(one.openCursor('AAAA', 'list'), undefined);
  assert.equal(one.openCursor('%', 'list'), undefined);
});
