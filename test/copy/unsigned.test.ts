import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMariadbMissing, mariadbDatabase } from '../servers/mariadb.ts';
import { testDatabase } from '../servers/postgres.ts';
import { freshStore } from '../store/fresh-store.ts';
import { copied } from './support.ts';

const { store } = await freshStore();

test('BIGINT UNSIGNED keys go on counting, and keep their foreign keys', { skip: isMariadbMissing }, async () => {
  await using source = await mariadbDatabase();
  await using same = await mariadbDatabase();
  await using other = await testDatabase();
  await source.query(`create table p (id bigint unsigned auto_increment primary key, v varchar(5));
    create table c (id bigint unsigned auto_increment primary key, p bigint unsigned, foreign key (p) references p (id));
    insert into p values (7, 'a'); insert into c values (1, 7), (2, null)`);
  for (const target of [same, other]) {
    const { certificate } = await copied(store, source.url, target.url);
    assert.equal(certificate.verdict, 'certified', JSON.stringify(certificate));
    assert.deepEqual(certificate.notes, []);
    await target.query(`insert into p (v) values ('next')`);
  }
  assert.deepEqual(
    await same.rows('select id from p order by id'),
    await source.rows('select id from p union select 8'),
  );
  assert.deepEqual((await other.query('select id from p order by id')).rows, [{ id: '7' }, { id: '8' }]);
  await assert.rejects(other.query('insert into c (p) values (99)'), /foreign key/);
});
