import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { Text } from '../../src/model/row.ts';
import type { SelectedColumn, Selection } from '../../src/model/selected.ts';
import { nativeSelection } from '../../src/model/selection.ts';
import { incrementalRuns, rule } from '../diff/incremental-runs.ts';
import { isMariadbMissing, type MariadbDatabase, mariadbDatabase } from '../servers/mariadb.ts';
import { connect } from './mysql-support.ts';
import { never, tableOf } from './postgres-support.ts';

const o = { signal: never };

const all = async (db: MariadbDatabase, ...statements: readonly string[]): Promise<void> => {
  for (const sql of statements) await db.query(sql);
};

describe('rows that changed in MySQL', { skip: isMariadbMissing }, async () => {
  const source = await mariadbDatabase();
  const target = await mariadbDatabase();
  const left = await connect(source.url, { name: 'left' });
  const right = await connect(target.url, { name: 'right' });
  after(async () => {
    for (const x of [left, right, source, target]) await x[Symbol.asyncDispose]();
  });

  test('by a column: greatest value in UTC, a bound, NULL, zero dates', async () => {
    await all(
      source,
      'create table timed (id int primary key, ts timestamp(6) null, dt datetime(6), d date, n bigint unsigned)',
      `set time_zone = '+02:00'`,
      `insert into timed values (1, '2024-05-01 12:00:00.123456', '2024-05-01 12:00:00.5', '2024-05-01', 18446744073709551615), (2, null, null, null, null),
        (3, '2024-05-01 12:00:00.123455', '2024-05-01 12:00:00.4', '2024-04-30', 4)`,
      `set sql_mode = ''`,
      `insert into timed values (4, '2024-05-01 00:00:00', '0000-00-00 00:00:00', '0000-00-00', 0)`,
    );
    const table = await tableOf(left, 'timed');
    const whole = nativeSelection(table, ['id']);
    const selection: Selection = { ...whole, columns: whole.columns.slice(0, 1) };
    const of = (name: string): SelectedColumn => {
      const { type } = table.columns.find((c) => c.name === name)!;
      return { name, stored: type, as: type };
    };
    await using reader = await left.snapshot(o);
    const columns = reader.changes!.columns!;
    assert.equal(reader.changes!.version, undefined);
    const latest = await columns.latest(selection.table, of('ts'), o);
    assert.equal(latest.value, '2024-05-01 10:00:00.123456');
    assert.match(latest.now!, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/);
    assert.equal((await columns.latest(selection.table, of('dt'), o)).value, '2024-05-01 12:00:00.5');
    assert.equal((await columns.latest(selection.table, of('d'), o)).value, '2024-05-01');
    const from = async (name: string, bound: string): Promise<string> => {
      const keys: string[] = [];
      for await (const rows of columns.since(selection, of(name), bound as Text, o))
        keys.push(...rows.map((r) => r[0]!));
      return keys.sort().join();
    };
    assert.equal(await from('ts', '2024-05-01 10:00:00.123456'), '1,2');
    assert.equal(await from('ts', '2024-05-01 10:00:00.123455'), '1,2,3');
    assert.equal(await from('dt', '2024-05-01 12:00:00.45'), '1,2');
    assert.equal(await from('d', '2024-05-01'), '1,2');
  });

  test('a transaction that took its time before a comparison and commits after it: seen within the overlap', async () => {
    for (const db of [source, target])
      await all(
        db,
        'create table late (id int primary key, v text, at datetime(6))',
        `insert into late select seq, concat('v', seq), '2024-05-01 12:00:00' + interval seq second from seq_1_to_300`,
      );
    const runs = incrementalRuns(left, right);
    const only = { pairs: [{ source: 'late' }] };
    const byAt = rule('at', { overlapMs: 60_000 });
    await runs.run(byAt, only);
    // Greatest: 12:05:00. As if begun before the comparison: half a minute, and half an hour, before that.
    await all(
      source,
      `update late set v = 'late', at = '2024-05-01 12:04:30' where id = 1`,
      `update late set v = 'too late', at = '2024-05-01 11:35:00' where id = 2`,
      'delete from late where id = 3',
    );
    const found = await runs.run(byAt, only);
    assert.equal(found.pair.strategy, 'incremental');
    assert.deepEqual(found.keys, ['1', '3']);
    assert.deepEqual(found.facts.table_rows, { source: 299, target: 300 });
    const full = await runs.run(byAt, { ...only, full: 'asked for' });
    assert.deepEqual([full.keys, full.facts.missed], [['1', '2', '3'], 1]);
  });
});
