import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { loadEngine } from '../../src/engines/registry.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { cuttingProxy } from '../faults/proxy.ts';
import { type TestDatabase, testDatabase } from '../servers/postgres.ts';
import { applied, type Bench, bench, planned } from './bench.ts';
import { postgresLane, sqliteLane } from './lanes.ts';

let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());

const { signal } = new AbortController();

const open = async (engine: string, url: string, writable: boolean): Promise<Endpoint> => {
  const { connect, parse } = (await loadEngine(engine))!;
  return connect(parse(url), { name: writable ? 'target' : 'source', writable, signal });
};

for (const [name, lane] of [
  ['PostgreSQL', postgresLane],
  ['SQLite', sqliteLane],
] as const) {
  test(`${name}: rows that moved, rows that are refused and values that are exchanged, in one apply`, async () => {
    await using on = await lane(false);
    await on.reset();
    await using source = await open(on.engine, on.source, false);
    await using target = await open(on.engine, on.target, true);
    const pairs = [{ source: 'people' }, { source: 'orders' }];
    const { plan } = await planned(b.store, { source, target, pairs });
    await on.exec("update people set name = 'stranger' where id = 4");
    const { numbers } = (await applied(b.store, plan.header.id, { target })).result;
    assert.deepEqual([numbers.moved, numbers.rejected, numbers.already], [1, 2, 0]);
    assert.deepEqual(await on.rows('select id, name, email from people order by id'), [
      '1,new,y',
      '2,new,x',
      '4,stranger,w',
      '5,ann,e',
      '6,bob,f',
    ]);
    assert.deepEqual(await on.rows('select id, people_id, note from orders order by id'), [
      '11,5,new',
      '12,2,same',
      '13,6,n',
    ]);
  });
}

const rows = 30;

interface Counted extends AsyncDisposable {
  readonly source: TestDatabase;
  readonly target: TestDatabase;
}

/** A target whose triggers count every write. */
const counted = async (): Promise<Counted> => {
  const source = await testDatabase();
  const target = await testDatabase();
  await source.query(`create table t (id bigint primary key, a text);
    insert into t select i, 'new' from generate_series(1, ${rows}) i where i % 3 > 0`);
  await target.query(`create table t (id bigint primary key, a text);
    insert into t select i, 'old' from generate_series(1, ${rows}) i where i % 3 < 2;
    create table audit (id bigint, op text);
    create function seen() returns trigger language plpgsql security definer as
      $$ begin insert into public.audit values (coalesce(new.id, old.id), tg_op); return null; end $$;
    create trigger seen after insert or update or delete on t for each row execute function seen()`);
  return {
    source,
    target,
    [Symbol.asyncDispose]: async () => {
      await source[Symbol.asyncDispose]();
      await target[Symbol.asyncDispose]();
    },
  };
};

const writtenOnce = async ({ target }: Counted): Promise<void> => {
  const { rows: found } = await target.query(
    'select id, count(*)::int as n from audit group by id having count(*) > 1',
  );
  assert.deepEqual(found, []);
  const sum = await target.query(`select count(*)::int as n, count(*) filter (where a = 'new')::int as ours from t`);
  assert.deepEqual(sum.rows[0], { n: (rows / 3) * 2, ours: (rows / 3) * 2 });
};

/** Loses the reply to the commit of the nth step: the statement that sets the marker or locks rows comes before it. */
const losing = (url: string, isWrite: (sent: string) => boolean, nth: number) => {
  let writes = 0;
  let lost = false;
  return cuttingProxy(url, (sent) => {
    if (isWrite(sent)) writes++;
    if (lost || writes < nth || !/commit/.test(sent)) return 'pass';
    lost = true;
    return 'lose-reply';
  });
};

const isWrite = (sent: string): boolean => /(?:insert into|update|delete from) "public"."t"/.test(sent);

test('PostgreSQL: a reply that is lost after the commit of a batch: exactly one effect, told as applied', async () => {
  await using c = await counted();
  await using source = await open('postgres', c.source.url, false);
  await using proxy = await losing(c.target.url, isWrite, 2);
  await using target = await open('postgres', proxy.url, true);
  const { plan } = await planned(b.store, { source, target, settings: { batchSize: 7 } });
  const { result } = await applied(b.store, plan.header.id, { target });
  assert.equal(proxy.cuts, 1);
  assert.deepEqual([result.guardedBy, result.numbers.already, result.numbers.moved], ['marker', 0, 0]);
  assert.deepEqual(result.numbers.applied, { insert: rows / 3, update: rows / 3, delete: rows / 3 });
  await writtenOnce(c);
});

test('PostgreSQL without the right to make our tables: guarded by state, a lost reply included', async () => {
  await using c = await counted();
  const role = `state_${new URL(c.target.url).pathname.replace(/\W/g, '')}`;
  await c.target.query(`create role ${role} login password 'state'; grant usage on schema public to ${role};
    grant select, insert, update, delete on t to ${role}`);
  try {
    const url = new URL(c.target.url);
    url.username = role;
    url.password = 'state';
    await using source = await open('postgres', c.source.url, false);
    await using proxy = await losing(url.href, isWrite, 2);
    await using target = await open('postgres', proxy.url, true);
    const pairs = [{ source: 't' }];
    const { plan } = await planned(b.store, { source, target, pairs, settings: { batchSize: 7 } });
    const { result } = await applied(b.store, plan.header.id, { target });
    const { numbers } = result;
    assert.equal(proxy.cuts, 1);
    assert.equal(result.guardedBy, 'state');
    assert.equal(numbers.applied.insert + numbers.applied.update + numbers.applied.delete + numbers.already, rows);
    assert.ok(numbers.already > 0, 'without a marker a repeat cannot claim what it finds done');
    assert.equal(numbers.moved + numbers.rejected, 0);
    await writtenOnce(c);
    const left = await c.target.query(`select count(*)::int as n from pg_namespace where nspname = 'lockstep'`);
    assert.equal(left.rows[0].n, 0);
  } finally {
    await c.target.query(`drop owned by ${role}; drop role ${role}`);
  }
});
