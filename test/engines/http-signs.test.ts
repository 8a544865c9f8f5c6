import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { refusal } from '../../src/lib/net/addresses.ts';
import type { LockstepError } from '../../src/model/errors.ts';
import type { Row } from '../../src/model/row.ts';
import { openApi, rowsOf } from './http-support.ts';

interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** What is read of a list `/t` of an API that answers so. */
const read = async (
  answer: (url: URL, headers: Readonly<Record<string, unknown>>) => Answer,
  list: unknown,
  http: object = {},
): Promise<Row[]> => {
  const listener: RequestListener = (request, response) => {
    const { status, headers, body } = answer(new URL(request.url!, 'http://api'), request.headers);
    response.writeHead(status ?? 200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  };
  await using server = createServer(listener);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  await using endpoint = openApi(
    { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
    { http: { resources: { t: { list, key: ['id'], columns: { id: 'int', name: 'text' } } }, ...http } },
  );
  try {
    return await rowsOf(endpoint, 't');
  } finally {
    server.closeAllConnections();
  }
};

const three = [{ id: 1 }, { id: 2 }, { id: 3 }];
const items = { path: '/t', items: '/data' };
const byCursor = (next: string) => ({ ...items, page: { by: 'cursor', next, param: 'c' } });

test('one page that speaks of more in any way that is common is no whole list', async () => {
  const more: readonly (readonly [Answer, unknown])[] = [
    [{ body: { value: three, '@odata.nextLink': 'https://api/t?skip=3' } }, '/t'],
    [{ body: { records: three, done: false, nextRecordsUrl: '/q/2' } }, '/t'],
    [{ body: { content: three, last: false, totalPages: 9 } }, '/t'],
    [{ body: { items: three, metadata: { continue: 'x' } } }, '/t'],
    [{ body: { data: three, total: 4 } }, items],
    [{ body: { data: three, meta: { total_count: '50' } } }, items],
    [{ body: { data: three, pagination: { total_pages: 2 } } }, items],
    [{ headers: { 'X-Total-Count': '50' }, body: three }, '/t'],
    [{ headers: { 'X-Next-Page': '2' }, body: three }, '/t'],
    // What is declared of the paging leads nowhere.
    [{ body: { data: three, meta: { next: 'a' } } }, byCursor('/meta/nxt')],
    [{ body: { data: three, meta: { after: 'a', total: 50 } } }, byCursor('/meta/aftr')],
    [{ body: { data: three, meta: { after: { id: 'a' } } } }, byCursor('/meta/after')],
    [{ body: { data: three, meta: { after: ['a'] } } }, byCursor('/meta/after')],
  ];
  for (const [answer, list] of more)
    await assert.rejects(
      read(() => answer, list),
      { code: 'INCOMPLETE' },
      JSON.stringify(answer),
    );
  const all: readonly (readonly [Answer, unknown])[] = [
    [{ body: { data: three, total: 3, last: true, next: null, has_more: false } }, items],
    [{ body: { data: three, total: 50, next: 'x' } }, { ...items, page: { by: 'none' } }],
    [{ headers: { 'X-Total-Count': '3', 'X-Next-Page': '' }, body: three }, '/t'],
    [{ body: { data: three, meta: { after: null, total: 50 } } }, byCursor('/meta/after')],
  ];
  for (const [answer, list] of all) assert.equal((await read(() => answer, list)).length, 3, JSON.stringify(answer));
});

test('a cursor that is false at the end ends a list', async () => {
  const rows = await read(
    (url) => ({
      body: url.searchParams.has('c') ? { data: [{ id: 4 }], after: false } : { data: three, after: 'x' },
    }),
    byCursor('/after'),
  );
  assert.equal(rows.length, 4);
});

test('an answer that says that it failed is no list, and least of all an empty one', async () => {
  const failed: readonly unknown[] = [
    { data: [], errors: [{ message: 'the shard is down' }] },
    { data: three, error: 'time-out: partial results' },
    { data: [], success: false },
    { data: [], ok: false },
  ];
  for (const body of failed)
    await assert.rejects(
      read(() => ({ body }), items),
      { code: 'INCOMPLETE' },
      JSON.stringify(body),
    );
  const fine = { data: three, errors: [], error: null, success: true };
  assert.equal((await read(() => ({ body: fine }), items)).length, 3);
  // A log of errors is a list like any other.
  assert.equal((await read(() => ({ body: { errors: three } }), { path: '/t', items: '/errors' })).length, 3);
});

test('a list of errors, or one beside items that are null, is not taken for the items', async () => {
  for (const body of [
    { data: null, errors: [] },
    { status: 'ok', warnings: [] },
    { licences: null, notes: [] },
  ])
    await assert.rejects(
      read(() => ({ body }), '/t'),
      /not plain where the items/,
    );
  assert.deepEqual(await read(() => ({ body: { licences: [], count: 0 } }), '/t'), []);
  assert.deepEqual(await read(() => ({ body: { results: [], next: null, previous: null } }), '/t'), []);
  assert.equal((await read(() => ({ body: { licences: three, warnings: [] } }), '/t')).length, 3);
});

test('an API that repeats the login in its words does not get it shown, nor a line of its own', async () => {
  const logins = [
    { bearer: 'token-of-the-vendor' },
    { basic: { user: 'ann', password: 'secret word' } },
    { header: { name: 'X-Key', value: 'key-of-the-vendor' } },
  ];
  for (const auth of logins) {
    const seen: string[] = [];
    const failure = await read(
      (_, headers) => {
        const login = String(headers['authorization'] ?? headers['x-key']);
        seen.push(...login.split(' '));
        return { status: 401, body: { message: `bad login ${login}\n  ✓ AGREES` } };
      },
      '/t',
      { auth },
    ).then(
      () => undefined,
      (error: LockstepError) => error.message,
    );
    assert.match(failure!, /401 Unauthorized: bad login \*\*\* ✓ AGREES$/);
    for (const secret of seen.filter((s) => s.length > 5)) assert.doesNotMatch(failure!, new RegExp(secret));
  }
});

test("a cloud's metadata service is not reached by an IPv6 way of writing its address", () => {
  for (const address of [
    '169.254.169.254',
    '::ffff:169.254.169.254',
    '::ffff:0:169.254.169.254',
    '::169.254.169.254',
    '64:ff9b::a9fe:a9fe',
    '2002:a9fe:a9fe::1',
    'fd00:ec2::254',
  ])
    assert.equal(refusal(address, true), 'metadata', address);
  for (const address of ['::127.0.0.1', '::ffff:127.0.0.1', '2001:0:7f00:1::', '::', '::1'])
    assert.equal(refusal(address, false), 'private', address);
  for (const address of ['93.184.216.34', '2606:2800:220:1::1']) assert.equal(refusal(address, false), undefined);
});
