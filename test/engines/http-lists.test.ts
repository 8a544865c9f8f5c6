import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LockstepError } from '../../src/model/errors.ts';
import { startVendorApi, type VendorApi, type VendorResource } from '../servers/vendor-api.ts';
import { licences, licencesDeclared } from '../servers/vendor-licences.ts';
import { hastyClock, openApi, rowsOf, signal } from './http-support.ts';

/** Lists that are read whole, and lists that cannot have been. */

const start = (change: Partial<VendorResource> = {}): Promise<VendorApi> =>
  startVendorApi({ resources: { licences: licences(250, change) } });

const declared = (list: object): Readonly<Record<string, unknown>> => ({
  resources: { licences: { ...licencesDeclared, list: { path: '/licences', items: '/data', ...list } } },
});

const refused = async (work: Promise<unknown>): Promise<LockstepError> => {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  assert.ok(error instanceof LockstepError, `it should have failed with a message, not ${String(error)}`);
  return error;
};

const ways: readonly (readonly [VendorResource['paging'] & string, object])[] = [
  ['cursor', { page: { by: 'cursor', next: '/meta/next', param: 'cursor' } }],
  ['cursor', { page: { by: 'cursor', next: '$.meta.next', param: 'cursor', size_param: 'limit', size: 7 } }],
  ['link', {}],
  ['link', { page: { by: 'link' } }],
  ['url', { page: { by: 'url', next: '/meta/next_url' } }],
  ['last_item', { page: { by: 'last_item', field: '/id', param: 'after', more: '/meta/has_more' } }],
  ['page', { page: { by: 'page' } }],
  ['page', { page: { by: 'page' }, total: '/meta/total' }],
  ['offset', { page: { by: 'offset', size_param: 'limit', size: 33 }, total_header: 'X-Total-Count' }],
  ['none', { page: { by: 'none' }, total: '/meta/total' }],
  ['none', {}],
];

for (const [paging, list] of ways) {
  test(`a list is read whole by ${paging}, declared as ${JSON.stringify(list)}`, async () => {
    await using api = await start({ paging });
    await using endpoint = openApi(api, { http: declared(list) });
    const rows = await rowsOf(endpoint);
    assert.equal(rows.length, 250);
    assert.deepEqual(rows[249], [
      '250',
      'LIC-00250',
      '9007199254741242',
      "O'Hara Legal",
      'IE',
      'pro',
      'past_due',
      '11',
      '250.5',
      '[]',
      '2024-09-07 00:00:00',
      '2024-09-07 00:00:00',
    ]);
  });
}

test('numbers keep every digit, beyond doubles too', async () => {
  await using api = await start({ items: [{ id: { rawJSON: '1' } as never }] });
  api.edit('licences', () => []);
  api.distort = (body) => ({ ...body, data: [], meta: { total: 0, next: null } });
  api.fault = (a) =>
    a.path.startsWith('/licences')
      ? {
          status: 200,
          body: '{"data":[{"id":9007199254740993,"price":12345678901234567890.123456789,"account":1e3,"seats":-0}],"meta":{"total":1,"next":null}}',
        }
      : undefined;
  await using endpoint = openApi(api, {
    http: {
      resources: {
        licences: {
          ...licencesDeclared,
          columns: { id: 'int', price: 'decimal', account: 'int', seats: 'decimal', updated_at: 'instant' },
        },
      },
    },
  });
  assert.deepEqual(await rowsOf(endpoint), [
    ['9007199254740993', '12345678901234567890.123456789', '1000', '-0', null],
  ]);
});

