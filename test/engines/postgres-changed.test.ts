import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import pg from 'pg';
import { writtenSince } from '../../src/engines/postgres/changed.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { Reader } from '../../src/model/reader.ts';
import type { Text } from '../../src/model/row.ts';
import type { SelectedColumn, Selection } from '../../src/model/selected.ts';
import { nativeSelection } from '../../src/model/selection.ts';
import { type Cluster, startCluster, stopCluster } from '../../src/store/embedded/cluster.ts';
import { incrementalRuns, rule } from '../diff/incremental-runs.ts';
import { compareAll } from '../diff/tables.ts';
import { startPostgres, type TestDatabase, testDatabase } from '../servers/postgres.ts';
import { connect, never, tableOf } from './postgres-support.ts';

const o = { signal: never };
const byXmin = rule('xmin');

/** A session of another program. */
const client = async (database: TestDatabase): Promise<pg.Client> => {
  const session = new pg.Client(database.url);
  await session.connect();
  return session;
};

// A transaction that anybody has open on the server holds the bound back, so this server is nobody else's.
const server = await startPostgres({ autovacuum: 'off' });
process.env['LOCKSTEP_TEST_POSTGRES_URL'] = server.url();
let running: Cluster = server;
after(async () => {
  await stopCluster(running, 'immediate');
  await server[Symbol.asyncDispose]();
});

