import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import { typeOfWord } from '../../src/model/type-words.ts';
import { compare, type PairRequest } from '../../src/work/compare.ts';
import { testDatabase } from '../servers/postgres.ts';
import { freshStore } from '../store/fresh-store.ts';
import { copied, open, signal, sqliteFile } from './support.ts';

const { store } = await freshStore();

const schema = `
  create table customers (code text primary key, name text not null, paid integer, made integer, seen integer, note text);
  create table orders (id integer primary key autoincrement, customer text not null references customers (code), state text, total decimal(10,2) check (total >= 0));
  create index orders_state on orders (state);
  create index customers_note on customers (note);
  insert into customers with recursive n(i) as (select 1 union all select i + 1 from n where i < 40)
    select 'c' || i, 'name ' || i, i % 2, 1700000000 + i, 1700000000123 + i, 'note ' || i from n;
  insert into orders (customer, state, total) with recursive n(i) as (select 1 union all select i + 1 from n where i < 100)
    select 'c' || (1 + i % 40), case i % 3 when 0 then 'past_due' when 1 then 'active' else 'draft' end, i / 4.0 from n;`;

const pairs: readonly PairRequest[] = [
  {
    source: 'customers',
    target: 'clients',
    key: [['code', 'external_id']],
    map: { code: 'external_id', made: 'made_at' },
    exclude: ['note'],
    types: { paid: typeOfWord('bool')! },
    transform: { columns: { made: { from: 'epoch_s' }, seen: { from: 'epoch_ms' } }, validate: {} },
  },
  {
    source: 'orders',
    map: { customer: 'client' },
    filter: { source: "state <> 'draft'", target: "state <> 'draft'" },
    transform: { columns: { state: { map: new Map([['past_due', 'dunning']]) } }, validate: {} },
  },
];

const differences = async (from: string, to: string) => {
  await using source = await open(from, 'old', false);
  await using target = await open(to, 'new', false);
  return await compare({
    source,
    target,
    pairs,
    settleMs: 0,
    clock: systemClock,
    seed: 1n,
    signal,
    sink: { wanted: () => 0, write: async () => {} },
  });
};

test('a copy by pairs names, leaves out, casts and transforms as they say, and is compared by them', async () => {
  await using database = await testDatabase();
  const { url } = sqliteFile(schema);
  const { certificate, exit } = await copied(store, url, database.url, { pairs });
  assert.deepEqual(certificate.schema.differences, []);
  assert.deepEqual(certificate.coverage.not_compared, []);
  assert.equal(exit, 0, JSON.stringify(certificate, null, 1));
  assert.deepEqual(
    certificate.tables.map((t) => [t.source, t.target, t.rows.target, t.identical, t.digest]),
    [
      ['customers', 'public.clients', 40, 40, null],
      ['orders', 'public.orders', 67, 67, null],
    ],
  );
  const one = await database.query(
    `select external_id, name, paid, (made_at at time zone 'UTC')::text as made, (seen at time zone 'UTC')::text as seen from clients where external_id = 'c7'`,
  );
  assert.deepEqual(one.rows, [
    { external_id: 'c7', name: 'name 7', paid: true, made: '2023-11-14 22:13:27', seen: '2023-11-14 22:13:20.13' },
  ]);
  const types = await database.query(
    `select column_name, data_type from information_schema.columns where table_schema = 'public' and table_name = 'clients' order by ordinal_position`,
  );
  assert.deepEqual(
    types.rows.map((r) => `${r.column_name} ${r.data_type}`),
    [
      'external_id text',
      'name text',
      'paid boolean',
      'made_at timestamp with time zone',
      'seen timestamp with time zone',
    ],
  );
  // keys, indexes and foreign keys follow the new names
  const parts = await database.query(
    `select conrelid::regclass || ' ' || pg_get_constraintdef(oid) as def from pg_constraint where contype in ('p', 'f') and connamespace = 'public'::regnamespace order by 1`,
  );
  assert.deepEqual(
    parts.rows.map((r) => r.def),
    [
      'clients PRIMARY KEY (external_id)',
      'orders FOREIGN KEY (client) REFERENCES clients(external_id) DEFERRABLE',
      'orders PRIMARY KEY (id)',
    ],
  );
  assert.equal((await database.query(`select 1 from orders where state in ('past_due', 'draft')`)).rowCount, 0);
  assert.deepEqual(
    certificate.not_carried.map((n) => `${n.kind} ${n.name}`.replace(/check .*/, 'check')),
    ['index customers_note', 'check', 'column note', 'rows orders'],
  );
  // and later runs find nothing
  const again = await differences(url, database.url);
  assert.equal(again.verdict, 'agrees');
  assert.deepEqual(
    again.pairs.map((p) => [p.identical, p.different + p.only_in_source + p.only_in_target]),
    [
      [40, 0],
      [67, 0],
    ],
  );
  await database.query(`update clients set made_at = made_at + interval '1 second' where external_id = 'c3'`);
  assert.equal((await differences(url, database.url)).pairs[0]!.different, 1);
});