const injections: readonly {
  readonly name: string;
  readonly list?: object;
  readonly paging?: VendorResource['paging'] & string;
  inject(api: VendorApi): void;
  readonly says: RegExp;
}[] = [
  {
    name: 'ends early, against its own total',
    inject: (api) => {
      api.distort = (body, a) =>
        a.path.includes('cursor=80') ? { ...body, meta: { ...body.meta, next: null } } : body;
    },
    says: /120 of 250 announced items were read/,
  },
  {
    name: 'announces more than there is',
    inject: (api) => {
      api.distort = (body) => ({ ...body, meta: { ...body.meta, total: 251 } });
    },
    says: /250 of 251 announced/,
  },
  {
    name: 'announces less than there is',
    paging: 'page',
    list: { page: { by: 'page' }, total: '/meta/total' },
    inject: (api) => {
      api.distort = (body) => ({ ...body, meta: { ...body.meta, total: 80 } });
    },
    says: /of 80 announced/,
  },
  {
    name: 'repeats a page',
    inject: (api) => {
      let first: unknown;
      api.distort = (body, a) => {
        first ??= body.data;
        return a.path.includes('cursor=120') ? { ...body, data: first } : body;
      };
    },
    says: /page 4 repeats a page/,
  },
  {
    name: 'leads in a circle',
    inject: (api) => {
      api.distort = (body, a) =>
        a.path.includes('cursor=200') ? { ...body, meta: { ...body.meta, next: '40' } } : body;
    },
    says: /leads back to a page that was read already/,
  },
  {
    name: 'repeats a key on another page',
    inject: (api) => {
      api.distort = (body, a) =>
        a.path.includes('cursor=120')
          ? { ...body, data: [{ ...(body.data[0] as object), id: 3 }, ...body.data.slice(1)] }
          : body;
    },
    says: /one came a second time \(key id\)/,
  },
  {
    name: 'changes its total while it is read',
    inject: (api) => {
      let n = 250;
      api.distort = (body) => ({ ...body, meta: { ...body.meta, total: n++ } });
    },
    says: /its total went from \d+ to \d+/,
  },
  {
    name: 'says that there are more, and not where',
    list: { page: { by: 'cursor', next: '/meta/next', param: 'cursor', more: '/meta/more' } },
    inject: (api) => {
      api.distort = (body) => ({ ...body, meta: { ...body.meta, more: true } });
    },
    says: /says that there are more, and not where/,
  },
  {
    name: 'has pages that were not declared',
    list: {},
    inject: () => {},
    says: /paging is not declared, and \/meta\/next/,
  },
  {
    name: 'has its pages declared at a place where nothing is',
    list: { page: { by: 'cursor', next: '/meta/nxt', param: 'cursor' } },
    inject: () => {},
    says: /by what is declared of its paging it ends, and \/meta\/next of the answer speaks of more/,
  },
  {
    name: 'has lost its total',
    inject: (api) => {
      api.distort = (body) => ({ ...body, meta: { next: body.meta['next'] } });
    },
    says: /its total is not at \/meta\/total/,
  },
];

for (const { name, list, paging, inject, says } of injections) {
  test(`a list that ${name} is incomplete, every time it is asked for`, async () => {
    await using api = await start(paging ? { paging } : {});
    inject(api);
    await using endpoint = openApi(api, list ? { http: declared(list) } : {});
    await using reader = await endpoint.snapshot({ signal });
    const error = await refused(rowsOf(endpoint, 'licences', reader));
    assert.equal(error.code, 'INCOMPLETE', error.message);
    assert.equal(error.exit, 25);
    assert.match(error.message, says);
    assert.match(error.message, /no delete/);
    // Not the second time either: nothing of it was kept.
    assert.equal((await refused(rowsOf(endpoint, 'licences', reader))).code, 'INCOMPLETE');
  });
}

test('a list that moved once while it was read is read again', async () => {
  await using api = await start();
  let moved = false;
  api.fault = (a) => {
    if (!moved && a.path.includes('cursor=120')) {
      moved = true;
      api.edit('licences', (items) => items.filter((_, i) => i > 0));
    }
    return undefined;
  };
  await using endpoint = openApi(api);
  assert.equal((await rowsOf(endpoint)).length, 249);
  assert.ok(moved);
});

test('an answer without the list is an error, not an empty list', async () => {
  await using api = await start();
  for (const [body, says] of [
    ['{"error":"try later"}', /without a list at \/data/],
    ['{"data":null}', /without a list at \/data/],
    ['[]', /without a list at \/data/],
    ['{"data":[1]}', /its total is not/],
  ] as const) {
    api.fault = () => ({ status: 200, body });
    await using endpoint = openApi(api);
    assert.match((await refused(rowsOf(endpoint))).message, says);
  }
});

test('items without their key, or that are no objects, are errors', async () => {
  await using api = await start();
  await using endpoint = openApi(api);
  api.distort = (body) => ({
    ...body,
    data: body.data.map((item, i) => (i === 3 ? { ...(item as object), id: null } : item)),
  });
  const error = await refused(rowsOf(endpoint));
  assert.equal(error.code, 'KEY_MISSING');
  assert.match(error.message, /has no id/);
  api.distort = (body) => ({ ...body, data: body.data.map((item, i) => (i === 3 ? 'what?' : item)) });
  assert.match((await refused(rowsOf(endpoint))).message, /something that is no object/);
});

test('columns and key are inferred from the first page, and a field that it did not show is an error', async () => {
  await using api = await start({ paging: 'link' });
  await using endpoint = openApi(api, {
    http: { resources: { licences: { list: { path: '/licences', items: '/data' } } } },
  });
  const [table] = (await endpoint.inspect({ signal })).tables;
  assert.deepEqual(
    table!.columns.map((c) => `${c.name} ${c.native}`),
    [
      'id int',
      'reference text',
      'account int',
      'customer json',
      'tier text',
      'status text',
      'seats int',
      'price decimal',
      'features json',
      'expires_at instant',
      'updated_at instant',
    ],
  );
  assert.deepEqual(table!.uniques[0]!.columns, ['id']);
  assert.equal((await rowsOf(endpoint)).length, 250);
  api.distort = (body, a) =>
    a.path.includes('cursor=80')
      ? { ...body, data: body.data.map((item) => ({ ...(item as object), note: 'new' })) }
      : body;
  const error = await refused(rowsOf(endpoint));
  assert.equal(error.code, 'SCHEMA_DRIFT');
  assert.match(error.message, /field "note" that the first page did not show/);
});

