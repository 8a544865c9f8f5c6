import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { parseConfig } from '../../src/engines/postgres/config.ts';
import { connectPostgres } from '../../src/engines/postgres/endpoint.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { Text } from '../../src/model/row.ts';
import type { Table } from '../../src/model/schema.ts';
import type { Selection } from '../../src/model/selected.ts';
import { nativeSelection } from '../../src/model/selection.ts';
import { urlConnector } from '../../src/store/postgres/connect.ts';
import { startPgbouncer } from '../servers/pgbouncer.ts';
import { type TestDatabase, testDatabase } from '../servers/postgres.ts';
import { o } from './support.ts';

let db: TestDatabase;
let bouncer: Awaited<ReturnType<typeof startPgbouncer>>;
const connect = (
  o2: { readonly writable: boolean; readonly user?: string } = { writable: true },
): Promise<Endpoint> => {
  const url = new URL(bouncer.url(db.url));
  if (o2.user !== undefined) url.username = o2.user;
  return connectPostgres(parseConfig(url.href), { name: 'crm', writable: o2.writable, ...o });
};
const inspected = async (endpoint: Endpoint): Promise<{ table: Table; selection: Selection }> => {
  const table = (await endpoint.inspect(o)).tables.find((t) => t.name === 't')!;
  return { table, selection: nativeSelection(table, ['id']) };
};

before(async () => {
  db = await testDatabase();
  await db.query(`create table t (id int primary key, v text);
    insert into t select i, 'x' from generate_series(1, 5000) i`);
  bouncer = await startPgbouncer(db.url);
});
after(async () => {
  await bouncer?.[Symbol.asyncDispose]();
  await db?.[Symbol.asyncDispose]();
});

test('a snapshot stays one while others write, also when several sessions share it and one leaves early', async () => {
  await using endpoint = await connect({ writable: false });
  const { selection } = await inspected(endpoint);
  await using reader = await endpoint.snapshot(o);
  assert.equal(await reader.count(selection, o), 5000);
  await db.query('delete from t where id > 4000');
  await using beside = await reader.share!(o);
  for await (const batch of beside.scan(selection, { kind: 'all' }, o)) {
    assert.ok(batch.length > 0);
    break;
  }
  assert.equal(await beside.count(selection, o), 5000);
  assert.equal(await reader.count(selection, o), 5000);
  assert.equal(
    await reader.hashing!.digest(selection, undefined, { seed: 1n, form: 'hex' }, o).then((d) => d[0]!.rows),
    5000,
  );
});

test('a statement that is stopped ends in the server, and the pooler lives', async () => {
  await using endpoint = await connect({ writable: false });
  const { selection } = await inspected(endpoint);
  const stop = new AbortController();
  await using reader = await endpoint.snapshot(o);
  const counting = reader.count({ ...selection, filter: '(select true from pg_sleep(600))' }, { signal: stop.signal });
  const running = `select count(*)::int as n from pg_stat_activity
    where state = 'active' and datname = current_database() and query like '%pg_sleep(600)%' and pid <> pg_backend_pid()`;
  const until = async (n: number): Promise<void> => {
    while ((await db.query(running)).rows[0].n !== n) await new Promise((resolve) => setImmediate(resolve));
  };
  await until(1);
  stop.abort();
  await assert.rejects(counting, { code: 'ABORTED' });
  // the server answers a moment before it shows the session as idle
  await until(0);
  assert.ok((await bouncer.sessions()) > 0);
});

test('writing is guarded, exactly once and locked', async () => {
  await using endpoint = await connect();
  await using other = await connect();
  const { table } = await inspected(endpoint);
  const writer = endpoint.writer!;
  assert.equal(await writer.prepare(o), 'marker');
  await using lock = await writer.lock({ run: 'r_1', pair: 't' }, o);
  await assert.rejects(other.writer!.lock({ run: 'r_2', pair: 't' }, o), { code: 'LOCK_HELD' });
  const mark = { run: 'r_1', step: 1, token: lock.token };
  const cells = (...texts: string[]) => texts as Text[];
  const step = [
    {
      table,
      key: ['id'],
      changes: [
        { op: 'update' as const, key: cells('1'), before: cells('1', 'x'), after: cells('1', 'y'), columns: [1] },
      ],
    },
  ];
  assert.equal((await writer.apply(mark, step as never, o)).status, 'done');
  assert.equal((await writer.apply(mark, step as never, o)).status, 'already');
  assert.equal((await writer.apply({ ...mark, step: 2 }, step as never, o)).status, 'stale');
  assert.equal((await db.query('select v from t where id = 1')).rows[0].v, 'y');
});

