import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Key, Row } from '../../src/model/row.ts';
import type { Written } from '../../src/model/writer.ts';
import { number } from '../servers/vendor-api.ts';
import { licence, licencesDeclared } from '../servers/vendor-licences.ts';
import { failure, full, openShop } from './http-shop.ts';
import { openApi, rowsOf, signal, tableOf } from './http-support.ts';

/** Writes to an API: one item at a time, guarded by what it is. */

test('an insert, an update and a delete are written, and read back as stored', async () => {
  await using shop = await openShop();
  const seen: Written[] = [];
  const written = (w: Written): void => void seen.push(w);
  assert.deepEqual(await shop.apply(shop.insert(full), { written }), { status: 'done' });
  assert.deepEqual(
    await shop.apply(await shop.update('7', { price: '0.1', customer: 'New', seats: '140' }), { written }),
    { status: 'done' },
  );
  assert.deepEqual(await shop.apply(await shop.remove('8'), { written }), { status: 'done' });
  assert.deepEqual(shop.writes(), ['POST', 'PATCH', 'DELETE']);
  const rows = await rowsOf(shop.endpoint);
  assert.equal(rows.length, 60);
  const find = (id: string): Row | undefined => rows.find((r) => r[0] === id);
  assert.deepEqual(
    find('900'),
    shop.names.map((n) => full[n as keyof typeof full]),
  );
  assert.deepEqual([find('7')![3], find('7')![7], find('7')![8]], ['New', '140', '0.1']);
  assert.equal(find('8'), undefined);
  assert.deepEqual(
    seen.map((w) => w.stored),
    [[find('900')], [find('7')], [null]],
  );
  const stored = shop.api.items('licences').find((i) => JSON.stringify(i['id']) === '7')!;
  assert.equal(JSON.stringify(stored['price']), '0.1');
  assert.deepEqual(
    stored['customer'],
    { name: 'New', country: licence(7)['customer']!['country' as never] },
    'the rest of a nested member stays',
  );
});

test('an update sends the members that change, whole, or the whole item by PUT, and keeps what no column reads', async () => {
  await using shop = await openShop({ resource: { update: { method: 'PUT', path: '/licences/{id}' } } });
  shop.api.edit('licences', (items) =>
    items.map((i) => ({ ...i, internal: { note: 'kept', big: number('12345678901234567890') } })),
  );
  assert.equal((await shop.apply(await shop.update('7', { status: 'paused' }))).status, 'done');
  const put = JSON.parse(shop.api.asked.find((a) => a.method === 'PUT')!.body) as Record<string, unknown>;
  assert.deepEqual(Object.keys(put).sort(), Object.keys({ ...licence(7), internal: 1 }).sort());
  assert.match(shop.api.asked.find((a) => a.method === 'PUT')!.body, /"big":12345678901234567890/);
  await using patched = await openShop();
  assert.equal((await patched.apply(await patched.update('7', { country: 'DE' }))).status, 'done');
  assert.deepEqual(JSON.parse(patched.api.asked.find((a) => a.method === 'PATCH')!.body), {
    customer: { name: (licence(7)['customer'] as never)['name'], country: 'DE' },
  });
});

for (const op of ['update', 'delete'] as const) {
  test(`a row that moved is not written by a ${op}, also where only other columns moved`, async () => {
    await using shop = await openShop();
    const change = op === 'update' ? await shop.update('7', { status: 'paused' }) : await shop.remove('7');
    shop.api.edit('licences', (items) =>
      items.map((i) => (JSON.stringify(i['id']) === '7' ? { ...i, seats: number(39) } : i)),
    );
    const applied = await shop.apply(change);
    assert.equal(applied.status, 'stale');
    assert.deepEqual(applied.status === 'stale' && applied.rows[0]!.found, await shop.row('7'));
    shop.api.edit('licences', (items) => items.filter((i) => JSON.stringify(i['id']) !== '7'));
    const gone = await shop.apply(change);
    assert.deepEqual(gone.status === 'stale' && gone.rows[0]!.found, null);
    assert.deepEqual(shop.writes(), []);
  });

  test(`a row that moves between the look and the ${op} is refused by the API itself (If-Match)`, async () => {
    await using shop = await openShop();
    const change = op === 'update' ? await shop.update('7', { status: 'paused' }) : await shop.remove('7');
    shop.api.fault = (a) => {
      if (a.method !== 'GET') {
        assert.match(String(a.headers['if-match']), /^"[0-9a-f]{16}"$/);
        shop.api.edit('licences', (items) =>
          items.map((i) => (JSON.stringify(i['id']) === '7' ? { ...i, seats: number(39) } : i)),
        );
      }
      return undefined;
    };
    const applied = await shop.apply(change);
    assert.equal(applied.status, 'stale');
    assert.equal((await shop.row('7'))![7], '39');
    assert.notEqual((await shop.row('7'))![6], 'paused');
  });
}