test('what an API asks to wait is waited, in seconds, by date and by its window', async () => {
  await using api = await start();
  const clock = hastyClock();
  const seen = new Set<string>();
  api.fault = (a) => {
    const once = (when: string): boolean => a.path.includes(when) && !seen.has(when) && Boolean(seen.add(when));
    if (once('cursor=40')) return { status: 429, headers: { 'retry-after': '7' } };
    if (once('cursor=80'))
      return { status: 503, headers: { 'retry-after': new Date(clock.now() + 20_000).toUTCString() } };
    if (once('cursor=120'))
      return { status: 500, headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '11' } };
    if (once('cursor=160')) return { status: 502, headers: { ratelimit: '"default";r=0;t=13' } };
    return undefined;
  };
  await using endpoint = openApi(api, { clock });
  assert.equal((await rowsOf(endpoint)).length, 250);
  const waited = (least: number, most: number): boolean => clock.slept.some((ms) => ms > least && ms <= most);
  assert.ok(waited(6_000, 7_000), `seconds: ${clock.slept}`);
  assert.ok(waited(18_000, 20_000), `date: ${clock.slept}`);
  assert.ok(waited(10_000, 11_000) && waited(12_000, 13_000), `window: ${clock.slept}`);
});

test('an API that asks to wait for an hour is not waited for', async () => {
  await using api = await start();
  api.fault = () => ({ status: 429, headers: { 'retry-after': '3600' } });
  await using endpoint = openApi(api);
  assert.match((await refused(rowsOf(endpoint))).message, /429 Too Many Requests, and asks to wait 3600 s/);
  assert.equal(api.asked.length, 1);
});

test('requests keep to a rate, and not more than so many are under way', async () => {
  await using api = await start();
  const clock = hastyClock();
  await using endpoint = openApi(api, { clock, http: { requests_per_second: 2, concurrency: 1 } });
  await rowsOf(endpoint);
  assert.ok(
    clock.slept.filter((ms) => ms > 300 && ms <= 500).length >= 5,
    `seven pages at two a second: ${clock.slept}`,
  );
});

for (const fault of ['lost', 'truncated', { status: 500 }, { status: 504 }] as const) {
  test(`a request whose answer is ${typeof fault === 'string' ? fault : fault.status} is sent again; one that never comes is an error`, async () => {
    await using api = await start();
    let n = 0;
    api.fault = (a) => (a.path.includes('cursor=80') && n++ < 2 ? fault : undefined);
    await using endpoint = openApi(api);
    assert.equal((await rowsOf(endpoint)).length, 250);
    assert.equal(n, 3);
    api.fault = (a) => (a.path.includes('cursor=80') ? fault : undefined);
    const error = await refused(rowsOf(endpoint));
    assert.match(error.message, /vendor/);
    assert.notEqual(error.code, 'INTERNAL');
    // A gateway that cannot reach the API opens the breaker; one request that the API itself fails at does not.
    if (typeof fault === 'object') assert.equal(error.code, fault.status === 504 ? 'CONNECT' : 'DATABASE');
  });
}

test('an answer that does not come in time is an error that says so', async () => {
  await using api = await start();
  api.fault = () => 'silent';
  await using endpoint = openApi(api, { timeoutMs: 50 });
  assert.match((await refused(rowsOf(endpoint))).message, /did not answer GET \/v2\/licences within 0.05 s/);
});

test('aborting ends the request under way', async () => {
  await using api = await start();
  const controller = new AbortController();
  api.fault = () => {
    setImmediate(() => controller.abort(new Error('enough')));
    return 'silent';
  };
  await using endpoint = openApi(api);
  await using reader = await endpoint.snapshot({ signal });
  const [table] = (await endpoint.inspect({ signal })).tables;
  const { nativeSelection } = await import('../../src/model/selection.ts');
  await assert.rejects(reader.count(nativeSelection(table!, ['id']), { signal: controller.signal }), /enough/);
});

test('a page of HTML with status 200 is an error that shows its title', async () => {
  await using api = await start();
  api.fault = () => ({
    status: 200,
    headers: { 'content-type': 'text/html' },
    body: '<html><title>Sign in</title></html>',
  });
  await using endpoint = openApi(api);
  assert.match((await refused(rowsOf(endpoint))).message, /200 with text\/html "Sign in", not JSON/);
  assert.equal(api.asked.length, 1, 'it is not asked again');
});

test('an answer larger than allowed is not read to its end', async () => {
  await using api = await start({ pageSize: 250 });
  await using endpoint = openApi(api, { http: { max_bytes: 2048 } });
  assert.match((await refused(rowsOf(endpoint))).message, /larger than/);
});

test('texts that are not valid UTF-8 are an error, and never replaced', async () => {
  await using api = await start();
  api.fault = () => ({
    status: 200,
    body: Buffer.from('{"data":[{"id":1,"reference":"\xff"}],"meta":{}}', 'latin1') as never,
  });
  await using endpoint = openApi(api);
  assert.match((await refused(rowsOf(endpoint))).message, /not valid UTF-8/);
});
