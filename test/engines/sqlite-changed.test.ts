import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, describe, test } from 'node:test';
import { sqlite } from '../../src/engines/sqlite/index.ts';
import type { Text } from '../../src/model/row.ts';
import type { ColumnType } from '../../src/model/schema.ts';
import type { SelectedColumn, Selection } from '../../src/model/selected.ts';
import { nativeSelection } from '../../src/model/selection.ts';
import { incrementalRuns, rule } from '../diff/incremental-runs.ts';
import { never, tableOf } from './postgres-support.ts';

const o = { signal: never };

describe('rows that changed in SQLite', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-changed-'));
  const open = async (name: string) => {
    const path = join(dir, `${name}.sqlite`);
    const db = new DatabaseSync(path);
    db.exec('pragma journal_mode = wal');
    return {
      db,
      path,
      endpoint: await sqlite.connect(sqlite.parse(`sqlite:${path}`), { name, writable: false, signal: never }),
    };
  };
  const [left, right] = [await open('left'), await open('right')];
  after(async () => {
    for (const { db, endpoint } of [left, right]) {
      await endpoint[Symbol.asyncDispose]();
      db.close();
    }
    rmSync(dir, { recursive: true });
  });
  const timestamp: ColumnType = { kind: 'timestamp', fraction: 6 };

  test('times that are written in many ways: never fewer rows than have changed', async () => {
    const values = {
      1: `'2024-05-01 12:00:00'`,
      2: `'2024-05-01T12:00:00Z'`,
      3: `'2024-05-01 12:00'`,
      4: `'2024-05-01 11:59:59.999999'`,
      5: `'2024-05-01'`,
      6: `'2024-05-01 07:00:00-05:00'`,
      7: 'null',
      8: '1714564800',
      9: `'01/05/2024 12:00'`,
      10: `x'00'`,
      11: `'2024-04-30 23:00:00'`,
      12: `'2024-05-01 11:00:00'`,
      13: `'1714564800'`,
    };
    left.db.exec('create table timed (id integer primary key, at datetime)');
    for (const [id, value] of Object.entries(values)) left.db.exec(`insert into timed values (${id}, ${value})`);
    const table = await tableOf(left.endpoint, 'timed');
    const whole = nativeSelection(table, ['id']);
    const selection: Selection = { ...whole, columns: whole.columns.slice(0, 1) };
    const column: SelectedColumn = { name: 'at', stored: table.columns[1]!.type, as: timestamp, loose: true };
    await using reader = await left.endpoint.snapshot(o);
    const columns = reader.changes!.columns!;
    const from = async (bound: string): Promise<string> => {
      const keys: number[] = [];
      for await (const rows of columns.since(selection, column, bound as Text, o))
        keys.push(...rows.map((r) => Number(r[0])));
      return keys.sort((a, b) => a - b).join();
    };
    // 1, 2, 3, 6 are noon; 7 to 10 and 13 cannot be compared; 4 is within the minute that is added.
    assert.equal(await from('2024-05-01 12:00:00'), '1,2,3,4,6,7,8,9,10,13');
    assert.equal(await from('2024-05-01 00:00:00'), '1,2,3,4,5,6,7,8,9,10,12,13');
    // A `T` sorts after the blank, so its day is shown to the end.
    assert.equal(await from('2024-05-02 00:00:00'), '2,6,7,8,9,10,13');
  });

  test('the greatest value: what cannot be read is nothing to go by', async () => {
    left.db.exec(`create table latest (id integer primary key, good datetime, bad datetime, n integer);
      insert into latest values (1, '2024-05-01 12:00:00', 'tomorrow', 5), (2, '2024-05-02', 'soon', null)`);
    const table = await tableOf(left.endpoint, 'latest');
    const of = (name: string): SelectedColumn => {
      const { type } = table.columns.find((c) => c.name === name)!;
      return { name, stored: type, as: type, loose: true };
    };
    await using reader = await left.endpoint.snapshot(o);
    const { latest } = reader.changes!.columns!;
    const good = await latest({ name: 'latest' }, of('good'), o);
    assert.equal(good.value, '2024-05-02 00:00:00');
    assert.match(good.now!, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/);
    assert.deepEqual(await latest({ name: 'latest' }, of('n'), o), { value: '5' });
    const runs = incrementalRuns(left.endpoint, right.endpoint);
    right.db.exec(`create table latest (id integer primary key, good datetime, bad datetime, n integer);
      insert into latest values (1, '2024-05-01 12:00:00', 'tomorrow', 5), (2, '2024-05-02', 'soon', null)`);
    const only = { pairs: [{ source: 'latest' }] };
    for (let i = 0; i < 2; i++) {
      const { facts } = await runs.run(rule('bad'), only);
      assert.equal(facts.mode, 'full');
    }
    await runs.run(rule('good'), only);
    assert.equal((await runs.run(rule('good'), only)).facts.mode, 'changes');
  });

  test('a transaction that was open while a comparison ran, and one that commits with an older time', async () => {
    for (const { db } of [left, right])
      db.exec(`create table late (id integer primary key, v text, at datetime);
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 300)
        insert into late select i, 'v' || i, datetime('2024-05-01 12:00:00', i || ' seconds') from n`);
    const runs = incrementalRuns(left.endpoint, right.endpoint);
    const only = { pairs: [{ source: 'late' }] };
    const byAt = rule('at', { overlapMs: 60_000 });
    left.db.exec(`begin; update late set v = 'open', at = '2024-05-01 12:04:40' where id = 9`);
    assert.equal((await runs.run(byAt, only)).report.verdict, 'agrees');
    left.db.exec('commit');
    left.db.exec(
      `update late set v = 'too late', at = '2024-05-01 11:00:00' where id = 10; delete from late where id = 11`,
    );
    const found = await runs.run(byAt, only);
    assert.equal(found.pair.strategy, 'incremental');
    assert.deepEqual(found.keys, ['9', '11']);
    assert.equal((await runs.run(byAt, { ...only, full: 'asked for' })).facts.missed, 1);
  });

  test('a text column that holds times tells changed rows; one that holds names does not', async () => {
    for (const { db } of [left, right])
      db.exec(`create table texts (id integer primary key, name text, at text);
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 300)
        insert into texts select i, 'n' || i, datetime('2024-05-01 12:00:00', i || ' minutes') from n`);
    const runs = incrementalRuns(left.endpoint, right.endpoint);
    const only = { pairs: [{ source: 'texts' }] };
    await runs.run(rule('at'), only);
    left.db.exec(`update texts set name = 'new', at = '2024-05-01T16:59:00Z' where id = 7`);
    const found = await runs.run(rule('at'), only);
    assert.equal(found.pair.strategy, 'incremental');
    assert.deepEqual(found.keys, ['7']);
    for (let i = 0; i < 2; i++) assert.equal((await runs.run(rule('name'), only)).facts.mode, 'full');
  });
});
