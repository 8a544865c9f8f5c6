import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { inProcess } from '../cli/in-process.ts';
import { testDatabase } from '../servers/postgres.ts';
import { sqliteFile } from './support.ts';

const schema = `
  create table customers (id integer primary key autoincrement, name text not null, paid integer, made integer);
  create table orders (id integer primary key autoincrement, customer integer not null references customers (id), total decimal(10,2));
  insert into customers (name, paid, made) with recursive n(i) as (select 1 union all select i + 1 from n where i < 120)
    select 'customer ' || i, i % 2, 1700000000 + i from n;
  insert into orders (customer, total) with recursive n(i) as (select 1 union all select i + 1 from n where i < 240)
    select 1 + i % 120, i / 4.0 from n;`;

const control = await testDatabase();
after(() => control[Symbol.asyncDispose]());

let worlds = 0;

const world = async () => {
  const sync = `app${++worlds}`;
  const target = await testDatabase();
  const source = sqliteFile(schema);
  const cwd = dirname(source.path);
  const file = join(cwd, `${Math.random().toString(36).slice(2)}.yaml`);
  const write = (columns = ''): void =>
    writeFileSync(
      file,
      `version: 1
control: "${control.url}"
endpoints:
  old: { url: "${source.url}" }
  new: { url: "${target.url}", writable: true }
syncs:
  ${sync}:
    source: old
    target: new
    mode: migrate
    settle: 0
    pairs:
      - source: customers
        target: clients
        columns: { paid: { type: bool }, made: { to: made_at, type: timestamptz, from: epoch_s }${columns} }
      - orders
`,
    );
  write();
  const run = (...args: string[]) =>
    inProcess([...args.map((a) => (a === 'app' ? sync : a)), '--config', file], { cwd });
  const old = (sql: string): void => {
    using db = new DatabaseSync(source.path);
    db.exec(sql);
  };
  return {
    target,
    run,
    old,
    write,
    [Symbol.asyncDispose]: async () => {
      await target[Symbol.asyncDispose]();
    },
  };
};

test('a sync with mode migrate copies, is kept with its certificate, and catches up without deleting', async () => {
  await using w = await world();
  const first = await w.run('sync', 'app', '--yes');
  assert.equal(first.code, 0, first.stdout + first.stderr);
  assert.match(first.stdout, /^CERTIFIED/);
  assert.match(first.stdout, /customers -> public\.clients: 120 rows, 120 identical/);
  assert.match(first.stderr, /this run copied 2 tables\. The next ones catch up .*lockstep sync app1 --yes/);
  const row = await w.target.query(`select paid, (made_at at time zone 'UTC')::text as made from clients where id = 7`);
  assert.deepEqual(row.rows, [{ paid: true, made: '2023-11-14 22:13:27' }]);
  const [, shown] = /^run (r_\w+)/m.exec(first.stdout)!;
  assert.match((await w.run('show', shown!)).stdout, /^CERTIFIED/m);
  const json = JSON.parse((await w.run('runs', '--format', 'json')).stdout);
  assert.deepEqual(
    json.runs.map((r: { kind: string; sync: string; exit: number }) => [r.kind, r.sync, r.exit]),
    [['sync', 'app1', 0]],
  );

  w.old(`insert into customers (name, made) values ('late', 1800000000); update customers set name = 'renamed' where id = 7;
    delete from orders where id = 9; delete from orders where id = 10`);
  const caught = await w.run('sync', 'app', '--yes', '--format', 'json', '--max-changes', '50');
  assert.match(caught.stderr, /every table is there, so this run caught up, as upsert does: it deletes nothing/);
  const numbers = JSON.parse(caught.stdout);
  assert.equal(caught.code, 2, 'the deletes are withheld');
  assert.deepEqual(numbers.planned, { insert: 1, update: 1, delete: 0, withheld: 2 });
});

test('a column that the source has got since is drift: its statement is told, and nothing is written', async () => {
  await using w = await world();
  const made = await w.run('copy', 'app', '--yes', '--format', 'json');
  assert.equal(made.code, 0, made.stderr);
  assert.equal(JSON.parse(made.stdout).verdict, 'certified');
  const twice = await w.run('copy', 'app', '--yes');
  assert.equal(twice.code, 22, 'a copy goes into empty tables only');
  w.old(`alter table orders add column note text; update orders set note = 'x', total = 1234 where id = 1`);
  const drifted = await w.run('sync', 'app', '--yes');
  assert.equal(drifted.code, 27);
  assert.match(drifted.stderr, /public\.orders has no column note\. Nothing was written/);
  const [statement] = /alter table .*;/.exec(drifted.stderr)!;
  assert.equal((await w.target.query('select 1 from orders where total = 1234')).rowCount, 0);
  await w.target.query(statement!);
  const mended = await w.run('sync', 'app', '--yes');
  assert.equal(mended.code, 0, mended.stdout + mended.stderr);
  // so it is for a copy into tables that are there
  await w.target.query('truncate orders, clients; alter table orders drop column total');
  const shape = await w.run('copy', 'app', '--yes');
  assert.equal(shape.code, 27);
  assert.match(shape.stderr, /alter table "public"\."orders" add column "total" numeric\(10,2\)/);
});

test('a migration goes on where a copy was interrupted, and copies what was left for later', async () => {
  await using w = await world();
  const one = await w.run('copy', 'app', 'customers', '--yes');
  assert.equal(one.code, 0, one.stderr + one.stdout);
  const rest = await w.run('sync', 'app', '--yes', '--format', 'json');
  assert.equal(rest.code, 25, 'the table that had rows was not looked at');
  const report = JSON.parse(rest.stdout);
  assert.deepEqual(report.planned, { insert: 240, update: 0, delete: 0, withheld: 0 });
  assert.deepEqual(
    report.not_compared.map((n: { what: string }) => n.what),
    ['customers'],
  );
  assert.equal((await w.run('sync', 'app', '--yes')).code, 0);
});

test('a table of which the target takes no row keeps the others from catching up no longer than one run', async () => {
  await using w = await world();
  w.old(`update orders set total = 'much'`);
  const first = await w.run('sync', 'app', '--yes', '--format', 'json');
  assert.equal(first.code, 2, first.stderr);
  assert.equal(JSON.parse(first.stdout).rejected, 240);
  w.old(`update customers set name = 'renamed' where id = 7; update orders set total = 1 where id = 5`);
  const caught = await w.run('sync', 'app', '--yes', '--format', 'json');
  assert.match(caught.stderr, /this run caught up/);
  assert.deepEqual(JSON.parse(caught.stdout).applied, { insert: 1, update: 1, delete: 0 });
  assert.equal((await w.target.query(`select 1 from clients where name = 'renamed'`)).rowCount, 1);
  // emptied by somebody, a table that was filled is copied again
  await w.target.query('truncate orders, clients');
  const again = await w.run('sync', 'app', '--yes', '--format', 'json');
  assert.equal(JSON.parse(again.stdout).phase, 'copy');
  assert.equal((await w.target.query('select 1 from clients')).rowCount, 120);
});