test('NULL and the empty text are different to the guard', async () => {
  await using shop = await openShop();
  const change = await shop.update('11', { status: 'paused' });
  assert.equal(change.before![7], null);
  shop.api.edit('licences', (items) => items.map((i) => (JSON.stringify(i['id']) === '11' ? { ...i, seats: '' } : i)));
  assert.equal((await shop.apply(change)).status, 'stale');
});

test('an insert never writes over an item that exists, by POST or by PUT', async () => {
  for (const create of ['/licences', { method: 'PUT', path: '/licences/{id}' }]) {
    await using shop = await openShop({ resource: { create } });
    const applied = await shop.apply(shop.insert({ ...full, id: '5' }));
    assert.equal(applied.status, 'stale');
    assert.deepEqual(applied.status === 'stale' && applied.rows[0]!.found, await shop.row('5'));
    assert.deepEqual(shop.writes(), []);
  }
});

test('an item whose key the API gives is found by the key of the pair', async () => {
  await using shop = await openShop({
    change: { nextKey: 500 },
    resource: {
      columns: { ...licencesDeclared.columns, id: { type: 'int', read_only: true } },
      find: '/licences?by_reference={reference}',
    },
    key: ['reference'],
  });
  const { id: _, ...values } = full;
  const seen: Written[] = [];
  const applied = await shop.apply(
    { ...shop.insert(values), key: ['LIC-00900'] as unknown as Key },
    { written: (w) => void seen.push(w) },
  );
  assert.equal(applied.status, 'done');
  assert.equal(seen[0]!.stored[0]![shop.names.indexOf('id')], '500');
  assert.ok(!shop.api.asked.find((a) => a.method === 'POST')!.body.includes('"id"'));
});

test('an API without addresses of items is read whole to find one', async () => {
  const { read: _, ...rest } = licencesDeclared;
  await using shop = await openShop();
  await using endpoint = openApi(shop.api, { writable: true, http: { resources: { licences: rest } } });
  const table = await tableOf(endpoint);
  const change = await shop.update('7', { status: 'paused' });
  const applied = await endpoint.writer!.apply(
    { run: 'p', step: 1, token: 9_999_999_999_999n },
    [{ table, key: ['id'], changes: [change] }],
    { signal },
  );
  assert.equal(applied.status, 'done');
});

test('several rows in one step are refused before any is written, also through an iterator', async () => {
  await using shop = await openShop();
  const [a, b] = [await shop.update('7', { status: 'paused' }), await shop.update('8', { status: 'paused' })];
  const batches = [
    { table: shop.table, key: ['id'], changes: [a] },
    { table: shop.table, key: ['id'], changes: [b] },
  ];
  const error = await failure(
    shop.endpoint.writer!.apply({ run: 'p', step: 1, token: 9_999_999_999_999n }, batches, { signal }),
  );
  assert.equal(error.code, 'CONFIG');
  assert.match(`${error.message} ${error.hint}`, /one item at a time.*atomic: run/s);
  assert.deepEqual(shop.writes(), []);
});

test('aborting before the write leaves no trace, and a journal that fails is not hidden', async () => {
  await using shop = await openShop();
  const change = await shop.update('7', { status: 'paused' });
  const controller = new AbortController();
  shop.api.fault = () => {
    controller.abort(new Error('the user pressed Ctrl-C'));
    return undefined;
  };
  await assert.rejects(shop.apply(change, { signal: controller.signal }), /Ctrl-C/);
  shop.api.fault = undefined;
  assert.deepEqual(shop.writes(), []);
  const written = (): void => {
    throw new Error('the journal is full');
  };
  await assert.rejects(shop.apply(change, { written }), /the journal is full/);
});

