import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LockstepError } from '../../src/model/errors.ts';
import { typeOfWord } from '../../src/model/type-words.ts';
import { testDatabase } from '../servers/postgres.ts';
import { freshStore } from '../store/fresh-store.ts';
import { copied, sqliteFile } from './support.ts';

const { store } = await freshStore();

test('tables, keys, defaults, indexes, foreign keys and counters of SQLite are made in PostgreSQL, and rows go in', async () => {
  const { url } = sqliteFile(`
    create table people (
      id integer primary key autoincrement, name varchar(40) not null, born date, score real default 0.5,
      balance decimal(12,2) not null default 0, active boolean not null default 1, note text default 'it''s "new"',
      photo blob, made datetime default current_timestamp, tag uuid, boss integer references people (id) on delete set null);
    create table jobs (a integer, b text, hours numeric, primary key (a, b));
    create table work (person integer not null references people (id) on delete cascade, a integer, b text,
      foreign key (a, b) references jobs (a, b));
    create index work_by_job on work (a, b);
    create unique index people_tag on people (tag);
    insert into people (id, name, born, active, photo, made, tag, boss) values
      (1, 'Ada', '1815-12-10', 1, x'00ff', '2024-02-29 12:00:00', '123E4567-E89B-12D3-A456-426614174000', 1),
      (9, 'Bob \u{1f600}', null, 0, null, '2024-02-29T12:00:00.25', null, null);
    delete from people where id = 9;
    insert into jobs values (1, 'x', 1.5), (2, 'y', 12345678901234);
    insert into work values (1, 1, 'x'), (1, null, null);`);
  await using target = await testDatabase();
  const { certificate, exit } = await copied(store, url, target.url);
  assert.deepEqual(certificate.schema.differences, []);
  assert.deepEqual(certificate.not_carried, []);
  assert.equal(certificate.verdict, 'certified');
  assert.equal(exit, 0);
  assert.deepEqual(
    certificate.tables.map((t) => [t.source, t.made, t.rows.source, t.identical]),
    [
      ['jobs', true, 2, 2],
      ['people', true, 1, 1],
      ['work', true, 2, 2],
    ],
  );
  for (const t of certificate.tables) assert.equal(t.digest?.sum.source, t.digest?.sum.target);
  const types = await target.query(
    `select attname, format_type(atttypid, atttypmod) as type, attnotnull from pg_attribute where attrelid = 'people'::regclass and attnum > 0 order by attnum`,
  );
  assert.deepEqual(
    types.rows.map((r) => `${r.attname} ${r.type}${r.attnotnull ? ' not null' : ''}`),
    [
      'id bigint not null',
      'name character varying(40) not null',
      'born date',
      'score double precision',
      'balance numeric(12,2) not null',
      'active boolean not null',
      'note text',
      'photo bytea',
      'made timestamp without time zone',
      'tag uuid',
      'boss bigint',
    ],
  );
  // the counter goes on where it was, though the greatest row is gone; defaults are those of the source
  const added = await target.query(`insert into people (name) values ('Eve') returning *`);
  assert.equal(added.rows[0].id, '10');
  assert.equal(added.rows[0].note, `it's "new"`);
  assert.equal(added.rows[0].active, true);
  assert.equal(added.rows[0].score, 0.5);
  assert.ok(added.rows[0].made instanceof Date);
  await assert.rejects(target.query(`insert into work values (99, null, null)`), /foreign key/);
  await target.query(`delete from people where id = 1`);
  assert.equal((await target.query('select * from work')).rowCount, 0);
});

