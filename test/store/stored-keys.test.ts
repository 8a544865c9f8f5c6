import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LockstepError } from '../../src/model/errors.ts';
import type { Text } from '../../src/model/row.ts';
import type { ServiceStore } from '../../src/model/service-store.ts';
import { urlConnector } from '../../src/store/postgres/connect.ts';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { lockedOf, lockOf, newDataKey, storedKeyOf, unwrapKey, wrapKey } from '../../src/store/stored-values.ts';
import { storeDatabase } from '../servers/postgres.ts';
import { testAuditKeys } from './fresh-store.ts';
import { insert, item, newPlan, o } from './plain.ts';

const old = 'the first secret of a test';
const now = 'the second secret of a test';

const opened = (url: string, current?: string, ...previous: string[]): Promise<ServiceStore> =>
  openPostgresStore(urlConnector(url), {
    ...o,
    auditKeys: testAuditKeys,
    storedKeys: () => ({
      current: current === undefined ? undefined : storedKeyOf(current),
      previous: previous.map(storedKeyOf),
    }),
  });

const is =
  (code: string) =>
  (error: unknown): boolean =>
    (error as LockstepError).code === code;

const refuse = (store: ServiceStore, key: string, value: string): Promise<void> =>
  store.quarantine.record(
    { sync: 's', pair: 'p', columns: ['id'], run: undefined, at: 1 },
    [{ key: [key as Text], reasons: [`${value} is no colour`], row: { colour: value } as never }],
    o,
  );

const refused = async (store: ServiceStore): Promise<readonly unknown[]> => {
  const found: unknown[] = [];
  for await (const batch of store.quarantine.list({ sync: 's' }, o)) found.push(...batch.map((r) => [r.key[0], r.row]));
  return found;
};

test('a key is exchanged without losing a value, and without the right one nothing is read or written', async () => {
  await using database = await storeDatabase();
  {
    await using store = await opened(database.url, old);
    assert.deepEqual(await store.storedKeys.list(o), []);
    await refuse(store, '1', 'before');
    assert.equal((await store.storedKeys.list(o)).length, 1);
  }
  {
    await using store = await opened(database.url);
    await assert.rejects(refused(store), is('STORED_KEY'));
    await assert.rejects(refuse(store, '2', 'in clear'), is('STORED_KEY'));
    await assert.rejects(store.storedKeys.rekey(o), is('STORED_KEY'));
  }
  {
    await using store = await opened(database.url, now);
    await assert.rejects(refused(store), is('STORED_KEY'));
    await assert.rejects(refuse(store, '2', 'under another key'), is('STORED_KEY'));
    await assert.rejects(store.storedKeys.rekey(o), is('STORED_KEY'));
    assert.deepEqual(
      (await store.storedKeys.list(o)).map((k) => [k.wrappedBy, k.known, k.current]),
      [[storedKeyOf(old).id, false, true]],
    );
  }
  await using stays = await opened(database.url, now, old);
  assert.deepEqual(await refused(stays), [['1', { colour: 'before' }]]);
  {
    await using store = await opened(database.url, now, old);
    await refuse(store, '2', 'between');
    assert.deepEqual(
      (await store.storedKeys.rekey(o)).map((k) => [k.wrappedBy, k.known, k.current]),
      [
        [storedKeyOf(now).id, true, false],
        [storedKeyOf(now).id, true, true],
      ],
    );
  }
  {
    await using store = await opened(database.url, now);
    await refuse(store, '3', 'after');
    const all = ['before', 'between', 'after'].map((colour, i) => [String(i + 1), { colour }]);
    assert.deepEqual(await refused(store), all);
    assert.deepEqual(await refused(stays), all, 'a process from before learns of the new key');
  }
  await using late = await opened(database.url, old);
  await assert.rejects(refused(late), is('STORED_KEY'));
});

test('a value that is moved to another row, or changed, is told and never taken', async () => {
  await using database = await storeDatabase();
  await using store = await opened(database.url, old);
  await refuse(store, '1', 'red');
  await refuse(store, '2', 'blue');
  const table = 'lockstep_control.quarantine';
  const images = (await database.query(`select key, image from ${table} order by key`)).rows as { image: string }[];
  await database.query(
    `update ${table} set image = (select image from ${table} where key = '["2"]') where key = '["1"]'`,
  );
  await assert.rejects(refused(store), is('STORED_VALUE'));
  await database.query(`update ${table} set image = reasons where key = '["1"]'`);
  await assert.rejects(refused(store), is('STORED_VALUE'));
  const turned = images[0]!.image.replace(/.(?=.{9}$)/, (c) => (c === 'A' ? 'B' : 'A'));
  await database.query(`update ${table} set image = '${turned}' where key = '["1"]'`);
  await assert.rejects(refused(store), is('STORED_VALUE'));
  await database.query(`update ${table} set image = '${images[0]!.image}' where key = '["1"]'`);
  assert.deepEqual(await refused(store), [
    ['1', { colour: 'red' }],
    ['2', { colour: 'blue' }],
  ]);
});

