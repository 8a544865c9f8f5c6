import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseExactly } from './exact-json.ts';

const raw = (value: unknown): string => JSON.stringify(value);

test('every number of JSON keeps its digits, and small ones stay numbers', () => {
  for (const text of ['0', '-1', '19.99', '1e3', '0.1', '9007199254740991', '5e-324', '1.5E+2', '0.10'])
    assert.equal(typeof parseExactly(text), 'number', text);
  for (const text of [
    '9007199254740993',
    '12345678901234567890.5',
    '0.1000000000000000055',
    '1e400',
    '-0.12345678901234567891',
  ])
    assert.equal(raw(parseExactly(text)), text);
  const text = '{"a":[1,123456789012345678901,{"b":0.30000000000000000001}],"c":"9007199254740993","d":null}';
  assert.equal(raw(parseExactly(text)), text);
  assert.throws(() => parseExactly('{'));
});

test('a number too long for any column is refused, and not looked at digit by digit', () => {
  const long = (zeros: number): string => `{"a":[1.${'0'.repeat(zeros)}1]}`;
  assert.equal(raw(parseExactly(long(1990))), long(1990));
  assert.throws(() => parseExactly(long(100_000)), /a number of 100003 characters/);
});

test('names of members that mean something to JavaScript are plain names', () => {
  const value = parseExactly('{"__proto__": {"admin": true}, "constructor": 1}') as Record<string, unknown>;
  assert.deepEqual(Object.keys(value), ['__proto__', 'constructor']);
  assert.equal(value['admin'], undefined);
});