test('values that lie are refused row by row with a reason, the rest goes in, and nothing is changed on the way', async () => {
  const { url } = sqliteFile(`
    create table t (id integer primary key, n integer, day date, at datetime, flag boolean, short varchar(3), price decimal(5,2), words text);
    insert into t values
      (1, 1, '2024-01-31', '2024-01-31 10:00:00', 1, 'abc', 123.45, 'fine'),
      (2, 'two', null, null, null, null, null, null),
      (3, null, '31.01.2024', null, null, null, null, null),
      (4, null, null, 1706695200, null, null, null, null),
      (5, null, null, null, 'maybe', null, null, null),
      (6, null, null, null, null, 'abcd', null, null),
      (7, null, null, null, null, null, 1.234, null),
      (8, null, null, null, null, null, null, 'nul' || char(0) || 'inside'),
      (9, null, null, null, null, null, null, cast(x'ff41' as text)),
      (10, null, null, null, null, null, 1234.5, null),
      (11, 3.5, null, null, null, null, null, null),
      (12, 5, null, null, 0, 'äöü', -0.5, '');`);
  await using target = await testDatabase();
  const { certificate, exit } = await copied(store, url, target.url);
  assert.equal(exit, 2);
  assert.equal(certificate.verdict, 'differs');
  assert.deepEqual(
    certificate.refused.map((r) => [r.table, r.count]),
    [['t', 10]],
  );
  const reasons = new Map(
    certificate.refused[0]!.examples.map((e) => [String(e.key['id']), `${e.column}: ${e.reason}`]),
  );
  assert.match(reasons.get('2')!, /^n: .*two.*bigint/);
  assert.match(reasons.get('3')!, /^day: .*31\.01\.2024.*date/);
  assert.match(reasons.get('4')!, /^at: .*1706695200.*timestamp/);
  assert.match(reasons.get('5')!, /^flag: .*maybe.*boolean/);
  assert.match(reasons.get('6')!, /^short: .*abcd.*varying\(3\)/);
  assert.match(reasons.get('7')!, /^price: .*1\.234.*numeric\(5,2\)/);
  assert.match(reasons.get('8')!, /^words: /);
  assert.match(reasons.get('9')!, /^words: /);
  assert.match(reasons.get('10')!, /^price: .*1234\.5/);
  assert.match(reasons.get('11')!, /^n: .*3\.5/);
  const rows = await target.query('select id, n, flag, short, price::text, words from t order by id');
  assert.deepEqual(
    rows.rows.map((r) => Object.values(r)),
    [
      ['1', '1', true, 'abc', '123.45', 'fine'],
      ['12', '5', false, 'äöü', '-0.50', ''],
    ],
  );
  const [table] = certificate.tables;
  assert.equal(table!.refused, 10);
  assert.equal(table!.only_in_source, 10);
  assert.equal(table!.identical, 2);
});

test('a declared type takes the place of the one that lies', async () => {
  const { url } = sqliteFile(`
    create table t (id integer primary key, n integer, paid integer, day text, any_thing);
    insert into t values (1, 'two', 1, '2024-01-31', 5), (2, 2, 0, '2024-02-01', 6);`);
  await using target = await testDatabase();
  const types = new Map([
    ['t.n', typeOfWord('text')!],
    ['t.paid', typeOfWord('bool')!],
    ['t.day', typeOfWord('date')!],
    ['t.any_thing', typeOfWord('int32')!],
  ]);
  const { certificate } = await copied(store, url, target.url, { types });
  assert.equal(certificate.verdict, 'certified', JSON.stringify(certificate.refused));
  const rows = await target.query('select id, n, paid, day::text, any_thing from t order by id');
  assert.deepEqual(
    rows.rows.map((r) => Object.values(r)),
    [
      ['1', 'two', true, '2024-01-31', 5],
      ['2', '2', false, '2024-02-01', 6],
    ],
  );
});

test('rows that refer to nothing go in, the foreign key does not, and both are told', async () => {
  const { url } = sqliteFile(`
    create table parent (id integer primary key);
    create table child (id integer primary key, p integer references parent (id));
    insert into parent values (1);
    insert into child values (1, 1), (2, 77), (3, 78);`);
  await using target = await testDatabase();
  const { certificate, exit } = await copied(store, url, target.url);
  assert.equal(exit, 2);
  assert.equal(certificate.tables.find((t) => t.source === 'child')!.identical, 3);
  const [difference, ...more] = certificate.schema.differences;
  assert.deepEqual(more, []);
  assert.match(difference!.what, /child has no foreign key/);
  assert.match(difference!.fix, /add constraint .* foreign key \("p"\) references "public"\."parent" \("id"\)/);
  assert.match(difference!.reason!, /violates foreign key constraint/);
  // SQLite declares a foreign key before it looks at rows: there it is made, and does not hold
  const same = await copied(store, url, sqliteFile().url);
  assert.equal(same.exit, 2);
  assert.match(same.certificate.schema.differences[0]!.what, /foreign key .* of child does not hold/);
  assert.match(same.certificate.schema.differences[0]!.reason!, /2 rows of "child" refer to rows of "parent"/);
});

