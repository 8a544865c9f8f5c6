import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { inProcess } from '../cli/in-process.ts';
import { testDatabase } from '../servers/postgres.ts';
import { sqliteFile } from './support.ts';

const guide = readFileSync(join(dirname(import.meta.filename), '../../docs/guide/migrate.md'), 'utf8');

const [byHand, bySync] = guide.split('## The same, by a sync') as [string, string];

/** The guide's commands in their order. */
const commandsOf = (text: string): readonly (readonly string[])[] =>
  [...text.matchAll(/^\$ \.\/lockstep (.+)$/gm)].map(([, line]) => line!.split(' '));
const commands = commandsOf(byHand);

test('the guide’s commands move a database that is in use, and keep the way back open', async () => {
  await using control = await testDatabase();
  await using target = await testDatabase();
  const source = sqliteFile(`
    create table customers (id integer primary key autoincrement, name text not null, paid integer);
    create table orders (id integer primary key autoincrement, customer integer not null references customers (id) on delete cascade, total decimal(10,2));
    insert into customers (name, paid) with recursive n(i) as (select 1 union all select i + 1 from n where i < 200) select 'customer ' || i, i % 2 from n;
    insert into orders (customer, total) with recursive n(i) as (select 1 union all select i + 1 from n where i < 400) select 1 + i % 200, i / 4.0 from n;`);
  const home = dirname(source.path);
  const run = async (args: readonly string[]) =>
    inProcess(
      [...args.map((a) => (a === '$OLD' ? source.url : a === '$NEW' ? target.url : a)), '--control', control.url],
      { cwd: home },
    );
  const old = (sql: string): void => {
    using db = new DatabaseSync(source.path, { enableForeignKeyConstraints: true });
    db.exec(sql);
  };
  assert.deepEqual(
    commands.map(([name]) => name),
    ['assess', 'copy', 'sync', 'diff', 'sync'],
  );
  const [look, copy, catchUp, verify, back] = commands as [string[], string[], string[], string[], string[]];

  const seen = await run(look);
  assert.equal(seen.code, 0, seen.stderr);
  assert.match(
    seen.stdout,
    /paid: all 200 values look like flags; they stay what they are, unless --type customers\.paid=bool/,
  );

  const moved = await run(copy);
  assert.equal(moved.code, 0, moved.stdout + moved.stderr);
  assert.match(moved.stdout, /^CERTIFIED/);
  const certificate = JSON.parse(readFileSync(join(home, 'certificate.json'), 'utf8'));
  assert.equal(certificate.verdict, 'certified');
  const again = await run(['show', certificate.run, '--format', 'json']);
  assert.equal(again.code, 0, again.stderr);
  assert.deepEqual(JSON.parse(again.stdout), certificate);
  assert.match((await run(['show', certificate.run])).stdout, /^CERTIFIED[\s\S]*customers: 200 rows, 200 identical/m);

  // the old side is still in use
  old(`insert into customers (name) values ('late'); update customers set name = 'renamed' where id = 7; delete from customers where id = 9;
    insert into orders (customer, total) values (201, 9.99)`);
  const before = await run(verify);
  assert.equal(before.code, 2, before.stdout);
  const caught = await run(catchUp);
  assert.equal(caught.code, 0, caught.stdout + caught.stderr);
  const last = await run(verify);
  assert.equal(last.code, 0, last.stdout);

  // switched: only the new side is written to, its counters go on
  await target.query(
    `insert into customers (name) values ('new side'); update orders set total = 1.25 where id = 1; delete from orders where id = 2`,
  );
  assert.equal((await target.query(`select id from customers where name = 'new side'`)).rows[0].id, '202');
  const returned = await run(back);
  assert.equal(returned.code, 0, returned.stdout + returned.stderr);
  using db = new DatabaseSync(source.path);
  assert.deepEqual(
    { ...db.prepare(`select id, name from customers where id = 202`).get() },
    { id: 202, name: 'new side' },
  );
  assert.equal(db.prepare('select count(*) as n from orders where id = 2').get()!['n'], 0);
  assert.equal((await run(verify)).code, 0);
});

test('the guide’s sync does the same under the names and types that it declares, and the other way round', async () => {
  await using control = await testDatabase();
  await using target = await testDatabase();
  const source = sqliteFile(`
    create table customers (id integer primary key autoincrement, name text not null, paid integer, made integer);
    create table orders (id integer primary key autoincrement, customer integer not null references customers (id), total decimal(10,2));
    insert into customers (name, paid, made) with recursive n(i) as (select 1 union all select i + 1 from n where i < 50)
      select 'customer ' || i, i % 2, 1700000000 + i from n;
    insert into orders (customer, total) select id, id / 4.0 from customers;`);
  const home = dirname(source.path);
  writeFileSync(join(home, 'guide.yaml'), /```yaml\n([\s\S]+?)```/.exec(bySync)![1]!);
  const env = { OLD: source.url, NEW: target.url };
  const run = async (args: readonly string[]) =>
    inProcess([...args, '--config', 'guide.yaml', '--control', control.url], { cwd: home, env });
  const [look, copy, catchUp, last, verify, back] = commandsOf(bySync) as string[][];
  const seen = await run(look!);
  assert.equal(seen.code, 0, seen.stderr);
  const moved = await run(copy!);
  assert.equal(moved.code, 0, moved.stdout + moved.stderr);
  assert.match(moved.stdout, /^CERTIFIED/);
  const old = (sql: string): void => {
    using db = new DatabaseSync(source.path);
    db.exec(sql);
  };
  old(`insert into customers (name, paid, made) values ('late', 0, 1800000000); delete from orders where id = 9`);
  assert.equal((await run(catchUp!)).code, 2, 'the delete is withheld');
  const mirrored = await run(last!);
  assert.equal(mirrored.code, 0, mirrored.stdout + mirrored.stderr);
  assert.equal((await run(verify!)).code, 0);
  await target.query(
    `insert into clients (name, paid, made_at) values ('new side', true, '2030-01-01 00:00:00Z'); delete from orders where id = 2`,
  );
  const returned = await run(back!);
  assert.equal(returned.code, 0, returned.stdout + returned.stderr);
  using db = new DatabaseSync(source.path);
  assert.deepEqual(
    { ...db.prepare(`select id, paid, typeof(paid) as t, made from customers where name = 'new side'`).get() },
    { id: 52, paid: 1, t: 'integer', made: 1893456000 },
  );
  assert.equal((await run(verify!)).code, 0);
});

test('copy says what it needs: a confirmation, two sides, a type it knows', async () => {
  const { url, path } = sqliteFile('create table t (id integer primary key)');
  const to = sqliteFile();
  const run = (...args: string[]) => inProcess(args, { cwd: dirname(path) });
  const asks = await run('copy', url, to.url);
  assert.equal(asks.code, 20);
  assert.match(asks.stderr, /nobody can be asked here/);
  const word = await run('copy', url, to.url, '--yes', '--type', 't.id=bol');
  assert.equal(word.code, 20);
  assert.match(word.stderr, /bol is not a type[\s\S]*Did you mean bool/);
  const one = await run('copy', url);
  assert.equal(one.code, 20);
});
