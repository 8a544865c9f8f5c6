import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firebirdDatabase, isFirebirdMissing } from '../servers/firebird.ts';
import { isMariadbMissing, mariadbDatabase } from '../servers/mariadb.ts';
import { freshStore } from '../store/fresh-store.ts';
import { copied, sqliteFile } from './support.ts';

const { store } = await freshStore();

const targets: readonly (readonly [string, () => Promise<AsyncDisposable & { readonly url: string }>])[] = [
  ...(isMariadbMissing ? [] : [['MariaDB', mariadbDatabase] as const]),
  ...(isFirebirdMissing ? [] : [['Firebird', firebirdDatabase] as const]),
];

const wide = Array.from({ length: 300 }, (_, i) => `c${i} text`).join(', ');
const schema = `
  create table "we ""are"" $1" ("i d" integer primary key, "va'l$ue" text, \`b\` text unique);
  insert into "we ""are"" $1" values (1, 'a$1b\\', 'x'), (2, null, null);
  create table empty (id integer primary key, x text);
  create table only_key (a text, b integer, primary key (a, b));
  insert into only_key values ('x', 1), ('x ', 1), ('X', 1);
  create table wide (id integer primary key, ${wide});
  insert into wide (id, c0, c299) values (1, 'first', 'last');
  create table keyless (x text, y integer);
  insert into keyless values ('a', 1), ('a', 1), ('a', 1), (null, null), (null, null), ('b', 2);
  create table ring_a (id integer primary key, b integer references ring_b (id));
  create table ring_b (id integer primary key, a integer references ring_a (id));
  insert into ring_a values (1, 2); insert into ring_b values (2, 1);
  create table self (id integer primary key autoincrement, up integer references self (id) on delete cascade);
  insert into self values (1, 3), (2, 1), (3, 2);
  create table made (id integer primary key, a integer default 7, twice integer generated always as (a * 2) stored, note text default 'it''s');
  insert into made (id, a) values (1, 21);
  create index made_a on made (a);`;

for (const [name, database] of targets) {
  test(`${name}: odd names and shapes arrive`, async () => {
    const { url } = sqliteFile(schema);
    await using target = await database();
    const { certificate } = await copied(store, url, target.url);
    // Firebird takes 'x' and 'x ' for one key: the second is refused, the rest goes in
    assert.deepEqual(
      certificate.refused.map((r) => [r.table, r.count]),
      name === 'Firebird' ? [['only_key', 1]] : [],
    );
    assert.deepEqual(certificate.schema.differences, []);
    const rows = new Map(certificate.tables.map((t) => [t.source, t.identical]));
    assert.equal(rows.get('keyless'), 6);
    assert.equal(rows.get('wide'), 1);
    assert.equal(rows.get('we "are" $1'), 2);
    assert.equal(rows.get('ring_a'), 1);
    assert.equal(rows.get('self'), 3);
    assert.deepEqual(
      certificate.not_carried.map((n) => `${n.kind} ${n.name}`),
      ['generated column twice'],
    );
  });

  test(`${name}: what it cannot hold is refused row by row, and a name it cannot have before anything is written`, async () => {
    const { url } = sqliteFile(`
      create table t (k text primary key, at datetime, f real);
      insert into t values ('fine', '2024-01-01 10:00:00.1234', 0.1), ('${'x'.repeat(2000)}', null, null), ('finer', '2024-01-01 10:00:00.123456', null), ('inf', null, 9e999);`);
    await using target = await database();
    const { certificate, exit } = await copied(store, url, target.url);
    assert.equal(exit, 2);
    const refused = certificate.refused[0]!.examples.map((e) => e.key['k']!.slice(0, 5)).sort();
    assert.deepEqual(refused, name === 'Firebird' ? ['finer', 'xxxxx'] : ['inf', 'xxxxx']);
    assert.equal(certificate.tables[0]!.identical, 2);
    const named = sqliteFile('create table "\u{1f600}" (id integer primary key)');
    await assert.rejects(copied(store, named.url, target.url), { code: 'CONFIG', message: /cannot have its name/ });
  });
}