test('odd names, odd shapes: quotes, blanks, dollars, emoji, no rows, only a key, 300 columns, no key, rings', async () => {
  const wide = Array.from({ length: 300 }, (_, i) => `c${i} text`).join(', ');
  const { url } = sqliteFile(`
    create table "we ""are"" $1 \u{1f600}" ("i d" integer primary key, "va'l$ue" text, "\u{1f4a9}" text unique);
    insert into "we ""are"" $1 \u{1f600}" values (1, 'a$1b', 'x'), (2, null, null);
    create table empty (id integer primary key, x text);
    create table only_key (a text, b integer, primary key (a, b));
    insert into only_key values ('x', 1), ('x', 2);
    create table wide (id integer primary key, ${wide});
    insert into wide (id, c0, c299) values (1, 'first', 'last');
    create table keyless (x text, y integer);
    insert into keyless values ('a', 1), ('a', 1), ('a', 1), (null, null), (null, null), ('b', 2);
    create table ring_a (id integer primary key, b integer references ring_b (id));
    create table ring_b (id integer primary key, a integer references ring_a (id));
    insert into ring_a values (1, 2); insert into ring_b values (2, 1);
    create table self (id integer primary key, up integer references self (id));
    insert into self values (1, 3), (2, 1), (3, 2);
    create table made (id integer primary key, a integer, twice integer generated always as (a * 2) stored, later integer generated always as (a + 1));
    insert into made (id, a) values (1, 21);
    create view seen as select 1; create trigger t after insert on self begin select 1; end;
    create index expr on keyless (upper(x)); create table checked (id integer primary key check (id > 0));`);
  await using target = await testDatabase();
  const { certificate } = await copied(store, url, target.url);
  assert.equal(
    certificate.verdict,
    'certified',
    JSON.stringify(certificate.schema) + JSON.stringify(certificate.coverage),
  );
  const rows = new Map(certificate.tables.map((t) => [t.source, t.identical]));
  assert.equal(rows.get('keyless'), 6);
  assert.equal(rows.get('empty'), 0);
  assert.equal(rows.get('wide'), 1);
  assert.deepEqual(certificate.not_carried.map((n) => `${n.kind} ${n.name}`).sort(), [
    'check checked',
    'generated column later',
    'generated column twice',
    'index expr',
    'trigger t',
    'view seen',
  ]);
  const odd = await target.query('select * from "we ""are"" $1 \u{1f600}" order by 1');
  assert.deepEqual(odd.rows[0], { 'i d': '1', "va'l$ue": 'a$1b', '\u{1f4a9}': 'x' });
  assert.deepEqual((await target.query('select twice, later from made')).rows, [{ twice: '42', later: '22' }]);
  await assert.rejects(target.query(`insert into ring_a values (5, 6)`), /foreign key/);
});

test('a table of another shape is drift: exit 27, the statements that mend it, nothing written', async () => {
  const { url } = sqliteFile(`
    create table a (id integer primary key); insert into a values (1);
    create table t (id integer primary key, name text, note text, price decimal(10,2)); insert into t values (1, null, 'x', 1.5);`);
  await using target = await testDatabase();
  await target.query(
    'create table t (id bigint primary key, name text not null, price numeric(4,1), must int not null)',
  );
  const failure = await copied(store, url, target.url).catch((error: unknown) => error);
  assert.ok(failure instanceof LockstepError);
  assert.equal(failure.code, 'SCHEMA_DRIFT');
  assert.equal(failure.exit, 27);
  const statements = failure.details.filter((d) => !d.startsWith('--'));
  assert.equal(
    (await target.query(`select to_regclass('a') as a, to_regclass('lockstep.steps') as l`)).rows[0].a,
    null,
  );
  // what it says is what helps
  for (const statement of statements) await target.query(statement);
  await target.query('alter table t drop column must');
  const { certificate } = await copied(store, url, target.url);
  assert.equal(certificate.verdict, 'certified');
  assert.equal(certificate.tables.find((t) => t.source === 't')!.made, false);
});

test('an index or a default that a table lacks keeps no row out, and is told', async () => {
  const { url } = sqliteFile(`
    create table t (id integer primary key, a integer default 5, b text); create index t_b on t (b);
    insert into t values (1, 1, 'x');`);
  await using target = await testDatabase();
  await target.query('create table t (id bigint primary key, a bigint, b text)');
  const { certificate, exit } = await copied(store, url, target.url);
  assert.equal(exit, 2);
  assert.equal(certificate.tables[0]!.identical, 1);
  assert.deepEqual(certificate.schema.differences.map((d) => d.what).sort(), [
    'public.t has no index t_b of t',
    'public.t.a has not the default of its source',
  ]);
  // what it says is what helps
  for (const d of certificate.schema.differences) await target.query(d.fix);
  assert.equal((await target.query('insert into t (id) values (2) returning a')).rows[0].a, '5');
  assert.match(
    certificate.schema.differences.find((d) => d.what.includes('index'))!.fix,
    /^create index "t_b" on "public"\."t" \("b"\)$/,
  );
});

test('a table that has rows is left alone', async () => {
  const { url } = sqliteFile('create table t (id integer primary key); insert into t values (1);');
  await using target = await testDatabase();
  await target.query('create table t (id bigint primary key); insert into t values (2)');
  await assert.rejects(copied(store, url, target.url), { code: 'GUARD', message: /has rows already/ });
  assert.deepEqual((await target.query('select * from t')).rows, [{ id: '2' }]);
});