test('a key that would address something else is never put into an address', async () => {
  await using shop = await openShop({
    change: { key: ['reference'] },
    resource: {
      read: '/licences/{reference}',
      update: '/licences/{reference}',
      delete: '/licences/{reference}',
      key: ['reference'],
    },
    key: ['reference'],
  });
  for (const reference of ['..', '.', 'a/b', 'a?b#c', '%2e%2e', ' ']) {
    shop.api.edit('licences', () => [{ ...licence(1), reference }]);
    const before = (await shop.row(reference))!;
    const applied = await shop.apply({ op: 'delete', key: [reference] as unknown as Key, before, after: null });
    const refused = reference === '..' || reference === '.';
    assert.equal(applied.status, refused ? 'rejected' : 'done', reference);
    assert.equal(shop.api.items('licences').length, refused ? 1 : 0, reference);
    const deletes = shop.api.asked.filter((a) => a.method === 'DELETE').map((a) => a.path);
    if (!refused) assert.equal(deletes.at(-1), `/licences/${encodeURIComponent(reference)}`);
    assert.ok(deletes.every((path) => /^\/licences\/[^/]+$/.test(path)));
  }
});

test('two writers on one machine exclude each other, and the one that was taken for dead writes no more', async () => {
  await using shop = await openShop();
  await using other = openApi(shop.api, { writable: true });
  const held = await shop.endpoint.writer!.lock({ run: 'r_first', pair: '*' }, { signal });
  const error = await failure(other.writer!.lock({ run: 'r_second', pair: '*' }, { signal }));
  assert.equal(error.code, 'LOCK_HELD');
  assert.match(error.message, /r_first/);
  await using again = await other.writer!.lock({ run: 'r_first', pair: '*' }, { signal });
  assert.ok(again.token > held.token);
  const change = await shop.update('7', { status: 'paused' });
  const late = shop.endpoint.writer!.apply(
    { run: 'p', step: 1, token: held.token },
    [{ table: shop.table, key: ['id'], changes: [change] }],
    { signal },
  );
  assert.equal((await failure(late)).code, 'FENCED');
  assert.deepEqual(shop.writes(), []);
  await held[Symbol.asyncDispose]();
  assert.equal((await failure(other.writer!.lock({ run: 'r_third', pair: '*' }, { signal }))).code, 'LOCK_HELD');
});

test('nothing can be marked in an API: its state is the guard', async () => {
  await using shop = await openShop();
  assert.equal(await shop.endpoint.writer!.prepare({ signal }), 'state');
  assert.equal(shop.endpoint.writer!.maxBatch, 1);
  assert.equal(await shop.endpoint.writer!.applied({ run: 'p_test', step: 1 }, { signal }), false);
  await using reading = openApi(shop.api);
  assert.equal(reading.writer, undefined);
});

test('items are put into and taken out of the members that the API wants', async () => {
  const [wrap, item] = ['/licence', '/data'];
  await using shop = await openShop({
    change: { wrap: { sent: 'licence', answered: 'data' } },
    resource: {
      read: { path: '/licences/{id}', item },
      create: { path: '/licences', wrap, item },
      update: { path: '/licences/{id}', wrap, item },
    },
  });
  assert.deepEqual(await shop.apply(shop.insert(full)), { status: 'done' });
  assert.deepEqual(await shop.apply(await shop.update('7', { status: 'paused' })), { status: 'done' });
  assert.equal((await shop.row('7'))![6], 'paused');
  assert.equal((await shop.row('900'))![1], 'LIC-00900');
  // Where that is declared wrongly, nothing is written.
  await using wrong = openApi(shop.api, { writable: true });
  const batch = { table: shop.table, key: ['id'], changes: [await shop.update('8', { status: 'paused' })] };
  const writes = shop.writes().length;
  const applied = await wrong.writer!.apply({ run: 'p', step: 1, token: 9_999_999_999_999n }, [batch], { signal });
  assert.equal(applied.status, 'stale');
  assert.equal(shop.writes().length, writes);
});

test('If-Match is sent with a strong ETag only, and not where that is turned off', async () => {
  for (const [etags, resource, sent] of [
    ['strong', {}, true],
    ['weak', {}, false],
    ['none', {}, false],
    ['strong', { if_match: false, idempotency_key: 'X-Once' }, false],
  ] as const) {
    await using shop = await openShop({ change: { etags }, resource });
    assert.deepEqual(await shop.apply(await shop.update('7', { status: 'paused' })), { status: 'done' });
    const { headers } = shop.api.asked.find((a) => a.method === 'PATCH')!;
    assert.equal(headers['if-match'] !== undefined, sent, etags);
    assert.match(String(headers['idempotency_key' in resource ? 'x-once' : 'idempotency-key']), /^[0-9a-f]{32}$/);
  }
});
