import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Text } from '../../model/row.ts';
import { declaredType } from './column-type.ts';
import { jsonOf, parseJson } from './json.ts';
import { readPointer, valueAt, withValue } from './pointer.ts';
import type { HttpColumn } from './resource.ts';
import { cellOf, exactCellOf, sentValue } from './values.ts';

const column = (native: string, change: Partial<HttpColumn> = {}): HttpColumn => ({
  name: 'c',
  field: ['c'],
  ...declaredType(native)!,
  native,
  nullable: true,
  readOnly: false,
  asText: false,
  ...change,
});

/** type, JSON, cell, and what the cell is sent as (absent: the JSON itself). */
const values: readonly (readonly [string, string, string | null, string?])[] = [
  ['int', '5', '5'],
  ['int', '1e3', '1000', '1000'],
  ['int', '-9223372036854775808', '-9223372036854775808'],
  ['int', '"7"', '7', '7'],
  ['decimal', '12345678901234567890.12345', '12345678901234567890.12345'],
  ['decimal(10,2)', '19.90', '19.9', '19.9'],
  ['decimal', '"NaN"', 'NaN', 'refused'],
  ['float', '0.1', '0.1'],
  ['float', '1e400', '\udc00n1e400'],
  ['bool', 'true', 'true'],
  ['bool', '0', 'false', 'false'],
  ['bool', '"yes"', '\udc00t"yes"'.replaceAll('"', '')],
  ['text', '"a\\u0000b"', 'a\0b'],
  ['text', '""', ''],
  ['text', 'null', null],
  ['text', '5.0', '5.0', '"5.0"'],
  ['text', '"\\ud800"', '\udc00b225c756438303022'],
  ['text', '["a"]', '\udc00b5b2261225d'],
  [
    'uuid',
    '"550E8400-E29B-41D4-A716-446655440000"',
    '550e8400-e29b-41d4-a716-446655440000',
    '"550e8400-e29b-41d4-a716-446655440000"',
  ],
  ['base64', '"3q2+7w=="', 'deadbeef'],
  ['base64', '"3q2+7w"', '\udc00t3q2+7w'],
  ['hex', '"DEADBEEF"', 'deadbeef', '"deadbeef"'],
  ['date', '"2024-02-29"', '2024-02-29'],
  ['date', '"2023-02-29"', '\udc00t2023-02-29'],
  ['timestamp', '"2024-02-29T12:00:00.500"', '2024-02-29 12:00:00.5', '"2024-02-29T12:00:00.5"'],
  ['instant', '"2024-02-29T12:00:00+02:00"', '2024-02-29 10:00:00', '"2024-02-29T10:00:00Z"'],
  ['instant', '1700000000', '\udc00n1700000000'],
  ['epoch_seconds', '1700000000.5', '2023-11-14 22:13:20.5'],
  ['epoch_seconds', '-0.000001', '1969-12-31 23:59:59.999999'],
  ['epoch_millis', '-1', '1969-12-31 23:59:59.999'],
  ['epoch_millis', '1700000000123.4', '2023-11-14 22:13:20.1234'],
  ['epoch_millis', '1700000000123.4567', '\udc00n1700000000123.4567'],
  ['json', '{"b":1.50,"a":[1e400,"\\ud800"]}', `{"a":[1${'0'.repeat(400)},"\\ud800"],"b":1.5}`, 'any'],
  ['json', '"x"', '"x"'],
];

for (const [native, json, cell, sent] of values)
  test(`${native}: ${json} is read${sent === 'refused' ? ', and not sent' : ' and sent again'}`, () => {
    const c = column(native);
    assert.equal(cellOf(c, parseJson(json)), cell);
    if (sent === 'any') return;
    const back = sentValue(c, cell as Text | null, undefined);
    assert.equal('refused' in back ? 'refused' : jsonOf(back.value), sent ?? json);
  });

test('exact cells keep the writing of numbers and JSON', () => {
  assert.equal(exactCellOf(column('decimal'), parseJson('1.50')), '1.50');
  assert.equal(exactCellOf(column('json'), parseJson('{"b":1.50,"a":2}')), '{"b":1.50,"a":2}');
  assert.equal(exactCellOf(column('json'), null), null);
});

test('a number that stood as a text is sent as a text', () => {
  const sent = sentValue(column('decimal'), '5.5' as Text, '4.4');
  assert.deepEqual(sent, { value: '5.5' });
  assert.deepEqual(sentValue(column('int', { asText: true }), '5' as Text, undefined), { value: '5' });
  assert.equal(
    jsonOf((sentValue(column('int', { asText: true }), '5' as Text, parseJson('4')) as { value: never }).value),
    '5',
  );
});

test('places are found by pointer, by path and by name, and nothing is inherited', () => {
  const body = parseJson('{"a":{"b/c":[{"~":1},2]},"x.y":3,"__proto__":{"p":4}}');
  const at = (text: string) => valueAt(body, readPointer(text)!);
  assert.equal(jsonOf(at('/a/b~1c/0/~0')!), '1');
  assert.equal(jsonOf(at("$.a['b/c'][1]")!), '2');
  assert.equal(jsonOf(at('x.y')!), '3');
  assert.equal(jsonOf(at('/__proto__/p')!), '4');
  for (const missing of ['/a/constructor', '/toString', '/a/b~1c/length', '$.a.b', '/a/b~1c/-1'])
    assert.equal(at(missing), undefined, missing);
  for (const wrong of ['$.', '$[x', '/a~2', '$..a']) assert.equal(readPointer(wrong), undefined, wrong);
  const changed = withValue(body, ['__proto__', 'q'], 'new');
  assert.equal(({} as { q?: string }).q, undefined);
  assert.equal(jsonOf(valueAt(changed, ['__proto__'])!), '{"p":4,"q":"new"}');
});
