import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMisfit } from '../../src/model/canon/misfit.ts';
import { LockstepError } from '../../src/model/errors.ts';
import type { Reader } from '../../src/model/reader.ts';
import type { Key, Row, Text } from '../../src/model/row.ts';
import type { SelectedColumn, Selection } from '../../src/model/selected.ts';
import { nativeSelection } from '../../src/model/selection.ts';
import { number, startVendorApi, type VendorItem, type VendorResource } from '../servers/vendor-api.ts';
import { licence, licences, licencesDeclared } from '../servers/vendor-licences.ts';
import { openApi, rowsOf, signal, tableOf } from './http-support.ts';

/** What a reader shows of an API beyond what the kit asks of every engine. */

const open = async (o: { change?: Partial<VendorResource>; resource?: object } = {}) => {
  const api = await startVendorApi({ resources: { licences: licences(250, o.change) } });
  const endpoint = openApi(api, { http: { resources: { licences: { ...licencesDeclared, ...o.resource } } } });
  const reader = await endpoint.snapshot({ signal });
  return {
    api,
    endpoint,
    reader,
    selection: nativeSelection(await tableOf(endpoint), ['id']),
    [Symbol.asyncDispose]: async () => {
      await reader[Symbol.asyncDispose]();
      await endpoint[Symbol.asyncDispose]();
      await api[Symbol.asyncDispose]();
    },
  };
};

const keysOf = (...ids: readonly (number | string)[]): Key[] => ids.map((id) => [String(id)] as unknown as Key);
const byKeys = async (reader: Reader, selection: Selection, keys: readonly Key[]): Promise<Row[]> =>
  (await Array.fromAsync(reader.scan(selection, { kind: 'keys', keys }, { signal }))).flat();

test('a list is read when it is first asked for, once, and shown as it was then', async () => {
  await using x = await open();
  assert.equal(x.api.asked.length, 0);
  assert.equal(await x.reader.count(x.selection, { signal }), 250);
  const asked = x.api.asked.length;
  x.api.edit('licences', (items) => items.slice(1));
  assert.equal((await rowsOf(x.endpoint, 'licences', x.reader)).length, 250);
  assert.equal((await byKeys(x.reader, x.selection, keysOf(1, 2))).length, 2);
  assert.equal(x.api.asked.length, asked);
  assert.equal((await rowsOf(x.endpoint)).length, 249);
});

test('a few keys are asked for at the addresses of their items, each time anew, and absent ones are absent', async () => {
  await using x = await open();
  const found = await byKeys(x.reader, x.selection, keysOf(200, 3, 999, 3));
  assert.deepEqual(
    found.map((r) => r[0]),
    ['3', '200'],
  );
  assert.deepEqual(x.api.asked.map((a) => a.path).sort(), ['/licences/200', '/licences/3', '/licences/999']);
  x.api.edit('licences', (items) => items.filter((i) => JSON.stringify(i['id']) !== '3'));
  assert.deepEqual((await byKeys(x.reader, x.selection, keysOf(3))).length, 0);
});

test('many keys, and keys that are no part of an address, are looked for in the list', async () => {
  await using x = await open();
  const many = Array.from({ length: 150 }, (_, i) => i * 2);
  assert.equal((await byKeys(x.reader, x.selection, keysOf(...many))).length, 125);
  assert.ok(x.api.asked.every((a) => a.path.startsWith('/licences') && !/licences\/\d/.test(a.path)));
});

test('an item at an address that has another key is not the one that was asked for', async () => {
  await using x = await open();
  x.api.fault = (a) => (a.path === '/licences/3' ? { status: 200, body: JSON.stringify(licence(4)) } : undefined);
  assert.deepEqual(await byKeys(x.reader, x.selection, keysOf(3)), []);
});