describe('rows that changed in PostgreSQL', async () => {
  const source = await testDatabase();
  const target = await testDatabase();
  const left = await connect(source.url, { name: 'left' });
  const right = await connect(target.url, { name: 'right' });
  after(async () => {
    for (const x of [left, right, source, target]) await x[Symbol.asyncDispose]();
  });
  const both = async (sql: string): Promise<void> => {
    await source.query(sql);
    await target.query(sql);
  };
  const only = (table: string) => ({ pairs: [{ source: table }] });
  const filled = async (name: string, rows = 50): Promise<void> => {
    await both(`create table ${name} (id int primary key, v text, at timestamptz default now());
                insert into ${name} select i, 'v' || i, '2024-05-01' from generate_series(1, ${rows}) i`);
  };

  const keysOf = async (reader: Reader, table: string, mark: string): Promise<string[] | string> => {
    const selection = await keySelection(left, table);
    const found = await reader.changes!.version!.since(selection, mark, o);
    if ('unable' in found) return found.unable;
    const keys: string[] = [];
    for await (const rows of found) keys.push(...rows.map((row) => row.join(',')));
    return keys.sort();
  };
  const keySelection = async (endpoint: Endpoint, table: string): Promise<Selection> => {
    const selection = nativeSelection(await tableOf(endpoint, table), ['id']);
    return { ...selection, columns: selection.columns.slice(0, 1) };
  };
  const markIn = async (table: string): Promise<string> => {
    await using reader = await left.snapshot(o);
    const mark = await reader.changes!.version!.mark({ schema: 'public', name: table }, o);
    assert.equal(typeof mark, 'string');
    return mark as string;
  };
  const since = async (table: string, mark: string): Promise<string[] | string> => {
    await using reader = await left.snapshot(o);
    return await keysOf(reader, table, mark);
  };

  test('a transaction that began before a snapshot and commits after it is seen, its subtransactions too', async () => {
    await filled('late');
    const [early, other] = [await client(source), await client(source)];
    try {
      await early.query(
        `begin; update late set v = 'early' where id = 1; savepoint s; update late set v = 'sub' where id = 2; release s`,
      );
      // Later numbers that commit first, so that the snapshot's greatest number is far behind the early one's.
      for (let i = 0; i < 5; i++) await other.query(`update late set v = 'other${i}' where id = 3`);
      const mark = await markIn('late');
      await early.query(
        `savepoint t; update late set v = 'sub too' where id = 4; rollback to t; update late set v = 'last' where id = 5; commit`,
      );
      const found = await since('late', mark);
      assert.deepEqual(
        found,
        ['1', '2', '3', '5'],
        'what was committed before may be shown again, what was rolled back is not',
      );
      assert.deepEqual(await since('late', await markIn('late')), []);
    } finally {
      await early.end();
      await other.end();
    }
  });

  test('locking a row changes nothing, an update that changes nothing counts', async () => {
    await filled('locked');
    const mark = await markIn('locked');
    await source.query(
      `begin; select * from locked where id = 7 for update; select * from locked where id = 8 for key share; commit`,
    );
    assert.deepEqual(await since('locked', mark), []);
    await source.query(`update locked set v = v where id = 9`);
    assert.deepEqual(await since('locked', mark), ['9']);
  });

  test('frozen rows keep their numbers: those written since are seen, the others are not', async () => {
    await filled('frozen');
    const mark = await markIn('frozen');
    await source.query(`update frozen set v = 'new' where id in (3, 4)`);
    await source.query('vacuum (freeze, analyze) frozen');
    assert.deepEqual(await since('frozen', mark), ['3', '4']);
    assert.deepEqual(await since('frozen', await markIn('frozen')), []);
  });

  test('a table that is rewritten or emptied shows all its rows; one that took its name is another', async () => {
    await filled('moved');
    const mark = await markIn('moved');
    await source.query('vacuum full moved');
    assert.deepEqual(await since('moved', mark), [], 'a copy keeps the numbers');
    await source.query(`truncate moved; insert into moved values (77, 'x')`);
    assert.deepEqual(await since('moved', mark), ['77']);
    await source.query(`create table moved2 (like moved including all); insert into moved2 values (1, 'swapped in')`);
    await source.query('alter table moved rename to moved_old; alter table moved2 rename to moved');
    assert.match((await since('moved', mark)) as string, /is another table now/);
  });

  test('partitions that are attached later bring rows that nobody wrote', async () => {
    await source.query(`create table parted (id int primary key, v text) partition by range (id);
      create table parted_1 partition of parted for values from (0) to (100); insert into parted values (1, 'a'), (2, 'b');
      create table parted_2 (id int primary key, v text); insert into parted_2 values (150, 'old')`);
    const mark = await markIn('parted');
    await source.query(`update parted set v = 'c' where id = 2`);
    assert.deepEqual(await since('parted', mark), ['2']);
    await source.query('alter table parted attach partition parted_2 for values from (100) to (200)');
    assert.match((await since('parted', mark)) as string, /has other partitions/);
  });

  test('views have no versions, and row security hides some', async () => {
    await filled('plain');
    const role = `lockstep_${source.name}`;
    await source.query(`create view seen as select * from plain; create role ${role} login password 'x';
      grant select on plain to ${role}; alter table plain enable row level security; create policy p on plain using (id < 10)`);
    try {
      const url = new URL(source.url);
      [url.username, url.password] = [role, 'x'];
      await using limited = await connect(url.href);
      for (const [endpoint, name, why] of [
        [left, 'seen', /is a view, whose rows have no xmin/],
        [limited, 'plain', /row security hides rows of public.plain from this user/],
      ] as const) {
        await using reader = await endpoint.snapshot(o);
        const mark = await reader.changes!.version!.mark({ schema: 'public', name }, o);
        assert.match((mark as { unable: string }).unable, why);
      }
    } finally {
      await source.query(`drop owned by ${role}; drop role ${role}`);
    }
  });

  test('a mark of another server, timeline, start or of the future says nothing', async () => {
    await filled('odd');
    const mark = await markIn('odd');
    const facts = JSON.parse(mark) as Record<string, string>;
    const with_ = (more: Record<string, string>): Promise<string[] | string> =>
      since('odd', JSON.stringify({ ...facts, ...more }));
    assert.deepEqual(await with_({}), []);
    assert.match((await with_({ timeline: '00000002' })) as string, /promoted or restored/);
    assert.match((await with_({ started: '1' })) as string, /the server was started since/);
    assert.match(
      (await with_({ next: String(BigInt(facts['next']!) + 1000n) })) as string,
      /gone back to an earlier state/,
    );
    assert.match((await with_({ xmin: String(BigInt(facts['xmin']!) - 2n ** 32n) })) as string, /two billion/);
  });

  test('numbers of 32 bits are counted back over the end of their ring', async () => {
    const session = await client(source);
    try {
      // The number that ages are counted from stays the same for the whole transaction, whatever is written meanwhile.
      await session.query('begin isolation level repeatable read read only');
      const ask = async (sql: string): Promise<string> =>
        Object.values((await session.query(sql)).rows[0])[0] as string;
      const three = BigInt(await ask(`select age('3'::xid)::text`));
      await source.query('select pg_current_xact_id()');
      assert.equal(BigInt(await ask(`select age('3'::xid)::text`)), three);
      const low = BigInt.asUintN(32, 3n + three);
      /** Is a row shown that was written so many numbers ago? */
      const shown = async (condition: string, ago: bigint): Promise<boolean> => {
        const xid = BigInt.asUintN(32, low - ago);
        return (await ask(`select (${condition.replace('(xmin)', `('${xid}'::xid)`)})::text`)) === 'true';
      };
      for (const epoch of [1n, 2n, 1000n]) {
        const latest = epoch * 2n ** 32n + low;
        // The next number of the snapshot may lie a little before.
        for (const next of [latest, latest - 7n]) {
          // Beyond `low` the numbers are those of the epoch before.
          for (const back of [1000n, low + 1000n, 2n ** 31n - 1n]) {
            const condition = writtenSince(latest - back, next, three)!;
            const at = `epoch ${epoch}, ${back} back`;
            for (const ago of [1n, back - 1n, back]) assert.equal(await shown(condition, ago), true, `${at}: ${ago}`);
            for (const ago of [back + 1n, 2n ** 31n, 2n ** 32n - 1n])
              assert.equal(await shown(condition, ago), false, `${at}: ${ago}`);
            assert.equal(await shown(condition, 2n ** 32n + 5n), true, 'a whole ring ago: shown once too often');
          }
        }
        assert.equal(writtenSince(latest - 2n ** 31n, latest, three), undefined);
        assert.equal(writtenSince(latest + 1n, latest, three), undefined);
      }
      assert.equal(await shown('pg_catalog.age(xmin) between 0 and 2147483646', low - 2n), false, 'frozen long ago');
    } finally {
      await session.end();
    }
  });

  test('by a column: the greatest value in UTC, times and dates from a bound on, NULL, infinity', async () => {
    await source.query(`create table timed (id int primary key, at timestamptz, local timestamp, day date, n int);
      insert into timed values (1, '2024-05-01 12:00:00.123456+02', '2024-05-01 12:00', '2024-05-01', 5), (2, null, null, null, null),
        (3, '2024-05-01 10:00:00.123455Z', '2024-05-01 11:59:59.999999', '2024-04-30', 4), (4, 'infinity', '-infinity', '0044-03-15 BC', -7)`);
    const selection = await keySelection(left, 'timed');
    const table = await tableOf(left, 'timed');
    await using reader = await left.snapshot(o);
    const columns = reader.changes!.columns!;
    const of = (name: string): SelectedColumn => {
      const { type } = table.columns.find((c) => c.name === name)!;
      return { name, stored: type, as: type };
    };
    const latest = async (name: string) => (await columns.latest(selection.table, of(name), o)).value;
    assert.deepEqual(
      [await latest('at'), await latest('local'), await latest('day'), await latest('n')],
      ['infinity', '2024-05-01 12:00:00', '2024-05-01', '5'],
    );
    const { now } = await columns.latest(selection.table, of('at'), o);
    assert.match(now!, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/);
    const from = async (name: string, bound: string): Promise<string> => {
      const keys: string[] = [];
      for await (const rows of columns.since(selection, of(name), bound as Text, o))
        keys.push(...rows.map((r) => r[0]!));
      return keys.sort().join();
    };
    assert.equal(await from('at', '2024-05-01 10:00:00.123456'), '1,2,4');
    assert.equal(await from('at', '2024-05-01 10:00:00.123455'), '1,2,3,4');
    assert.equal(await from('local', '2024-05-01 12:00:00'), '1,2');
    assert.equal(await from('day', '2024-05-01'), '1,2');
    assert.equal(await from('n', '5'), '1,2');
    assert.equal(await from('n', '-7'), '1,2,3,4');
    assert.match(
      (await columns.latest(selection.table, of('n'), o)).history!,
      /^00000001 \d+ /,
      'the timeline and the table',
    );
  });

  test('two databases compared by xmin: edits and deletes on either side, a target edited alone, nothing missed', async () => {
    await filled('whole');
    const runs = incrementalRuns(left, right);
    assert.equal((await runs.run(byXmin, only('whole'))).facts.mode, 'full');
    const quiet = await runs.run(byXmin, only('whole'));
    assert.equal(quiet.pair.strategy, 'incremental');
    assert.equal(quiet.report.verdict, 'agrees');
    assert.equal(quiet.pair.rows.source, 0);
    assert.deepEqual(quiet.facts.by, { source: 'xmin', target: 'xmin' });
    const early = await client(source);
    await early.query(`begin; update whole set v = 'early' where id = 10`);
    await source.query(
      `update whole set v = 'a' where id = 1; delete from whole where id = 2; insert into whole values (60, 'new')`,
    );
    await target.query(`update whole set v = 'alone' where id = 3; delete from whole where id = 4`);
    const found = await runs.run(byXmin, only('whole'));
    assert.deepEqual(found.keys, ['1', '2', '3', '4', '60']);
    await early.query('commit');
    await early.end();
    assert.deepEqual((await runs.run(byXmin, only('whole'))).keys, ['1', '2', '3', '4', '10', '60']);
    const full = await runs.run(byXmin, { ...only('whole'), full: 'asked for' });
    assert.deepEqual([full.keys.length, full.facts.missed], [6, 0]);
  });

  test('whatever is written, by transactions however long: an incremental comparison finds what a full one finds', async () => {
    await filled('model', 2000);
    const runs = incrementalRuns(left, right);
    let seed = 20_240_501;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return (seed >>> 8) % below;
    };
    const open: { readonly session: pg.Client; left: number }[] = [];
    const write = (n: number): string => {
      const id = 1 + random(2010);
      return [
        `update model set v = 'w${n}' where id = ${id}`,
        `delete from model where id = ${id}`,
        `insert into model values (${id}, 'i${n}') on conflict (id) do update set v = excluded.v`,
        `begin; savepoint s; update model set v = 's${n}' where id = ${id}; release s; commit`,
        `begin; update model set v = 'gone' where id = ${id}; rollback`,
      ][random(5)]!;
    };
    let compared = 0;
    try {
      for (let round = 0; round < 15; round++) {
        for (let i = 0; i < 3; i++) {
          const db = random(2) === 0 ? source : target;
          // A row that an open transaction holds is left to it.
          await db.query(`set lock_timeout = '20ms'`);
          await db.query(write(round)).catch(() => db.query('rollback'));
        }
        if (random(2) === 0) {
          const session = await client(random(2) === 0 ? source : target);
          await session.query(`set lock_timeout = '20ms'; begin`);
          await session.query(`update model set v = 'long ${round}' where id = ${1 + random(2010)}`).catch(() => {});
          open.push({ session, left: 1 + random(4) });
        }
        for (const t of open.splice(0)) {
          if (--t.left > 0) open.push(t);
          else {
            await t.session.query('commit');
            await t.session.end();
          }
        }
        const found = await runs.run(byXmin, only('model'));
        const all = await compareAll(left, right, only('model'));
        assert.deepEqual(
          found.keys,
          all.differences.map((d) => d.key.join()),
          `round ${round}`,
        );
        if (found.pair.strategy === 'incremental') compared++;
      }
    } finally {
      for (const t of open) await t.session.end();
    }
    assert.ok(compared === 14, 'the rounds were incremental');
  });

  test('a row that leaves a filter was written, and is looked at although its side shows it no more', async () => {
    await filled('filtered');
    const runs = incrementalRuns(left, right);
    const options = { ...only('filtered'), defaults: { filter: { source: `v <> 'draft'`, target: `v <> 'draft'` } } };
    const blind = rule('xmin', { deletes: 'none' });
    await runs.run(blind, options);
    await source.query(`update filtered set v = 'draft' where id = 7`);
    const { pair } = await runs.run(blind, options);
    assert.deepEqual([pair.strategy, pair.outside_filter, pair.only_in_target], ['incremental', 1, 0]);
  });

  test('more than a thousand keys on one side only are found by digests of the keys', async () => {
    await both(
      `create table big (id bigint primary key, v text); insert into big select i, 'v' || i from generate_series(1, 21000) i; analyze big`,
    );
    await both(
      `create table named (id uuid primary key, v text); insert into named select md5(i::text)::uuid, 'v' || i from generate_series(1, 21000) i; analyze named`,
    );
    const runs = incrementalRuns(left, right);
    for (const table of ['big', 'named']) {
      await runs.run(byXmin, only(table));
      await source.query(`delete from ${table} where id::text like '%77%'`);
      await target.query(`delete from ${table} where id::text like '%88%'`);
      const counted = async (db: TestDatabase): Promise<number> =>
        (await db.query(`select count(*)::int as n from ${table}`)).rows[0].n;
      const [n, m] = [await counted(source), await counted(target)];
      const found = await runs.run(byXmin, only(table));
      assert.deepEqual(found.facts.table_rows, { source: n, target: m });
      const full = await runs.run(byXmin, { ...only(table), full: 'asked for' });
      assert.deepEqual(found.keys.sort(), full.keys.sort());
      assert.ok(found.keys.length > 1000);
    }
  });
});

