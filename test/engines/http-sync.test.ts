import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { memoryDatabase, memoryEndpoint } from '../../src/engines/memory/endpoint.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { LockstepError } from '../../src/model/errors.ts';
import { compare } from '../../src/work/compare.ts';
import { factsOf } from '../../src/work/recorded.ts';
import { revert } from '../../src/work/revert.ts';
import { applied, type Bench, bench, planned, synced } from '../apply/bench.ts';
import type { Harness, KitTable } from '../conformance/harness.ts';
import { firebirdHarness } from '../conformance/harnesses/firebird.ts';
import { httpHarness } from '../conformance/harnesses/http.ts';
import { memoryHarness } from '../conformance/harnesses/memory.ts';
import { mysqlHarness } from '../conformance/harnesses/mysql.ts';
import { postgresHarness } from '../conformance/harnesses/postgres.ts';
import { sqliteHarness } from '../conformance/harnesses/sqlite.ts';
import { fitted, makeLab } from '../conformance/lab.ts';
import { mixed } from '../conformance/tables.ts';
import { isFirebirdMissing } from '../servers/firebird.ts';
import { isMariadbMissing } from '../servers/mariadb.ts';
import { startVendorApi, type VendorApi, type VendorResource } from '../servers/vendor-api.ts';
import { licences } from '../servers/vendor-licences.ts';
import { openApi, rowsOf, signal, tableOf } from './http-support.ts';

/** An API as source and as target of the whole loop: compare, plan, apply, prove, take back. */

let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());

const engines: readonly Harness[] = [
  memoryHarness,
  sqliteHarness,
  postgresHarness,
  ...(isMariadbMissing ? [] : [mysqlHarness]),
  ...(isFirebirdMissing ? [] : [firebirdHarness]),
];

const damaged = (kit: KitTable): KitTable => ({
  ...kit,
  rows: kit.rows
    .filter((_, i) => i !== 2)
    .map((row, i) =>
      i % 2 === 0
        ? row
        : row.map((cell, j) =>
            kit.columns[j]!.name === 'name' ? `${cell ?? ''}?` : kit.columns[j]!.name === 'flag' ? null : cell,
          ),
    )
    .concat([['77', ...kit.rows[3]!.slice(1)]]),
});

for (const other of engines) {
  for (const [source, target] of [
    [other, httpHarness],
    [httpHarness, other],
  ] as const) {
    test(`${source.name} and ${target.name} agree in every kind of value after a sync, and are as before after its revert`, async () => {
      const kit = fitted(other, mixed);
      await using lab = makeLab(source);
      await using there = makeLab(target);
      const from = await lab.open(await lab.database(kit));
      const to = await there.open(await there.database(damaged(kit)), { writable: true });
      const ask = { source: from, target: to };
      const before = await rowsOf(to, 'mixed');
      const done = await synced(b.store, ask);
      assert.deepEqual(done.sync.planned, { insert: 1, update: 4, delete: 1, withheld: 0 });
      assert.deepEqual(done.sync.applied, { insert: 1, update: 4, delete: 1 });
      assert.equal(done.sync.verified, 6);
      assert.equal(done.sync.verdict, 'agrees');
      assert.equal(done.sync.guarded_by, target === httpHarness ? 'state' : 'marker');
      await revert({
        store: b.store,
        run: done.run,
        target: to,
        facts: factsOf(to, 'target'),
        clock: systemClock,
        random: () => 0,
        signal,
        actor: 'tester',
        correlation: 'test',
      });
      assert.deepEqual(await rowsOf(to, 'mixed'), before);
    });
  }
}

/** The licences of a vendor, and a copy of them in memory from which some are missing here or there. */
const pair = async (change: Partial<VendorResource> = {}) => {
  const api = await startVendorApi({ resources: { licences: licences(120, change) } });
  const vendor = openApi(api, { clock: systemClock, writable: true });
  const table = await tableOf(vendor);
  const database = memoryDatabase([{ table, rows: await rowsOf(vendor) }]);
  const ours = memoryEndpoint(database, { name: 'ours' });
  return {
    api,
    vendor,
    ours,
    database,
    [Symbol.asyncDispose]: async () => {
      await vendor[Symbol.asyncDispose]();
      await api[Symbol.asyncDispose]();
    },
  };
};

const cutOff = (api: VendorApi, at: number): void => {
  api.distort = (body, a) => {
    const from = Number(new URLSearchParams(a.path.split('?')[1]).get('cursor') ?? 0);
    return from + 40 >= at ? { ...body, meta: { ...body.meta, next: null } } : body;
  };
};

const failure = async (work: Promise<unknown>): Promise<LockstepError> => {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  assert.ok(error instanceof LockstepError, `it should have failed with a message, not ${String(error)}`);
  return error;
};

