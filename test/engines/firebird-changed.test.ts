import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { parseConfig } from '../../src/engines/firebird/config.ts';
import { openConnection } from '../../src/engines/firebird/connect.ts';
import { firebird } from '../../src/engines/firebird/index.ts';
import { Session } from '../../src/engines/firebird/session.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { Text } from '../../src/model/row.ts';
import type { SelectedColumn, Selection } from '../../src/model/selected.ts';
import { nativeSelection } from '../../src/model/selection.ts';
import { incrementalRuns, rule } from '../diff/incremental-runs.ts';
import { type FirebirdDatabase, firebirdDatabase, isFirebirdMissing, ownFirebird } from '../servers/firebird.ts';
import { firebirdBinaries } from '../servers/firebird-binaries.ts';
import { never, tableOf } from './postgres-support.ts';

const o = { signal: never };
const at = { signal: never, doing: 'testing' };
const byVersion = rule('record_version');

const connect = (db: FirebirdDatabase, name: string): Promise<Endpoint> =>
  firebird.connect(firebird.parse(db.url), { name, writable: false, signal: never });

/** A transaction of another program, open until it is committed. */
const openTransaction = async (db: FirebirdDatabase) => {
  const config = parseConfig(db.url);
  const context = { name: 'other', config, clock: systemClock, statementTimeoutMs: undefined };
  const session = new Session(context, await openConnection(config, 'other', never));
  await session.begin('write', at);
  return {
    query: (sql: string) => session.query(sql, at),
    commit: () => session.commit(at),
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
};

describe('rows that changed in Firebird', { skip: isFirebirdMissing }, async () => {
  const source = await firebirdDatabase();
  const target = await firebirdDatabase();
  const left = await connect(source, 'left');
  const right = await connect(target, 'right');
  after(async () => {
    for (const x of [left, right, source, target]) await x[Symbol.asyncDispose]();
    if (!process.env['LOCKSTEP_TEST_FIREBIRD_URL']) await (await ownFirebird())[Symbol.asyncDispose]();
  });
  const filled = async (db: FirebirdDatabase, name: string): Promise<void> => {
    await db.run(`create table ${name} (id integer not null primary key, v varchar(20), changed timestamp)`);
    await db.run(
      `execute block as declare i integer = 1; begin while (i <= 50) do begin insert into ${name} values (:i, 'v' || :i, '2024-05-01 12:00'); i = i + 1; end end`,
    );
  };
  const keySelection = async (name: string): Promise<Selection> => {
    const selection = nativeSelection(await tableOf(left, name), ['ID']);
    return { ...selection, columns: selection.columns.slice(0, 1) };
  };
  const markOf = async (name: string): Promise<string> => {
    await using reader = await left.snapshot(o);
    return (await reader.changes!.version!.mark({ name }, o)) as string;
  };
  const since = async (name: string, mark: string, endpoint = left): Promise<string[] | string> => {
    await using reader = await endpoint.snapshot(o);
    const found = await reader.changes!.version!.since(await keySelection(name), mark, o);
    if ('unable' in found) return found.unable;
    const keys: string[] = [];
    for await (const rows of found) keys.push(...rows.map((row) => row[0]!));
    return keys.sort();
  };

  test('a transaction that was active when a snapshot began is seen when it has committed, however many have since', async () => {
    await filled(source, 'late');
    await using early = await openTransaction(source);
    await early.query(`update late set v = 'early' where id = 1`);
    for (let i = 0; i < 5; i++) await source.run(`update late set v = 'other${i}' where id = 3`);
    const reader = await left.snapshot(o);
    // It ends before the mark is asked for: what the database says then is too new for this snapshot.
    await early.query(`update late set v = 'last' where id = 5`);
    await early.commit();
    await source.run(`update late set v = 'after' where id = 7`);
    const mark = (await reader.changes!.version!.mark({ name: 'LATE' }, o)) as string;
    await reader[Symbol.asyncDispose]();
    assert.deepEqual(await since('LATE', mark), ['1', '3', '5', '7']);
    assert.deepEqual(await since('LATE', await markOf('LATE')), []);
  });

  test('a mark of the future says nothing, nor has a view one', async () => {
    await filled(source, 'odd');
    const facts = JSON.parse(await markOf('ODD')) as { own: string };
    assert.match(
      (await since('ODD', JSON.stringify({ ...facts, own: String(BigInt(facts.own) + 1000n) }))) as string,
      /gone back to an earlier state/,
    );
    await source.run('create view seen as select * from odd');
    await using reader = await left.snapshot(o);
    const mark = (await reader.changes!.version!.mark({ name: 'SEEN' }, o)) as { unable: string };
    assert.match(mark.unable, /SEEN is a view/);
  });

  test('by a column: greatest value, a bound of six digits, NULL', async () => {
    await source.run('create table timed (id integer not null primary key, changed timestamp, d date, n bigint)');
    await source.run(
      `insert into timed values (1, '2024-05-01 12:00:00.1234', '2024-05-01', 5)`,
      'insert into timed values (2, null, null, null)',
      `insert into timed values (3, '2024-05-01 12:00:00.1233', '2024-04-30', -4)`,
    );
    const selection = await keySelection('TIMED');
    const table = await tableOf(left, 'TIMED');
    await using reader = await left.snapshot(o);
    const columns = reader.changes!.columns!;
    const of = (name: string): SelectedColumn => {
      const { type } = table.columns.find((c) => c.name === name)!;
      return { name, stored: type, as: type };
    };
    const latest = await columns.latest({ name: 'TIMED' }, of('CHANGED'), o);
    assert.equal(latest.value, '2024-05-01 12:00:00.1234');
    assert.match(latest.now!, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/);
    assert.equal((await columns.latest({ name: 'TIMED' }, of('D'), o)).value, '2024-05-01');
    assert.deepEqual(await columns.latest({ name: 'TIMED' }, of('N'), o), { value: '5' });
    const from = async (name: string, bound: string): Promise<string> => {
      const keys: string[] = [];
      for await (const rows of columns.since(selection, of(name), bound as Text, o))
        keys.push(...rows.map((r) => r[0]!));
      return keys.sort().join();
    };
    assert.equal(await from('CHANGED', '2024-05-01 12:00:00.123400'), '1,2');
    assert.equal(
      await from('CHANGED', '2024-05-01 12:00:00.123399'),
      '1,2,3',
      'cut to what the database keeps: too many, never too few',
    );
    assert.equal(await from('D', '2024-05-01'), '1,2');
    assert.equal(await from('N', '-4'), '1,2,3');
    assert.equal(await from('N', '-3'), '1,2');
  });

  test('two databases compared by record version: edits and deletes on either side', async () => {
    await filled(source, 'whole');
    await filled(target, 'whole');
    const runs = incrementalRuns(left, right);
    const only = { pairs: [{ source: 'WHOLE' }] };
    await runs.run(byVersion, only);
    const quiet = await runs.run(byVersion, only);
    assert.equal(quiet.pair.strategy, 'incremental');
    assert.equal(quiet.report.verdict, 'agrees');
    assert.deepEqual(quiet.facts.by, { source: 'record_version', target: 'record_version' });
    assert.deepEqual(quiet.facts.table_rows, { source: 50, target: 50 });
    await source.run(
      `update whole set v = 'a' where id = 1`,
      'delete from whole where id = 2',
      `insert into whole values (60, 'new', null)`,
    );
    await target.run(`update whole set v = 'alone' where id = 3`, 'delete from whole where id = 4');
    assert.deepEqual((await runs.run(byVersion, only)).keys, ['1', '2', '3', '4', '60']);
    assert.equal((await runs.run(byVersion, { ...only, full: 'asked for' })).facts.missed, 0);
  });

  test('a database that was backed up and restored is another one, and its numbers begin again', async () => {
    await using db = await firebirdDatabase();
    await filled(db, 'kept');
    await using twin = await firebirdDatabase();
    await filled(twin, 'kept');
    await using other = await connect(twin, 'right');
    for (let i = 0; i < 40; i++) await db.run(`update kept set v = 'x' where id = ${i + 1}`);
    for (let i = 0; i < 40; i++) await twin.run(`update kept set v = 'x' where id = ${i + 1}`);
    const { host, port, user, password, database } = parseConfig(db.url);
    const binaries = await firebirdBinaries();
    const libraries = binaries.libraries.length === 0 ? {} : { LD_LIBRARY_PATH: binaries.libraries.join(':') };
    const backup = join(mkdtempSync(join(tmpdir(), 'lockstep-gbak-')), 'kept.fbk');
    const gbak = (...args: string[]) =>
      promisify(execFile)(binaries.gbak, [...args, '-user', user, '-password', password!], {
        env: { ...process.env, ...libraries, FIREBIRD_MSG: binaries.home },
      });
    let mark = '';
    let standings: ReturnType<typeof incrementalRuns>['standings'];
    {
      await using before = await connect(db, 'left');
      const runs = incrementalRuns(before, other);
      assert.equal((await runs.run(byVersion)).report.verdict, 'agrees');
      assert.equal((await runs.run(byVersion)).facts.mode, 'changes');
      standings = runs.standings;
      await using reader = await before.snapshot(o);
      mark = (await reader.changes!.version!.mark({ name: 'KEPT' }, o)) as string;
    }
    await db.away();
    const place = `${host}/${port}:${database}`;
    await gbak('-b', place, backup);
    await gbak('-rep', backup, place);
    rmSync(dirname(backup), { recursive: true });
    await using restored = await connect(db, 'left');
    await using reader = await restored.snapshot(o);
    const selection = nativeSelection(await tableOf(restored, 'KEPT'), ['ID']);
    const found = await reader.changes!.version!.since(
      { ...selection, columns: selection.columns.slice(0, 1) },
      mark,
      o,
    );
    assert.match((found as { unable: string }).unable, /was restored: its numbers began again/);
    const again = incrementalRuns(restored, other);
    for (const [key, standing] of standings) again.standings.set(key, standing);
    assert.match((await again.run(byVersion)).facts.why!, /no earlier comparison of the same/);
  });
});
