import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMariadbMissing, mariadbDatabase } from '../servers/mariadb.ts';
import { connect } from './mysql-support.ts';
import { never } from './postgres-support.ts';

const signal = never;

if (!isMariadbMissing) {
  test('the doctor names rights that are missing or too many, engines, keys, triggers and collations', async () => {
    await using db = await mariadbDatabase();
    await db.query('create table good (id int primary key)');
    await db.query('create table nokey (v int)');
    await db.query('create table old (id int primary key) engine = MyISAM');
    await db.query('create table texts (k varchar(20) collate utf8mb4_general_ci primary key)');
    await db.query('create table bytewise (k varchar(20) collate utf8mb4_nopad_bin primary key)');
    await db.query('create trigger changes before update on good for each row set new.id = old.id');
    const user = `e_${db.name}`.slice(0, 60);
    await db.query(`create user ${user} identified by 'secret'`);
    try {
      await db.query(`grant select, delete on ${db.name}.* to ${user}`);
      await db.query(`grant insert on ${db.name}.good to ${user}`);
      const url = new URL(db.url);
      url.username = user;
      url.password = 'secret';
      await using endpoint = await connect(url.href, { writable: true });
      const { tables } = await endpoint.inspect({ signal });
      const codes = async (writable: boolean): Promise<string[]> =>
        (await endpoint.examine!({ signal, tables, writable })).map(
          (f) => `${f.level} ${f.code} ${f.message} ${f.fix ?? ''}`,
        );
      const writing = await codes(true);
      const says = (lines: readonly string[], what: RegExp): void =>
        assert.ok(
          lines.some((line) => what.test(line)),
          `nothing says ${what}:\n${lines.join('\n')}`,
        );
      says(writing, /^error RIGHTS_MISSING .* may not update on .*\.good .*grant update on `.*`\.`good`/);
      says(writing, /^error RIGHTS_MISSING .* may not insert, update on .*\.texts /);
      says(writing, /^warning MARKER /);
      says(writing, /^error ENGINE .*old is kept by MyISAM.*engine = InnoDB/);
      says(writing, /^warning KEY .*nokey/);
      says(writing, /^warning TRIGGERS .*good.*changes/);
      says(writing, /^advice INDEX .*texts .*utf8mb4_nopad_bin/);
      assert.ok(!writing.some((line) => /INDEX .*bytewise/.test(line)));
      const reading = await codes(false);
      says(reading, /^advice RIGHTS_TOO_MANY .* may insert, delete on .*\.good, .*revoke insert, delete/);
      says(reading, /^warning ENGINE .*no snapshots/);
      assert.ok(!reading.some((line) => /RIGHTS_MISSING|MARKER|TRIGGERS/.test(line)), reading.join('\n'));
    } finally {
      await db.query(`drop user ${user}`);
    }
  });
}