test('a list that ends early never leads to a delete, and never to agreement', async () => {
  await using p = await pair();
  cutOff(p.api, 80);
  const state = p.database.state;
  const error = await failure(synced(b.store, { source: p.vendor, target: p.ours }));
  assert.equal(error.code, 'INCOMPLETE');
  assert.match(error.message, /80 of 120 announced items were read/);
  assert.equal(p.database.state.rows, state.rows, 'something was written');
  // Both sides lack the same rows: an incomplete list that looks just like the other side.
  p.database.edit('licences', (rows) => rows.filter(([id]) => Number(id) <= 80));
  const same = compare({
    source: p.vendor,
    target: p.ours,
    settleMs: 0,
    clock: systemClock,
    seed: 1n,
    signal,
    sink: { wanted: () => 0, write: async () => {} },
  });
  assert.equal((await failure(same)).code, 'INCOMPLETE');
  const away = await failure(synced(b.store, { source: p.ours, target: p.vendor }));
  assert.equal(away.code, 'INCOMPLETE');
  assert.equal(p.api.items('licences').length, 120);
});

test('a list that hides an item which its own address shows proves nothing: no delete, and no agreement', async () => {
  await using p = await pair();
  p.api.distort = (body) => {
    const shown = body.data.filter((i) => JSON.stringify((i as { id: unknown }).id) !== '50');
    return { data: shown, meta: { ...body.meta, total: 119 } };
  };
  const hidden = /does not show an item \(id\) that is shown at its own address/;
  // The other side has the very item, or another: it is neither the same nor to be deleted.
  for (const status of ['canceled', 'odd']) {
    p.database.edit('licences', (rows) =>
      rows.map((row) => (row[0] === '50' && status === 'odd' ? row.map((c, i) => (i === 6 ? status : c)) : row)),
    );
    const error = await failure(synced(b.store, { source: p.vendor, target: p.ours }));
    assert.equal(error.code, 'INCOMPLETE');
    assert.match(error.message, hidden);
  }
  assert.equal(p.database.state.rows.get('licences')!.length, 120);
});

test('an item that is in the list and not at its own address is what the list says', async () => {
  await using p = await pair();
  p.api.fault = (a) => (a.path === '/licences/50' && a.method === 'GET' ? { status: 404 } : undefined);
  p.database.edit('licences', (rows) => rows.filter((row) => row[0] !== '50'));
  const { plan } = await planned(b.store, { source: p.vendor, target: p.ours });
  assert.deepEqual(plan.header.counts, { insert: 1, update: 0, delete: 0 });
});

test('rows that are added and deleted in the API while it is compared are no differences', async () => {
  await using p = await pair();
  let n = 0;
  p.api.fault = (a) => {
    if (a.path.includes('cursor=80') && n++ === 0)
      p.api.edit('licences', (items) => [...items.slice(0, 10), ...items.slice(11)]);
    return undefined;
  };
  p.database.edit('licences', (rows) => rows.filter(([id]) => id !== '11'));
  const done = await synced(b.store, { source: p.vendor, target: p.ours });
  assert.equal(done.sync.verdict, 'agrees');
  assert.ok(n > 0);
});

test('confirming and verifying read past every cache: nothing conditional is asked', async () => {
  await using p = await pair();
  p.database.edit('licences', (rows) =>
    rows.map((row) => (row[0] === '7' ? row.map((c, i) => (i === 6 ? 'odd' : c)) : row)),
  );
  const done = await synced(b.store, { source: p.vendor, target: p.ours });
  assert.equal(done.sync.applied.update, 1);
  const items = p.api.asked.filter((a) => a.path === '/licences/7');
  assert.ok(items.length >= 2, 'confirmed and verified at the address of the item');
  for (const a of p.api.asked) {
    assert.equal(a.headers['cache-control'], 'no-cache');
    assert.equal(a.headers['if-none-match'], undefined);
  }
  assert.ok(
    p.api.asked.filter((a) => a.path.startsWith('/licences?') || a.path === '/licences').length <= 10,
    'the list was read more than needed',
  );
});

test('all or nothing is refused for an API before anything is written', async () => {
  await using p = await pair();
  p.database.edit('licences', (rows) => rows.filter(([id]) => id !== '7' && id !== '8'));
  const error = await failure(synced(b.store, { source: p.ours, target: p.vendor, settings: { atomic: 'run' } }));
  assert.equal(error.code, 'CONFIG');
  assert.match(error.message, /vendor writes one row at a time, so a run cannot be all or nothing/);
  assert.equal(p.api.items('licences').length, 120);
  const { plan } = await planned(b.store, { source: p.ours, target: p.vendor });
  const done = await applied(b.store, plan.header.id, { target: p.vendor });
  assert.equal(done.result.numbers.applied.delete, 2);
});

test('what the API refuses is told row by row, and the rest goes on; lost replies are settled', async () => {
  await using p = await pair();
  p.database.edit('licences', (rows) =>
    rows.map((row) =>
      ['7', '8', '9'].includes(row[0]!) ? row.map((c, i) => (i === 7 ? (row[0] === '8' ? '-1' : '33') : c)) : row,
    ),
  );
  let n = 0;
  p.api.fault = (a) => (a.method === 'PATCH' && a.path === '/licences/9' && n++ === 0 ? 'lost reply' : undefined);
  const done = await synced(b.store, { source: p.ours, target: p.vendor });
  assert.deepEqual(done.sync.applied, { insert: 0, update: 1, delete: 0 });
  assert.equal(done.sync.already, 1, 'found done when the reply was lost');
  assert.equal(done.sync.rejected, 1);
  assert.equal(done.sync.verdict, 'differs');
  assert.equal(done.exit, 2);
  assert.equal(n, 1, 'it was written twice');
});