test('a key that is not the item’s own is found by its own list, whose pages are all read', async () => {
  await using x = await open({ resource: { find: '/licences?by_reference={reference}' } });
  const selection = nativeSelection(await tableOf(x.endpoint), ['reference']);
  const found = await byKeys(x.reader, selection, [['LIC-00003'], ['LIC-99999']] as unknown as Key[]);
  assert.deepEqual(
    found.map((r) => r[0]),
    ['LIC-00003'],
  );
  assert.equal(x.api.asked.length, 2);
  // An API that does not know the parameter shows everything: the item is found all the same.
  await using y = await open({ resource: { find: '/licences?unknown={reference}' } });
  const other = nativeSelection(await tableOf(y.endpoint), ['reference']);
  assert.deepEqual(
    (await byKeys(y.reader, other, [['LIC-00203']] as unknown as Key[])).map((r) => r[0]),
    ['LIC-00203'],
  );
});

test('two items with one key of a pair are both shown', async () => {
  await using x = await open({ resource: { find: '/licences?by_tier={tier}' } });
  x.api.edit('licences', (items) => items.slice(0, 6));
  const selection = nativeSelection(await tableOf(x.endpoint), ['tier']);
  assert.equal((await byKeys(x.reader, selection, [['pro']] as unknown as Key[])).length, 2);
});

test('what a column cannot read is kept whole, and equal only to itself', async () => {
  const odd: VendorItem[] = [
    { ...licence(1), seats: 'many', price: true, updated_at: 'yesterday', tier: { a: number('1.0') } },
    { ...licence(2), seats: number('1.5'), price: '12.50', tier: number('7'), customer: 'flat' },
    { ...licence(3), reference: 'half \ud800', seats: number('9223372036854775808') },
  ];
  await using x = await open({ change: { items: odd } });
  const rows = await rowsOf(x.endpoint, 'licences', x.reader);
  const at = (row: number, name: string): string | null =>
    rows[row]![x.selection.columns.findIndex((c) => c.name === name)]!;
  for (const [row, name] of [
    [0, 'seats'],
    [0, 'price'],
    [0, 'updated_at'],
    [0, 'tier'],
    [1, 'seats'],
    [2, 'reference'],
    [2, 'seats'],
  ] as const)
    assert.ok(isMisfit(at(row, name) as Text), `${row} ${name}: ${at(row, name)}`);
  assert.equal(at(1, 'price'), '12.5');
  assert.equal(at(1, 'tier'), '7');
  assert.equal(at(1, 'customer'), null, 'a member of what is no object');
});

test('moments are read from seconds and milliseconds where that is declared, to the last digit', async () => {
  const items = [
    { id: number(1), s: number('1700000000.123456'), m: number('1700000000123') },
    { id: number(2), s: number('-62135596800'), m: number('253402300799999') },
    { id: number(3), s: number('1e18'), m: '1700000000123' },
  ];
  await using x = await open({
    change: { items },
    resource: { since: undefined, columns: { id: 'int', s: 'epoch_seconds', m: 'epoch_millis' } },
  });
  assert.deepEqual(await rowsOf(x.endpoint, 'licences', x.reader), [
    ['1', '2023-11-14 22:13:20.123456', '2023-11-14 22:13:20.123'],
    ['2', '0001-01-01 00:00:00', '9999-12-31 23:59:59.999'],
    ['3', '\udc00n1e18', '\udc00t1700000000123'],
  ]);
});

test('conditions are judged on what was read, in SQL of SQLite, and never reach the API', async () => {
  await using x = await open();
  const filtered = { ...x.selection, filter: "seats between 10 and 12 and tier <> 'free' and price > 100.5" };
  const rows = (await Array.fromAsync(x.reader.scan(filtered, { kind: 'all' }, { signal }))).flat();
  const expected = Array.from({ length: 250 }, (_, i) => licence(i + 1)).filter((l) => {
    const seats = Number((l['seats'] as { rawJSON: string } | null)?.rawJSON ?? 0);
    return (
      seats >= 10 && seats <= 12 && l['tier'] !== 'free' && Number((l['price'] as { rawJSON: string }).rawJSON) > 100.5
    );
  });
  assert.ok(expected.length > 3);
  assert.deepEqual(
    rows.map((r) => r[0]),
    expected.map((l) => JSON.stringify(l['id'])),
  );
  assert.ok(x.api.asked.every((a) => !a.path.includes('seats')));
  const wrong = x.reader.count({ ...x.selection, filter: 'no_such = 1' }, { signal });
  await assert.rejects(wrong, (e: LockstepError) => e.code === 'FILTER' && /no such column: no_such/.test(e.message));
  const writing = x.reader.count({ ...x.selection, filter: '1); delete from item; select (1' }, { signal });
  await assert.rejects(writing, (e: LockstepError) => e instanceof LockstepError);
  assert.equal(await x.reader.count(x.selection, { signal }), 250);
});

