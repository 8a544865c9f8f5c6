import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { jsonText } from '../../model/canon/json.ts';
import { jsonbText } from '../../model/canon/jsonb-text.ts';
import { writeJsonb, written } from './json-bytes.ts';

/** What the bytes are as jsonb; undefined: not plain. They lie between others, which must not be read. */
const byBytes = (bytes: Buffer): string | undefined => {
  const length = writeJsonb(Buffer.concat([Buffer.from('[1'), bytes, Buffer.from(',2]')]), 2, 2 + bytes.length);
  return length < 0 ? undefined : written.toString('utf8', 0, length);
};

const slowly = (text: string): string | undefined => {
  const canonical = jsonText(text);
  return canonical === undefined ? undefined : jsonbText(canonical);
};

const name = fc.string({ unit: fc.constantFrom('a', 'B', 'ü', '😀', ' ', '1', '"', '\\', '\n'), maxLength: 4 });
const document = fc.letrec((tie) => ({
  value: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(0, 1, -1, 1.5, -0.25, 1e21, true, false, null, '', 'x', 'é') },
    { weight: 2, arbitrary: name },
    { weight: 2, arbitrary: fc.array(tie('value'), { maxLength: 4 }) },
    { weight: 3, arbitrary: fc.dictionary(name, tie('value'), { maxKeys: 5 }) },
  ),
})).value;

test('plain JSON by bytes is what the slow way makes of it', () => {
  let plain = 0;
  fc.assert(
    fc.property(document, fc.constantFrom(undefined, 1, '\t'), (value, space) => {
      const text = JSON.stringify(value, null, space);
      const found = byBytes(Buffer.from(text));
      if (found === undefined) return;
      plain++;
      assert.equal(found, slowly(text));
    }),
    { numRuns: 5000 },
  );
  assert.ok(plain > 1500, `only ${plain} were plain`);
});

test('what is no JSON, or damaged, is never taken for plain JSON', () => {
  const pieces = [
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"a"',
    '"b"',
    '"',
    '1',
    '-',
    '0',
    '.',
    '5',
    'e',
    'true',
    'nul',
    'l',
    ' ',
    '\\',
    'é',
  ];
  let plain = 0;
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 9 }), (parts) => {
      const text = parts.join('');
      const found = byBytes(Buffer.from(text));
      if (found === undefined) return;
      plain++;
      assert.equal(found, slowly(text), text);
    }),
    { numRuns: 50_000 },
  );
  assert.ok(plain > 500, `only ${plain} were plain`);
  for (const bytes of [
    [0x22, 0xff, 0x22],
    [0x22, 0xc3, 0x22],
    [0x22, 0xed, 0xa0, 0x80, 0x22],
  ])
    assert.equal(byBytes(Buffer.from(bytes)), undefined);
});

test('names are ordered, and numbers kept as they are, only where that is canonical', () => {
  assert.equal(
    byBytes(Buffer.from('{"bb":1,"a":{"z":[1,{"d":2,"c":3}],"y":{}},"ä":[]}')),
    '{"a": {"y": {}, "z": [1, {"c": 3, "d": 2}]}, "bb": 1, "ä": []}',
  );
  for (const text of [
    '1.0',
    '-0',
    '01',
    '1e2',
    '{"a":1,"a":2}',
    '{"b":1,"a":1,"b":2}',
    '"\\u0041"',
    '[[1]',
    '{"a":1]',
    '"a" "b"',
    '',
  ])
    assert.equal(byBytes(Buffer.from(text)), undefined, text);
  assert.equal(byBytes(Buffer.from(`${'['.repeat(100)}${']'.repeat(100)}`)), undefined);
  let nested = '1';
  for (let i = 0; i < 30; i++) nested = `{"b":${nested},"a":1}`;
  assert.equal(byBytes(Buffer.from(nested)), undefined);
  const many = `[${new Array(1000).fill('{"b":{"d":1,"c":2},"a":1}').join(',')}]`;
  assert.equal(byBytes(Buffer.from(many)), slowly(many));
  const wide = `{"long":"${'x'.repeat(100_000)}"}`;
  assert.equal(byBytes(Buffer.from(wide)), slowly(wide));
});
