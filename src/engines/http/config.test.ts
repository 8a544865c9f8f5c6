import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LockstepError } from '../../model/errors.ts';
import { describeConfig, parseConfig } from './config.ts';

const base = 'https://api.example.com/v2';
const list = { path: '/t', items: '/data' };
const parse = (resource: object, http: object = {}, url = base) =>
  parseConfig({ url, http: { resources: { t: { list, ...resource } }, ...http } });

const wrong: readonly (readonly [string, () => unknown, RegExp])[] = [
  ['no address', () => parseConfig({ engine: 'http' }), /the API has no url/],
  ['an address of something else', () => parseConfig('ftp://example.com/x'), /not an http or https address/],
  ['a host by parts', () => parseConfig({ url: base, host: 'x' }), /not written right at host/],
  ['a bare address without a list', () => parseConfig('https://api.example.com'), /must name a list/],
  ['an unknown option behind #', () => parseConfig(`${base}/t#itms=/data`), /unknown option "itms"/],
  ['a query beside declared resources', () => parse({}, {}, `${base}?x=1`), /has a query/],
  ['no resources', () => parseConfig({ url: base, http: { resources: {} } }), /declares no resource/],
  [
    'two ways to sign in',
    () => parse({}, { auth: { bearer: 'a', header: { name: 'b', value: 'c' } } }),
    /by bearer and by header/,
  ],
  [
    'a login in the url and another',
    () => parse({}, { auth: { bearer: 'a' } }, 'https://u:p@api.example.com'),
    /in the URL/,
  ],
  ['a header of ours', () => parse({}, { headers: { Host: 'x' } }), /Host cannot be set/],
  ['a header of two lines', () => parse({}, { headers: { 'X-A': 'a\r\nX-B: b' } }), /is not a header/],
  [
    'a cursor without its place',
    () => parse({ list: { ...list, page: { by: 'cursor', param: 'c' } } }),
    /paging by cursor needs `next`/,
  ],
  [
    'a place that a way has not',
    () => parse({ list: { ...list, page: { by: 'offset', next: '/n' } } }),
    /paging by offset has no `next`/,
  ],
  ['a size without its parameter', () => parse({ list: { ...list, page: { by: 'page', size: 10 } } }), /go together/],
  ['a path of another host', () => parse({ read: '//evil.example/{id}' }), /is not a path/],
  ['an item without a name', () => parse({ read: '/t' }), /names no item/],
  [
    'a column that is not there',
    () => parse({ columns: { a: 'int' }, key: ['b'] }),
    /key names b, which is not among its columns/,
  ],
  ['an address of no column', () => parse({ columns: { a: 'int' }, read: '/t/{id}' }), /read names id/],
  ['a type that is none', () => parse({ columns: { a: 'varchar2' } }), /varchar2 is not a type/],
  [
    'a place that is none',
    () => parse({ columns: { a: { type: 'int', field: '$.a[' } } }),
    /neither a pointer nor a path/,
  ],
];

for (const [what, work, says] of wrong)
  test(`${what} is told in plain words`, () => {
    assert.throws(work, (error: unknown) => {
      assert.ok(error instanceof LockstepError, String(error));
      assert.equal(error.code, 'CONFIG');
      assert.match(error.message, says);
      return true;
    });
  });

test('a declared API is read', () => {
  const c = parse({
    read: '/t/{id}',
    update: { method: 'put', path: '/t/{id}', wrap: '/t', item: '$.result' },
    key: ['id'],
    columns: {
      id: 'bigint',
      name: { type: 'varchar(40)', field: "$.who['full name']" },
      at: { type: 'timestamptz', read_only: true },
    },
  });
  const [t] = c.resources;
  assert.deepEqual(
    t!.columns!.map((x) => [x.name, x.field, x.type.kind, x.nullable, x.readOnly]),
    [
      ['id', ['id'], 'int', false, false],
      ['name', ['who', 'full name'], 'text', true, false],
      ['at', ['at'], 'instant', true, true],
    ],
  );
  assert.deepEqual(
    [t!.update!.method, t!.update!.whole, t!.update!.wrap, t!.update!.item],
    ['PUT', true, ['t'], ['result']],
  );
  assert.equal(t!.idempotencyHeader, 'Idempotency-Key');
  assert.equal(describeConfig(c), base);
});

test('a bare address is one list, and its description shows neither login nor query', () => {
  const c = parseConfig(
    'https://u:secret@api.example.com/v2/licences?token=hidden#items=/data&key=id&allow_private=true',
  );
  assert.equal(c.resources[0]!.name, 'licences');
  assert.equal(c.resources[0]!.list.path, '/v2/licences?token=hidden');
  assert.equal(c.allowPrivate, true);
  assert.equal(describeConfig(c), 'https://api.example.com');
});