test('the doctor tells of it', async () => {
  await using endpoint = await connect();
  const { table } = await inspected(endpoint);
  const findings = await endpoint.examine!({ ...o, tables: [table], writable: true });
  assert.ok(findings.some((f) => f.code === 'POOLER' && /PgBouncer/.test(f.message)));
  await using direct = await connectPostgres(parseConfig(db.url), { name: 'crm', writable: true, ...o });
  assert.ok(!(await direct.examine!({ ...o, tables: [table], writable: true })).some((f) => f.code === 'POOLER'));
});

test('without a table of ours there is no lock that holds, and it says so', async () => {
  await db.query(`drop schema if exists lockstep cascade; create role poor_${db.name} login superuser password 'x'`);
  try {
    await db.query(
      `alter role poor_${db.name} nosuperuser; grant select, insert, update, delete on t to poor_${db.name}`,
    );
    await using poor = await startPgbouncer(db.url, { user: `poor_${db.name}`, password: 'x' });
    await using endpoint = await connectPostgres(parseConfig(poor.url(db.url)), { name: 'crm', writable: true, ...o });
    assert.equal(await endpoint.writer!.prepare(o), 'state');
    await assert.rejects(endpoint.writer!.lock({ run: 'r_1', pair: 't' }, o), {
      code: 'PRIVILEGE',
      message: /cannot be kept through a connection pooler/,
    });
  } finally {
    await db.query(`drop owned by poor_${db.name}; drop role poor_${db.name}`);
  }
});

test('the control store is not taken through it', async () => {
  await assert.rejects(urlConnector(bouncer.url(db.url)).connect(o), {
    code: 'STORE',
    message: /behind a connection pooler/,
  });
});

test('rows are read and written one by one through a pooler, whatever its sessions are set to, and it keeps nothing of ours', async () => {
  await db.query(
    `alter database ${db.name} set datestyle = 'German'; alter database ${db.name} set timezone = 'Asia/Tokyo'`,
  );
  await db.query(`create table moments (id int primary key, day date, at timestamptz, n int unique);
    insert into moments select i, '2024-02-29', '2024-02-29 23:30Z', i from generate_series(1, 50) i`);
  await using endpoint = await connect({ writable: true });
  const table = (await endpoint.inspect(o)).tables.find((t) => t.name === 'moments')!;
  const rows = await endpoint.rows!.of(table, ['id'], o);
  const columns = ['id', 'day', 'at'];
  const guard = { visible: [], allowed: [] };
  const set = (id: number, n: string) =>
    rows.write!(
      [{ op: 'update', key: [String(id) as Text], columns: ['n'], cells: [n as Text], guard }],
      { columns, atomic: true },
      o,
    );
  const work = Array.from({ length: 40 }, async (_, i) => {
    const found = await rows.get([String(i + 1) as Text], { columns, where: [] }, o);
    assert.deepEqual(found?.cells, [String(i + 1), '2024-02-29', '2024-02-29 23:30:00']);
    const [outcome] = await set(i + 1, String(1000 + i));
    assert.equal(outcome?.status, 'done');
    const day = { column: 'at', op: 'eq', value: '2024-02-29 23:30:00' as Text } as const;
    assert.equal((await rows.list({ columns, where: [day], order: [], limit: 3 }, o)).length, 3);
  });
  await Promise.all(work);
  const [taken] = await set(1, '1001');
  assert.deepEqual([taken?.status, taken?.status === 'refused' && taken.kind], ['refused', 'unique']);
  await using other = await connect({ writable: false });
  assert.equal(await (await other.rows!.of(table, ['id'], o)).count([], 'exact', o), 50);
  const client = new pg.Client({ connectionString: bouncer.url(db.url) });
  await client.connect();
  for (let i = 0; i < 20; i++) {
    const { rows: found } = await client.query(
      `select current_setting('default_transaction_read_only') as r, current_setting('search_path') as p`,
    );
    assert.deepEqual(found[0], { r: 'off', p: '"$user", public' });
  }
  await client.end();
});
