import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { recordsService } from './service.ts';

const folder = mkdtempSync(join(tmpdir(), 'lockstep-records-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'shop.db');
const db = new DatabaseSync(file);
db.exec(`
  create table orders (id integer primary key, ref text not null unique, amount numeric(10,2) not null check (amount > 0), paid boolean, at timestamp);
  create view totals as select id, amount from orders;
  insert into orders values (1, 'A', 19.99, 1, '2026-01-01T12:00:00'), (2, 'B', 5, 'false', '2026-01-02 12:00:00.5')`);
db.close();

const { token } = await recordsService(
  `version: 1\nendpoints: { shop: { url: "sqlite:${file}", writable: true } }\nrecords:\n  orders: { endpoint: shop, table: orders }\n  totals: { endpoint: shop, table: totals, key: id }\n`,
  {},
);
const writer = await token('writer', { scopes: ['records:read', 'records:write'] });

test('a file of SQLite is served, checked and guarded as any other database', async () => {
  const list = await writer('GET', '/records/orders?sort=-at&at=gte.2026-01-01T12:00:00');
  assert.equal(list.status, 200, list.text);
  assert.deepEqual(
    list.json.data.map((o: { id: string; at: string; paid: boolean }) => [o.id, o.at, o.paid]),
    [
      ['2', '2026-01-02T12:00:00.5', false],
      ['1', '2026-01-01T12:00:00', true],
    ],
  );
  const post = (body: unknown, key: string) =>
    writer('POST', '/records/orders', { body, headers: { 'idempotency-key': key } });
  const made = await post({ ref: 'C', amount: '7.50', paid: true, at: '2026-01-03T00:00:00' }, 'c');
  assert.deepEqual([made.status, made.json.id, made.json.amount], [201, '3', '7.50'], made.text);
  assert.equal((await post({ ref: 'C', amount: '7.50', paid: true, at: '2026-01-03T00:00:00' }, 'c')).text, made.text);
  assert.equal((await post({ ref: 'C', amount: 1 }, 'd')).status, 409);
  assert.equal((await post({ ref: 'D', amount: -1 }, 'e')).status, 422);
  assert.equal((await post({ ref: 'D', amount: 'much' }, 'f')).status, 422);
  // what the column is declared for, though SQLite would keep it
  const fine = await post({ ref: 'D', amount: '3.333' }, 'g');
  assert.deepEqual([fine.status, fine.json.errors[0].detail], [422, 'does not fit numeric(10,2)']);
  const place = made.headers.get('location')!;
  const etag = made.headers.get('etag')!;
  const many = { body: { amount: 123456789 }, headers: { 'if-match': etag } };
  assert.equal((await writer('PATCH', place, many)).status, 422);
  const changed = await writer('PATCH', place, { body: { paid: false }, headers: { 'if-match': etag } });
  assert.deepEqual([changed.status, changed.json.paid], [200, false], changed.text);
  assert.equal((await writer('PATCH', place, { body: { paid: true }, headers: { 'if-match': etag } })).status, 412);
  assert.equal((await writer('DELETE', place, { headers: { 'if-match': changed.headers.get('etag')! } })).status, 204);
  assert.equal((await writer('GET', place)).status, 404);
});

test('who writes to a view is told that it is one, not to allow it', async () => {
  assert.equal((await writer('GET', '/records/totals/1')).json.amount, '19.99');
  const headers = { 'idempotency-key': 'v' };
  const { status, json } = await writer('POST', '/records/totals', { body: { id: 9, amount: 1 }, headers });
  assert.deepEqual([status, json.hint], [405, 'totals is a view, and a view can only be read.']);
});