test('what one person chose is not taken for what another did', async () => {
  await using database = await storeDatabase();
  await using store = await opened(database.url, old);
  const found = await store.conflicts.record(
    ['1', '2'].map((key) => ({
      sync: 's',
      pair: 'p',
      run: 'r',
      key: [key as Text],
      type: 'update_update' as const,
      columns: [],
      keyWidth: 1,
      base: null,
      source: [key as Text],
      target: [key as Text],
      state: 'pending' as const,
      reason: 'both',
    })),
    1,
    o,
  );
  const how = { by: 'ann', at: 2, why: 'Bob told the colour blue' };
  await store.conflicts.decide(found[0]!.id, { take: 'source', cells: { colour: 'blue' }, ...how }, o);
  const [second] = await store.conflicts.decideEach([found[1]!], { take: 'target', ...how }, o);
  assert.deepEqual(second!.resolution, { take: 'target', ...how });
  const first = await store.conflicts.get(found[0]!.id, o);
  assert.deepEqual(first!.resolution, { take: 'source', cells: { colour: 'blue' }, ...how });
  const { rows } = await database.query('select c::text as text from lockstep_control.conflict c');
  assert.ok(rows.length === 2 && rows.every(({ text }) => !/blue|Bob/.test(text)));
  await database.query(
    `update lockstep_control.conflict set resolution = (select resolution from lockstep_control.conflict where id = $1)
     where id = $2`,
    [found[0]!.id, found[1]!.id],
  );
  await assert.rejects(store.conflicts.get(found[1]!.id, o), is('STORED_VALUE'));
});

test('what does not fit is told in a plan without its value, where values are encrypted', async () => {
  await using database = await storeDatabase();
  const summary = { unfit_examples: [{ reason: 'iban: DE02 does not fit character varying(3)' }] };
  const unquoted = { unfit_examples: [{ reason: 'iban: its value does not fit character varying(3)' }] };
  for (const [key, told] of [
    [undefined, summary],
    [now, unquoted],
  ] as const) {
    await using store = await opened(database.url, key);
    await using writer = await store.plans.create(newPlan(), o);
    assert.deepEqual((await writer.seal({ ...o, summary, unquoted })).header.summary, told);
  }
  const { rows } = await database.query(`select from lockstep_control.plan where header like '%DE02%'`);
  assert.equal(rows.length, 1);
});

test('the file of a plan is read where its key is known, and nowhere else', async () => {
  await using here = await storeDatabase();
  await using there = await storeDatabase();
  await using store = await opened(here.url, old);
  const begun = newPlan();
  const { id } = begun;
  await using writer = await store.plans.create(begun, o);
  await writer.add(
    Array.from({ length: 1200 }, (_, i) => item(insert(String(i), `value ${i}`))),
    o,
  );
  const plan = await writer.seal(o);
  const bytes: Uint8Array[] = [];
  for await (const part of store.plans.export(id, o)) bytes.push(part);
  const items = async (of: ServiceStore): Promise<string> => {
    let all = '';
    for await (const batch of of.plans.items(id, o))
      all += JSON.stringify(batch.map(({ seq, change: { op, key, before, after } }) => [seq, op, key, before, after]));
    return all;
  };
  {
    await using other = await opened(there.url, now);
    await assert.rejects(other.plans.import(bytes, o), is('STORED_KEY'));
    await using none = await opened(there.url);
    await assert.rejects(none.plans.import(bytes, o), is('STORED_KEY'));
  }
  await using other = await opened(there.url, now, old);
  assert.equal((await other.plans.import(bytes, o)).hash, plan.hash);
  assert.equal(await items(other), await items(store));
  const text = Buffer.concat(bytes).toString('utf8');
  const lines = text.split('\n');
  assert.ok(lines.length > 4, 'there are several locked lines');
  const exchanged = [lines[0], lines[2], lines[1], ...lines.slice(3)].join('\n');
  await assert.rejects(other.plans.import([Buffer.from(exchanged)], o), is('STORED_VALUE'));
  const cut = [lines[0], ...lines.slice(2)].join('\n');
  await assert.rejects(other.plans.import([Buffer.from(cut)], o), is('STORED_VALUE'));
});

test('what is locked says nothing, and opens to the same bytes', () => {
  const key = newDataKey();
  const lock = lockOf(key);
  for (const plain of ['', 'a plain value', '{"x":"\\udc00tabc"}', 'é'.repeat(1000)]) {
    const text = lock.text(plain, 'here');
    assert.ok(plain === '' || !text.includes(plain));
    assert.notEqual(text, lock.text(plain, 'here'), 'equal values are not told from their cipher text');
    assert.equal(lockedOf(text)?.open(key, 'here'), plain);
    assert.equal(lockedOf(text)?.open(key, undefined), plain);
    assert.throws(() => lockedOf(text)?.open(key, 'there'), is('STORED_VALUE'));
    assert.throws(() => lockedOf(text)?.open({ ...newDataKey(), id: key.id }, 'here'), is('STORED_VALUE'));
  }
  assert.equal(lock.text(null, 'here'), null);
  for (const plain of ['locked:1:', 'locked:1:AAAA', '{}', Buffer.from('locked'), 7, null])
    assert.equal(lockedOf(plain), undefined);
  const by = storedKeyOf(old);
  const wrapped = wrapKey(by, key);
  assert.deepEqual(unwrapKey(by, key.id, wrapped), key);
  assert.throws(() => unwrapKey(by, newDataKey().id, wrapped), is('STORED_VALUE'));
  assert.throws(() => storedKeyOf('short'), is('CONFIG'));
});
