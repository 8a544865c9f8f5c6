import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { inProcess } from '../cli/in-process.ts';
import { storeDatabase, type TestDatabase, testDatabase } from '../servers/postgres.ts';

/** Nothing is written, deleted or called equal that nobody planned or compared. */

let control: TestDatabase;
let folder: string;
before(async () => {
  control = await storeDatabase();
  folder = mkdtempSync(join(tmpdir(), 'lockstep-review-'));
});
after(async () => {
  await control[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

let files = 0;
const sqlite = (sql: string): { readonly url: string; query(sql: string): unknown[] } => {
  const path = join(folder, `${files++}.db`);
  const open = <T>(work: (db: DatabaseSync) => T): T => {
    const db = new DatabaseSync(path, { enableForeignKeyConstraints: false });
    try {
      return work(db);
    } finally {
      db.close();
    }
  };
  open((db) => db.exec(sql));
  return {
    url: `sqlite:${path}`,
    query: (q) =>
      open((db) =>
        db
          .prepare(q)
          .all()
          .map((row) => ({ ...row })),
      ),
  };
};
const run = (...args: readonly string[]) =>
  inProcess([...args], { cwd: folder, env: { LOCKSTEP_CONTROL_URL: control.url } });
const sync = (...args: readonly string[]) => run('sync', ...args, '--settle', '0s', '--yes', '--format', 'json');
const movedOf = (stdout: string): number => (JSON.parse(stdout) as { skipped: { moved: number } }).skipped.moved;
const runOf = (stdout: string): string => (JSON.parse(stdout) as { run: string }).run;

const orphans = `create table parent (id int primary key not null, n text);
  create table child (id int primary key not null, p int, n text);
  insert into parent values (1, 'a'); insert into child values (17, 5, 'x'), (18, 1, 'y');`;
const family = (action: string): string => `create table parent (id int primary key not null, n text);
  create table child (id int primary key not null, p int references parent on delete ${action}, n text);
  insert into parent values (1, 'a'), (5, 'five'); insert into child values (17, 5, 'x'), (18, 1, 'y');`;
const children = [
  { id: 17, p: 5, n: 'x' },
  { id: 18, p: 1, n: 'y' },
];

for (const action of ['cascade', 'set null']) {
  test(`a delete does not ${action} rows that agree, in PostgreSQL`, async () => {
    const source = sqlite(orphans);
    await using target = await testDatabase();
    await target.query(family(action));
    const done = await sync(source.url, target.url, '--allow-deletes', '5');
    assert.equal(done.code, 2, done.stderr);
    assert.deepEqual((await target.query('select * from child order by id')).rows, children);
    assert.equal(movedOf(done.stdout), 1);
  });

  test(`a delete does not ${action} rows that agree, in SQLite`, async () => {
    const source = sqlite(orphans);
    const target = sqlite(family(action).replace('references parent', 'references PARENT'));
    const done = await sync(source.url, target.url, '--allow-deletes', '5');
    assert.equal(done.code, 2, done.stderr);
    assert.deepEqual(target.query('select * from child order by id'), children);
    assert.equal(movedOf(done.stdout), 1);
  });
}

test('a delete does not take along the rows of its own table that refer to it', async () => {
  const chain = (key: string): string => `create table a (id int primary key not null, up int ${key});
    insert into a values (1, null), (2, 1), (3, 2), (4, 4), (5, 1), (6, 5);`;
  const source = sqlite(`${chain('')} delete from a where id in (2, 4, 5, 6)`);
  const left = [
    { id: 1, up: null },
    { id: 2, up: 1 },
    { id: 3, up: 2 },
  ];
  await using target = await testDatabase();
  await target.query(chain('references a on delete cascade'));
  const done = await sync(source.url, target.url, '--allow-deletes', '9');
  assert.equal(done.code, 2, done.stderr);
  assert.deepEqual((await target.query('select * from a order by id')).rows, left);
  const file = sqlite(chain('references a on delete cascade'));
  assert.equal((await sync(source.url, file.url, '--allow-deletes', '9')).code, 2);
  assert.deepEqual(file.query('select * from a order by id'), left);
});

test('a planned family goes whole, children first', async () => {
  const source = sqlite(`${orphans} delete from child where id = 17`);
  await using target = await testDatabase();
  await target.query(family('cascade'));
  const done = await sync(source.url, target.url, '--allow-deletes', '5');
  assert.equal(done.code, 0, done.stderr);
  const file = sqlite(family('cascade'));
  assert.equal((await sync(source.url, file.url, '--allow-deletes', '5')).code, 0);
});

test('a revert does not take along what came to refer to the rows it deletes', async () => {
  const source = sqlite(`create table parent (id int primary key not null, n text);
    insert into parent values (1, 'a'), (5, 'five')`);
  await using target = await testDatabase();
  await target.query(`create table parent (id int primary key, n text); insert into parent values (1, 'a');
    create table child (id int primary key, p int references parent on delete cascade)`);
  const done = await sync(source.url, target.url, 'parent');
  assert.equal(done.code, 0, done.stderr);
  await target.query('insert into child values (99, 5)');
  const back = await run('revert', runOf(done.stdout), target.url, '--yes', '--allow-deletes', '1');
  assert.equal(back.code, 2, back.stderr);
  assert.deepEqual((await target.query('select * from child')).rows, [{ id: 99, p: 5 }]);
});

for (const column of ['unique on conflict replace', 'unique on conflict rollback']) {
  test(`an insert into a column that is ${column} replaces nothing`, async () => {
    const source = sqlite(`create table t (id integer primary key, email text unique);
      insert into t values (1, 'a'), (2, 'b'), (4, 'c')`);
    const target = sqlite(`create table t (id integer primary key, email text ${column});
      insert into t values (1, 'a'), (3, 'b')`);
    const done = await sync(source.url, target.url, '--mode', 'upsert');
    assert.equal(done.code, 2, done.stderr);
    assert.deepEqual(target.query('select * from t order by id'), [
      { id: 1, email: 'a' },
      { id: 3, email: 'b' },
      { id: 4, email: 'c' },
    ]);
  });
}

test('one source table with two targets is refused: their rows would be taken for one another', async () => {
  const source = sqlite(`create table a (id integer primary key, n text); insert into a values (1, 'x'), (2, 'y')`);
  const target = sqlite(`create table b (id integer primary key, n text);
    create table c (id integer primary key, n text); insert into c values (1, 'x')`);
  const done = await sync(source.url, target.url, 'a=b', 'a=c');
  assert.equal(done.code, 20, done.stdout);
  assert.match(done.stderr, /a is paired more than once: with b and c/);
  assert.deepEqual(target.query('select * from b'), []);
});

const plain = `create table p (id int primary key not null, code text not null unique); create table c (id int primary key not null, code text);`;
const cascading = `create table p (id int primary key not null, code text not null unique);
  create table c (id int primary key not null, code text references p (code) on update cascade);`;
const renamed = `insert into p values (1, 'NEW'); insert into c values (1, 'NEW'), (2, 'old');`;
const unrenamed = `insert into p values (1, 'old'); insert into c values (1, 'old'), (2, 'old');`;

test('an update that cascades to rows nobody planned is never followed by "agrees" (PostgreSQL)', async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  await source.query(plain + renamed);
  await target.query(cascading + unrenamed);
  const outcome = await sync(source.url, target.url);
  assert.notEqual(outcome.code, 0, outcome.stdout);
  assert.notEqual((JSON.parse(outcome.stdout) as { verdict: string }).verdict, 'agrees');
  assert.match(outcome.stdout, /on update cascade/);
});

test('an update that cascades to rows nobody planned is never followed by "agrees" (SQLite)', async () => {
  const source = sqlite(plain + renamed);
  const target = sqlite(cascading + unrenamed);
  const outcome = await sync(source.url, target.url);
  assert.notEqual(outcome.code, 0, outcome.stdout);
  assert.notEqual((JSON.parse(outcome.stdout) as { verdict: string }).verdict, 'agrees');
});
