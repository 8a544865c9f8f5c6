import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LockstepError } from '../../src/model/errors.ts';
import type { Row, Text } from '../../src/model/row.ts';
import type { RowOutcome } from '../../src/model/rows.ts';
import { isMariadbMissing, mariadbDatabase } from '../servers/mariadb.ts';
import { connect } from './mysql-support.ts';
import { batchOf, insert, row, rowsNow, never as signal, tableOf } from './postgres-support.ts';

const o = { signal };
const hostile = "00'); update victim set v = 666; -- ";

if (!isMariadbMissing) {
  test('text for a column whose bytes are written in hex is refused, and never becomes SQL', async () => {
    await using db = await mariadbDatabase();
    for (const sql of [
      'create table victim (v int)',
      'insert into victim values (1)',
      'create table t (id int primary key, shape geometry, data varbinary(50), flags bit(8))',
      'insert into t values (1, point(1, 2), null, null)',
    ])
      await db.query(sql);
    await using endpoint = await connect(db.url, { writable: true });
    const table = await tableOf(endpoint, 't');
    const things = await endpoint.rows!.of(table, ['id'], o);
    const columns = ['id', 'shape'];
    const write = async (cells: Row, key: Row): Promise<readonly RowOutcome[]> => [
      ...(await things.write!([{ op: 'insert', columns, cells: [key[0]!, cells[0]!] }], { columns, atomic: false }, o)),
      ...(await things.write!(
        [{ op: 'update', key: key as readonly Text[], columns: ['shape'], cells, guard: { visible: [], allowed: [] } }],
        { columns, atomic: false },
        o,
      )),
    ];
    const [made] = await write([hostile as Text], row('2'));
    assert.deepEqual(made, { status: 'refused', kind: 'value', column: 'shape' });
    const [, changed] = await write([hostile as Text], row('1'));
    assert.deepEqual(changed, { status: 'refused', kind: 'value', column: 'shape' });
    for (const cells of [
      row('3', hostile, null, null),
      row('3', null, hostile, null),
      row('3', null, null, hostile),
      row('3', '0', null, null),
    ]) {
      const applied = await endpoint.writer!.apply(
        { run: 'r_test', step: 1, token: 0n },
        [batchOf(table, insert(table, cells))],
        o,
      );
      assert.equal(applied.status, 'rejected', JSON.stringify(cells));
    }
    for (const column of ['data', 'flags'])
      for (const op of ['eq', 'lt'] as const)
        await things.count([{ column, op, value: `${hostile}` as Text }], 'exact', o).catch(() => 0);
    assert.deepEqual(await db.query('select v from victim'), [{ v: 1 }]);
    const rows = await rowsNow(endpoint, table);
    assert.equal(rows.length, 1);
    // what is stored can be written again
    const [copied] = await write([rows[0]![1]!], row('4'));
    assert.equal(copied!.status, 'done');
    assert.deepEqual(await db.query('select st_astext(shape) as s from t where id = 4'), [{ s: 'POINT(1 2)' }]);
  });

  test('rows of a table without transactions are read, and writing one by one is refused', async () => {
    await using db = await mariadbDatabase();
    await db.query('create table t (id int primary key, v int) engine = MyISAM');
    await db.query('insert into t values (1, 1)');
    await using endpoint = await connect(db.url, { writable: true });
    const things = await endpoint.rows!.of(await tableOf(endpoint, 't'), ['id'], o);
    const columns = ['id', 'v'];
    await assert.rejects(
      things.write!([{ op: 'insert', columns, cells: row('2', '2') }], { columns, atomic: true }, o),
      (error) => error instanceof LockstepError && error.code === 'NOT_WRITABLE' && /MyISAM/.test(error.message),
    );
    assert.equal(await things.count([], 'exact', o), 1);
  });
}