test('rows that are invalid by the rules of their pair, or stand for no moment, are refused one by one', async () => {
  await using database = await testDatabase();
  const { url } = sqliteFile(`${schema}
    update customers set made = 'yesterday' where code = 'c5';
    update customers set made = 99999999999999 where code = 'c6';
    update customers set name = '' where code = 'c8';`);
  const strict = [{ ...pairs[0]!, transform: { ...pairs[0]!.transform!, validate: { name: { length: { min: 1 } } } } }];
  const { certificate, exit } = await copied(store, url, database.url, { pairs: strict });
  assert.equal(exit, 2);
  assert.equal(certificate.verdict, 'differs');
  const reasons = new Map<string | null | undefined, string>();
  for (const e of certificate.refused[0]!.examples) reasons.set(e.key['external_id'], e.reason);
  assert.deepEqual([...reasons.keys()].sort(), ['c5', 'c6', 'c8']);
  assert.match(reasons.get('c5')!, /^made: made holds .*yesterday.*, which is no int$/);
  assert.match(
    reasons.get('c6')!,
    /^made: made is 99999999999999: as seconds since 1970 that is not in the years 1 to 9999$/,
  );
  assert.match(reasons.get('c8')!, /^name has 0 characters/);
  assert.equal((await database.query('select count(*)::int as n from clients')).rows[0].n, 37);
});

test('a table that is there keeps what is its own, and takes the rows by the names of its pair', async () => {
  await using database = await testDatabase();
  await database.query(`create table clients (id bigint generated always as identity primary key, external_id text not null unique,
    name text not null, paid boolean, made_at timestamptz, seen timestamptz, kept text default 'own')`);
  const { url } = sqliteFile(schema);
  const { certificate, exit } = await copied(store, url, database.url, { pairs: pairs.slice(0, 1) });
  assert.equal(exit, 25, JSON.stringify(certificate.schema));
  assert.deepEqual(
    certificate.coverage.not_compared.map((n) => n.what),
    ['customers.kept'],
  );
  assert.equal(certificate.tables[0]!.identical, 40);
  const own = await database.query(`select distinct kept, id is null as none from clients`);
  assert.equal(own.rowCount, 1);
});

test('between PostgreSQL databases the bytes go through under other names, without what is left out', async () => {
  await using from = await testDatabase();
  await using to = await testDatabase();
  await from.query(`create schema sales; create table sales.orders (id int primary key, state text not null, total numeric(10,2) generated always as (1.5 * id) stored,
    note text, placed timestamptz default now(), constraint paid check (state <> ''))`);
  await from.query(
    `insert into sales.orders (id, state, note) select i, case i % 2 when 0 then 'open' else 'shut' end, 'n' from generate_series(1, 3000) i`,
  );
  const { certificate, exit } = await copied(store, `${from.url}?schema=sales`, to.url, {
    stepRows: 1000,
    pairs: [
      {
        source: 'sales.orders',
        target: 'public.bookings',
        map: { state: 'status' },
        exclude: ['note'],
        filter: { source: "state = 'open'", target: "status = 'open'" },
      },
    ],
  });
  assert.equal(exit, 0, JSON.stringify(certificate, null, 1));
  const [table] = certificate.tables;
  assert.deepEqual(
    [table!.target, table!.loaded.as, table!.loaded.rows, table!.identical],
    ['public.bookings', 'postgres binary', 1500, 1500],
  );
  assert.notEqual(table!.digest, null);
  const { rows } = await to.query(
    `select count(*)::int as n, count(*) filter (where status <> 'open')::int as wrong, sum(total)::text as total from bookings`,
  );
  assert.deepEqual([rows[0].n, rows[0].wrong], [1500, 0]);
  assert.equal(Number(rows[0].total), 1.5 * 1500 * 1501);
  assert.deepEqual(
    certificate.not_carried.map((n) => n.kind),
    ['generated column', 'check', 'column', 'rows'],
  );
});
