import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { LockstepError } from '../../src/model/errors.ts';
import type { Row } from '../../src/model/row.ts';
import type { Applied, TableChanges } from '../../src/model/writer.ts';
import { isMariadbMissing, type MariadbDatabase, mariadbDatabase } from '../servers/mariadb.ts';
import { connect } from './mysql-support.ts';
import { batchOf, insert, never, remove, row, rowsNow, tableOf, update } from './postgres-support.ts';

const signal = never;

const apply = (endpoint: Endpoint, step: number, ...batches: TableChanges[]): Promise<Applied> =>
  endpoint.writer!.apply({ run: 'r_test', step, token: 0n }, batches, { signal });

const made = async (db: MariadbDatabase, ...statements: readonly string[]): Promise<Endpoint> => {
  for (const statement of statements) await db.query(statement);
  return connect(db.url, { writable: true });
};

const code = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'nothing',
    (error: unknown) =>
      error instanceof LockstepError ? `${error.code} ${error.message} ${error.hint}` : String(error),
  );

if (!isMariadbMissing) {
  test('a table without transactions, and a view, are refused as targets; nothing is written', async () => {
    await using db = await mariadbDatabase();
    await using endpoint = await made(
      db,
      'create table t (id int primary key, v int) engine = MyISAM',
      'insert into t values (1, 1)',
      'create table base (id int primary key)',
      'create view w as select id from base',
    );
    const table = await tableOf(endpoint, 't');
    const [before] = await rowsNow(endpoint, table);
    assert.match(
      await code(apply(endpoint, 1, batchOf(table, update(table, before!, row('1', '2'))))),
      /NOT_WRITABLE.*MyISAM.*no transactions.*alter table .* engine = InnoDB/s,
    );
    const view = await tableOf(endpoint, 'w');
    const batch = {
      table: view,
      key: ['id'],
      changes: [{ op: 'insert', key: row('1'), before: null, after: row('1'), columns: [0] }],
    };
    assert.match(await code(apply(endpoint, 1, batch as TableChanges)), /NOT_WRITABLE.*view/);
    assert.deepEqual(await rowsNow(endpoint, table), [before]);
    assert.equal(await endpoint.writer!.applied({ run: 'r_test', step: 1 }, { signal }), false);
  });

  test('a row that refers to itself, and a ring of rows, are deleted; a row that others still refer to is not', async () => {
    await using db = await mariadbDatabase();
    await using endpoint = await made(
      db,
      'create table t (id int primary key, other int, foreign key (other) references t (id))',
      'insert into t values (1, null), (2, null), (3, null), (4, null)',
      'update t set other = case id when 1 then 1 when 2 then 3 when 3 then 2 else 4 end',
    );
    const table = await tableOf(endpoint, 't');
    const rows = await rowsNow(endpoint, table);
    const some = (n: number): TableChanges => batchOf(table, ...rows.slice(0, n).map((r) => remove(table, r)));
    const refused = await apply(endpoint, 1, some(2));
    assert.equal(refused.status, 'rejected');
    assert.deepEqual(await rowsNow(endpoint, table), rows);
    assert.equal((await apply(endpoint, 2, some(3))).status, 'done');
    assert.deepEqual(await rowsNow(endpoint, table), [row('4', '4')]);
  });

  test('new rows that refer to themselves and to each other in a ring are inserted; what refers to nothing is named', async () => {
    await using db = await mariadbDatabase();
    await using endpoint = await made(
      db,
      `create table t (id int primary key, other int, changed timestamp(6) default '2020-01-01' on update current_timestamp(6),
        foreign key (other) references t (id))`,
    );
    const table = await tableOf(endpoint, 't');
    const at = '2001-02-03 04:05:06.000007';
    const wanted = [row('1', '1', at), row('2', '4', at), row('3', '2', at), row('4', '3', at), row('5', '2', at)];
    const lost = row('6', '7', at);
    const refused = await apply(endpoint, 1, batchOf(table, ...[...wanted, lost].map((r) => insert(table, r))));
    assert.ok(refused.status === 'rejected' && refused.change?.key[0] === '6', JSON.stringify(refused));
    assert.deepEqual(await rowsNow(endpoint, table), []);
    assert.equal((await apply(endpoint, 2, batchOf(table, ...wanted.map((r) => insert(table, r))))).status, 'done');
    assert.deepEqual(await rowsNow(endpoint, table), wanted);
  });

  test('under a collation without case only the row of exactly this key is written', async () => {
    await using db = await mariadbDatabase();
    await using endpoint = await made(
      db,
      'create table t (k varchar(20) collate utf8mb4_general_ci not null, v int, key (k))',
      `insert into t values ('abc', 1), ('ABC', 2), ('abc ', 3)`,
    );
    const table = await tableOf(endpoint, 't');
    const batch = (...changes: readonly unknown[]): TableChanges => ({ table, key: ['k'], changes }) as TableChanges;
    const change = (before: Row, after: Row) => ({
      op: 'update',
      key: before.slice(0, 1),
      before,
      after,
      columns: [1],
    });
    assert.equal((await apply(endpoint, 1, batch(change(row('ABC', '2'), row('ABC', '20'))))).status, 'done');
    const gone = { op: 'delete', key: row('abc '), before: row('abc ', '3'), after: null };
    assert.equal((await apply(endpoint, 2, batch(gone))).status, 'done');
    const now = await db.query('select k, v from t order by v');
    assert.deepEqual(
      now.map((r) => [r['k'], String(r['v'])]),
      [
        ['abc', '1'],
        ['ABC', '20'],
      ],
    );
    // where the key is unique by the collation, a row of another case is in the way, and stays
    await db.query('create table u (k varchar(20) primary key, v int)');
    await db.query(`insert into u values ('abc', 1)`);
    const other = await tableOf(endpoint, 'u');
    const refused = await apply(endpoint, 3, batchOf(other, insert(other, row('ABC', '2'))));
    assert.equal(refused.status, 'rejected');
    assert.deepEqual(await rowsNow(endpoint, other), [['abc', '1']]);
  });

  test('rows that refer to one another go in any order, and out again', async () => {
    await using db = await mariadbDatabase();
    await using endpoint = await made(
      db,
      'create table t (id int primary key, boss int, foreign key (boss) references t (id))',
    );
    const table = await tableOf(endpoint, 't');
    const rows = [row('1', '2'), row('2', '3'), row('3', null), row('4', '1')];
    assert.equal((await apply(endpoint, 1, batchOf(table, ...rows.map((r) => insert(table, r))))).status, 'done');
    assert.deepEqual(await rowsNow(endpoint, table), rows);
    const gone = [rows[2]!, rows[1]!, rows[0]!, rows[3]!];
    assert.equal((await apply(endpoint, 2, batchOf(table, ...gone.map((r) => remove(table, r))))).status, 'done');
    assert.deepEqual(await rowsNow(endpoint, table), []);
    const orphan = await apply(endpoint, 3, batchOf(table, insert(table, row('9', '8'))));
    assert.equal(orphan.status, 'rejected');
    assert.match(orphan.status === 'rejected' ? orphan.reason : '', /foreign key/i);
  });

  test('a row that others refer to by a cascade is not deleted with them', async () => {
    await using db = await mariadbDatabase();
    await using endpoint = await made(
      db,
      'create table p (id int primary key)',
      'create table c (id int primary key, p int, constraint to_p foreign key (p) references p (id) on delete cascade)',
      'insert into p values (1), (2)',
      'insert into c values (10, 1)',
    );
    const parent = await tableOf(endpoint, 'p');
    const child = await tableOf(endpoint, 'c');
    const both = batchOf(parent, remove(parent, row('1')), remove(parent, row('2')));
    const stale = await apply(endpoint, 1, both);
    assert.equal(stale.status, 'stale');
    if (stale.status === 'stale') {
      assert.deepEqual(
        stale.rows.map((r) => r.change.key),
        [['1']],
      );
      assert.match(stale.rows[0]!.reason!, /rows of .*c refer to it.*to_p/);
    }
    assert.equal((await rowsNow(endpoint, child)).length, 1);
    assert.equal((await apply(endpoint, 2, batchOf(child, remove(child, row('10', '1'))), both)).status, 'done');
    assert.deepEqual(await rowsNow(endpoint, parent), []);
  });

  test('a row larger than the server takes is refused by itself, and large ones go through', async () => {
    await using db = await mariadbDatabase();
    await using endpoint = await made(db, 'create table t (id int primary key, v longtext)');
    const table = await tableOf(endpoint, 't');
    const large = 'x\\\u00e9'.repeat(1_000_000);
    assert.equal(
      (await apply(endpoint, 1, batchOf(table, insert(table, row('1', large)), insert(table, row('2', large))))).status,
      'done',
    );
    assert.deepEqual(await rowsNow(endpoint, table), [row('1', large), row('2', large)]);
    const refused = await apply(endpoint, 2, batchOf(table, insert(table, row('3', 'y'.repeat(17_000_000)))));
    assert.equal(refused.status, 'rejected');
    assert.match(refused.status === 'rejected' ? refused.reason : '', /max_allowed_packet/);
    assert.equal((await rowsNow(endpoint, table)).length, 2);
  });

  test('hostile texts stay texts in every place of a statement', async () => {
    await using db = await mariadbDatabase();
    await using endpoint = await made(db, 'create table t (k varchar(60) collate utf8mb4_bin primary key, v text)');
    const table = await tableOf(endpoint, 't');
    const texts = [
      `'`,
      `\\`,
      `\\'`,
      `'; drop table t; --`,
      `"`,
      '`',
      '\0',
      '\n\r\x1a',
      '%_',
      `\\' or 1 = 1 #`,
      '\u{1f600}',
      '/*',
      '?',
    ];
    const rows = texts.map((text) => row(text, text));
    assert.equal((await apply(endpoint, 1, batchOf(table, ...rows.map((r) => insert(table, r))))).status, 'done');
    const now = await rowsNow(endpoint, table);
    assert.deepEqual(new Set(now.map((r) => r.join('|'))), new Set(rows.map((r) => r.join('|'))));
    const changed = now.map((r) => update(table, r, row(r[0]!, `${r[1]}${r[1]}`)));
    assert.equal((await apply(endpoint, 2, batchOf(table, ...changed))).status, 'done');
    assert.deepEqual(
      await rowsNow(endpoint, table),
      changed.map((c) => c.after),
    );
    assert.equal(
      (await apply(endpoint, 3, batchOf(table, ...changed.map((c) => remove(table, c.after!))))).status,
      'done',
    );
  });

  test('without the right to make our tables, rows are guarded by their state alone', async () => {
    await using db = await mariadbDatabase();
    await db.query('create table t (id int primary key, v int)');
    await db.query('insert into t values (1, 1)');
    const user = `u_${db.name}`.slice(0, 60);
    await db.query(`create user ${user} identified by 'secret'`);
    try {
      await db.query(`grant select, insert, update, delete on ${db.name}.t to ${user}`);
      const url = new URL(db.url);
      url.username = user;
      url.password = 'secret';
      await using endpoint = await connect(url.href, { writable: true });
      assert.equal(await endpoint.writer!.prepare({ signal }), 'state');
      const table = await tableOf(endpoint, 't');
      await using held = await endpoint.writer!.lock({ run: 'a', pair: 't' }, { signal });
      await using other = await connect(url.href, { writable: true });
      assert.match(await code(other.writer!.lock({ run: 'b', pair: 't' }, { signal })), /LOCK_HELD/);
      const change = update(table, row('1', '1'), row('1', '2'));
      const mark = { run: 'a', step: 1, token: held.token };
      assert.equal((await endpoint.writer!.apply(mark, [batchOf(table, change)], { signal })).status, 'done');
      assert.equal((await endpoint.writer!.apply(mark, [batchOf(table, change)], { signal })).status, 'stale');
    } finally {
      await db.query(`drop user ${user}`);
    }
  });

  test('AUTO_INCREMENT moves past a value that an update has set', async () => {
    await using db = await mariadbDatabase();
    await using endpoint = await made(
      db,
      'create table t (id int primary key auto_increment, v int)',
      'insert into t (v) values (1)',
      'update t set id = 40',
    );
    const table = await tableOf(endpoint, 't');
    await endpoint.writer!.advanceSequences([table], { signal });
    await db.query('insert into t (v) values (2)');
    assert.deepEqual(await rowsNow(endpoint, table), [row('40', '1'), row('41', '2')]);
    assert.equal((await apply(endpoint, 1, batchOf(table, insert(table, row('0', '3'))))).status, 'done');
    assert.deepEqual((await rowsNow(endpoint, table))[0], row('0', '3'), 'a zero is a zero');
  });

  test('a step that waits for a locked row ends when it is aborted, and leaves nothing behind', async () => {
    await using db = await mariadbDatabase();
    await using endpoint = await made(
      db,
      'create table t (id int primary key, v int)',
      'insert into t values (1, 1), (2, 2)',
    );
    const table = await tableOf(endpoint, 't');
    await db.query('begin');
    await db.query('update t set v = 5 where id = 2');
    const stop = new AbortController();
    const batches = [row('1', '1'), row('2', '2')].map((r) => batchOf(table, update(table, r, row(r[0]!, '9'))));
    const work = code(endpoint.writer!.apply({ run: 'r_test', step: 1, token: 0n }, batches, { signal: stop.signal }));
    const waiting = `select 1 from information_schema.processlist where db = database() and id <> connection_id()
      and command = 'Query' and time_ms > 100`;
    while ((await db.query(waiting)).length === 0);
    stop.abort();
    assert.match(await work, /ABORTED/);
    await db.query('rollback');
    assert.deepEqual(await rowsNow(endpoint, table), [row('1', '1'), row('2', '2')]);
    const again = batchOf(table, update(table, row('2', '2'), row('2', '9')));
    assert.equal((await apply(endpoint, 1, again)).status, 'done');
  });

  test('a connection that is killed in the middle of a step leaves nothing behind, and a repeat succeeds', async () => {
    await using db = await mariadbDatabase();
    await using endpoint = await made(db, 'create table t (id int primary key, v int)', 'insert into t values (1, 1)');
    const table = await tableOf(endpoint, 't');
    const batch = batchOf(table, update(table, row('1', '1'), row('1', '2')));
    const mark = { run: 'r_test', step: 1, token: 0n };
    const kill = async (): Promise<void> => {
      const own = await db.query(
        'select id from information_schema.processlist where db = database() and id <> connection_id()',
      );
      for (const { id } of own) await db.query(`kill ${id}`).catch(() => {});
    };
    const work = endpoint.writer!.apply(mark, [batch], { signal, written: kill });
    assert.match(await code(work), /CONNECTION_LOST/);
    assert.equal(await endpoint.writer!.applied(mark, { signal }), false);
    assert.deepEqual(await rowsNow(endpoint, table), [row('1', '1')]);
    assert.equal((await endpoint.writer!.apply(mark, [batch], { signal })).status, 'done');
    assert.equal((await endpoint.writer!.apply(mark, [batch], { signal })).status, 'already');
  });
}