test('a server that was started again, and another database in its place, are compared whole', async () => {
  const make = async (database: TestDatabase): Promise<TestDatabase> => {
    await database.query(`create table t (id int primary key, v text); insert into t values (1, 'a')`);
    return database;
  };
  const [source, target, other] = [
    await make(await testDatabase()),
    await make(await testDatabase()),
    await make(await testDatabase()),
  ];
  let standings: ReturnType<typeof incrementalRuns>['standings'];
  {
    await using left = await connect(source.url, { name: 'left' });
    await using right = await connect(target.url, { name: 'right' });
    const runs = incrementalRuns(left, right);
    await runs.run(byXmin);
    assert.equal((await runs.run(byXmin)).facts.mode, 'changes');
    standings = runs.standings;
  }
  await stopCluster(server);
  const { dataDir, port, user, password } = server;
  running = await startCluster(dataDir, { port, user, password, settings: { fsync: 'off' } });
  await using left = await connect(source.url, { name: 'left' });
  await using right = await connect(target.url, { name: 'right' });
  const again = incrementalRuns(left, right);
  for (const [key, standing] of standings) again.standings.set(key, standing);
  const restarted = await again.run(byXmin);
  assert.equal(restarted.facts.mode, 'full');
  assert.match(restarted.facts.why!, /left: the server was started since/);
  assert.equal((await again.run(byXmin)).facts.mode, 'changes');
  await using stranger = await connect(other.url, { name: 'right' });
  const moved = incrementalRuns(left, stranger);
  for (const [key, standing] of again.standings) moved.standings.set(key, standing);
  assert.match((await moved.run(byXmin)).facts.why!, /no earlier comparison of the same/);
});