test('what has changed is asked for by the declared parameter, and the whole list where there is none', async () => {
  await using x = await open();
  const at = x.selection.columns.find((c) => c.name === 'updated_at')!;
  const column: SelectedColumn = { ...at };
  const key: Selection = { ...x.selection, columns: x.selection.columns.slice(0, 1) };
  const from = '2024-08-30 00:00:00' as Text;
  const changed = (await Array.fromAsync(x.reader.changes!.columns!.since(key, column, from, { signal }))).flat();
  const expected = Array.from({ length: 250 }, (_, i) => i + 1).filter(
    (n) => String(licence(n)['updated_at']) >= '2024-08-30',
  );
  assert.ok(expected.length > 2 && expected.length < 20);
  assert.deepEqual(changed.map((r) => r[0]).sort(), expected.map(String).sort());
  assert.deepEqual(
    x.api.asked.map((a) => new URLSearchParams(a.path.split('?')[1]).get('updated_at')),
    ['2024-08-30T00:00:00Z'],
  );
  const latest = await x.reader.changes!.columns!.latest({ name: 'licences' }, column, { signal, from });
  assert.equal(latest.value, '2024-09-07 00:00:00');
  assert.match(latest.now!, /^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d/);
  const other: SelectedColumn = { ...x.selection.columns.find((c) => c.name === 'expires_at')! };
  const all = (await Array.fromAsync(x.reader.changes!.columns!.since(key, other, from, { signal }))).flat();
  assert.deepEqual(
    all.map((r) => r[0]).sort(),
    Array.from({ length: 250 }, (_, i) => i + 1)
      .filter((n) => String(licence(n)['expires_at']) >= '2024-08-30')
      .map(String)
      .sort(),
  );
});

test('the doctor says what is wrong with an API in plain words', async () => {
  await using x = await open({
    change: { paging: 'offset', etags: 'none' },
    resource: { list: { path: '/licences', items: '/data', page: { by: 'offset' } }, delete: undefined },
  });
  const table = await tableOf(x.endpoint);
  const codes = async (): Promise<string[]> =>
    (await x.endpoint.examine!({ signal, tables: [table], writable: true })).map((f) => `${f.level} ${f.code}`);
  assert.deepEqual(await codes(), ['ok list', 'warning pages_shift', 'advice no_route', 'ok item', 'advice etag']);
  x.api.fault = (a) =>
    /licences\/1$/.test(a.path)
      ? { status: 200, body: JSON.stringify({ ...licence(1), seats: number(999) }) }
      : undefined;
  assert.ok((await codes()).includes('error item_differs'));
  x.api.fault = (a) => (/licences\/1$/.test(a.path) ? { status: 404 } : undefined);
  assert.ok((await codes()).includes('error item_missing'));
  x.api.fault = () => ({ status: 403, body: '{"message":"not yours"}' });
  await using fresh = openApi(x.api);
  const found = await fresh.examine!({ signal, tables: [await tableOf(fresh)], writable: false });
  assert.match(
    found.map((f) => `${f.level} ${f.message}`).join('\n'),
    /error vendor: GET \/v2\/licences answered 403 Forbidden: not yours/,
  );
});

test('the API is told for which run it is asked', async () => {
  await using api = await startVendorApi({ resources: { licences: licences(3) } });
  await using endpoint = openApi(api, { correlation: 'c_06dq2k8v4m7x3w' });
  await rowsOf(endpoint);
  assert.ok(api.asked.length > 0);
  for (const { headers } of api.asked) assert.equal(headers['x-request-id'], 'c_06dq2k8v4m7x3w');
});
