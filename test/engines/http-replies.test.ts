import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Key } from '../../src/model/row.ts';
import type { Written } from '../../src/model/writer.ts';
import { failure, full, openShop } from './http-shop.ts';

/** What an API answers to a write, or does not: refusals, failures, lost replies, and changes that show late. */

test('what the API refuses comes in its own words, and a later try is another request', async () => {
  await using shop = await openShop();
  const change = await shop.update('7', { seats: '-1' });
  const applied = await shop.apply(change);
  assert.equal(applied.status, 'rejected');
  assert.equal(
    applied.status === 'rejected' && applied.reason,
    '422 Unprocessable Entity: Refused: seats must be positive',
  );
  await shop.apply(change);
  const keys = shop.api.asked.filter((a) => a.method === 'PATCH').map((a) => a.headers['idempotency-key']);
  assert.equal(new Set(keys).size, 2);
  const taken = await shop.apply(shop.insert({ ...full, reference: 'LIC-00003' }));
  assert.equal(taken.status === 'rejected' && taken.reason, '422 Unprocessable Entity: Refused: reference is taken');
});

test('an API that fails by itself is asked again; one that goes on failing refuses the row, if it is as it was', async () => {
  await using shop = await openShop();
  const change = await shop.update('7', { status: 'paused' });
  let failing = 2;
  shop.api.fault = (a) => (a.method === 'PATCH' && failing-- > 0 ? { status: 500 } : undefined);
  assert.deepEqual(await shop.apply(change), { status: 'done' });
  const keys = shop.api.asked.filter((a) => a.method === 'PATCH').map((a) => a.headers['idempotency-key']);
  assert.equal(keys.length, 3);
  assert.equal(new Set(keys).size, 1);
  shop.api.fault = (a) => (a.method === 'PATCH' ? { status: 500, body: '{"message":"boom"}' } : undefined);
  const refused = await shop.apply(await shop.update('8', { status: 'paused' }));
  assert.equal(
    refused.status === 'rejected' && refused.reason,
    '500 Internal Server Error: boom (the item is as it was)',
  );
  // It failed after it had written: that is found, and not written again.
  const late = await shop.update('9', { status: 'paused' });
  shop.api.fault = (a) => {
    if (a.method !== 'PATCH') return undefined;
    shop.api.edit('licences', (items) =>
      items.map((i) => (JSON.stringify(i['id']) === '9' ? { ...i, status: 'paused' } : i)),
    );
    return { status: 500 };
  };
  const found = await shop.apply(late);
  assert.equal(found.status === 'stale' && found.rows[0]!.found![6], 'paused');
});

test('what JSON cannot say is refused and not sent', async () => {
  await using shop = await openShop();
  const applied = await shop.apply(shop.insert({ ...full, customer: 'half \udc80' }));
  assert.match(
    applied.status === 'rejected' ? applied.reason : '',
    /customer: it holds bytes that are not valid UTF-8/,
  );
  assert.deepEqual(shop.writes(), []);
});

for (const op of ['insert', 'update', 'delete'] as const) {
  test(`a lost reply of an ${op} is settled by looking: written once, and found already done`, async () => {
    await using shop = await openShop();
    const change =
      op === 'insert'
        ? shop.insert(full)
        : op === 'update'
          ? await shop.update('7', { status: 'paused', price: '1' })
          : await shop.remove('7');
    shop.api.fault = (a) => (a.method === 'GET' ? undefined : 'lost reply');
    const error = await failure(shop.apply(change));
    assert.equal(error.code, 'CONNECTION_LOST');
    assert.equal(error.retry, 'now');
    shop.api.fault = undefined;
    const again = await shop.apply(change);
    assert.equal(again.status, 'stale');
    const found = again.status === 'stale' ? again.rows[0]!.found : undefined;
    if (op === 'delete') assert.equal(found, null);
    else for (const i of change.after === null ? [] : change.columns) assert.equal(found![i], change.after![i]);
    assert.equal(shop.writes().length, 1);
  });

  test(`an ${op} that surely did not arrive is done by the next try`, async () => {
    await using shop = await openShop();
    const change =
      op === 'insert'
        ? shop.insert(full)
        : op === 'update'
          ? await shop.update('7', { status: 'paused' })
          : await shop.remove('7');
    for (const fault of ['lost', { status: 502 }, { status: 504 }] as const) {
      shop.api.fault = (a) => (a.method === 'GET' ? undefined : fault);
      assert.equal((await failure(shop.apply(change))).code, 'CONNECTION_LOST');
    }
    let busy = 2;
    shop.api.fault = (a) =>
      a.method !== 'GET' && busy-- > 0 ? { status: 429, headers: { 'retry-after': '1' } } : undefined;
    assert.equal((await shop.apply(change)).status, 'done');
    assert.equal(busy, -1);
  });
}

test('a repeated creation carries the same key, so that an API that knows it makes one item, also without an address', async () => {
  await using shop = await openShop({
    change: { nextKey: 500 },
    resource: { find: '/licences?by_reference={reference}' },
    key: ['reference'],
  });
  const { id: _, ...values } = full;
  const change = { ...shop.insert(values), key: ['LIC-00900'] as unknown as Key };
  let hidden = true;
  shop.api.fault = (a) => (a.method === 'POST' && hidden ? 'lost reply' : undefined);
  shop.api.distort = (body) =>
    hidden ? { ...body, data: body.data.filter((i) => (i as { reference: string }).reference !== 'LIC-00900') } : body;
  assert.equal((await failure(shop.apply(change))).code, 'CONNECTION_LOST');
  shop.api.fault = undefined;
  // It still does not show: the second request is answered with the first one's item.
  hidden = false;
  shop.api.distort = undefined;
  assert.equal((await shop.apply(change)).status, 'stale');
  assert.equal(shop.api.items('licences').filter((i) => i['reference'] === 'LIC-00900').length, 1);
});

test('an item that shows its change a moment later is waited for', async () => {
  await using shop = await openShop();
  const before = shop.api.items('licences').find((i) => JSON.stringify(i['id']) === '7')!;
  const change = await shop.update('7', { status: 'paused' });
  let late = 2;
  shop.api.fault = (a) =>
    a.method === 'GET' && shop.writes().length > 0 && late-- > 0
      ? { status: 200, headers: { etag: '"old"' }, body: JSON.stringify(before) }
      : undefined;
  const seen: Written[] = [];
  assert.equal((await shop.apply(change, { written: (w) => void seen.push(w) })).status, 'done');
  assert.equal(seen[0]!.stored[0]![6], 'paused');
});
