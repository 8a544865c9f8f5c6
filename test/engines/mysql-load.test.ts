import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { test } from 'node:test';
import { columnsSql, tableFacts } from '../../src/engines/mysql/columns.ts';
import { parseConfig } from '../../src/engines/mysql/config.ts';
import { openClient } from '../../src/engines/mysql/connect.ts';
import { examine } from '../../src/engines/mysql/examine.ts';
import { linesOf, loadLines, loadPlan } from '../../src/engines/mysql/load-data.ts';
import { Session, type StatementOptions } from '../../src/engines/mysql/session.ts';
import { pinSession, readFacts } from '../../src/engines/mysql/settings.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Loaded } from '../../src/model/build.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { LockstepError } from '../../src/model/errors.ts';
import type { Row } from '../../src/model/row.ts';
import type { Table } from '../../src/model/schema.ts';
import { nativeSelection } from '../../src/model/selection.ts';
import { isMariadbMissing, mariadbDatabase } from '../servers/mariadb.ts';
import { connect } from './mysql-support.ts';
import { batchOf, insert, never, row, rowsNow, tableOf } from './postgres-support.ts';

const signal = never;
const at: StatementOptions = { signal, doing: 'loading' };

const contextOf = (url: string) => ({
  name: 'db',
  config: parseConfig(url),
  tls: undefined,
  clock: systemClock,
  statementTimeoutMs: undefined,
});

/** A session as writers have it. `able`: it told the server that it sends files. */
const openSession = async (url: string, able = true): Promise<Session> => {
  const context = contextOf(url);
  const session = new Session(context, await openClient(context.config, undefined, 'db', signal, able), true);
  await pinSession(session, await readFacts(session, at), 'write', at);
  return session;
};

const planOf = async (session: Session, table: Table) => {
  const selection = nativeSelection(table, ['id']);
  return loadPlan(table, columnsSql(selection, await tableFacts(session, table, true, at), 'db'));
};

let step = 0;
const load = async (
  endpoint: Endpoint,
  table: Table,
  rows: readonly Row[],
): Promise<{ readonly loaded: Loaded; readonly refused: readonly (readonly [Row, string])[] }> => {
  const refused: (readonly [Row, string])[] = [];
  const columns = nativeSelection(table, ['id']).columns.map((c) => c.name);
  const batches = (async function* () {
    for (let i = 0; i < rows.length; i += 100) yield rows.slice(i, i + 100);
  })();
  const loaded = await endpoint.loader!.load({ run: 'r_load', step: ++step, token: 0n }, table, columns, batches, {
    signal,
    refused: (r, reason) => void refused.push([r, reason]),
    beforeCommit: async () => {},
  });
  return { loaded, refused };
};

const texts = [
  '',
  ' ',
  ' a ',
  '\\',
  '\\N',
  'NULL',
  '\t',
  'a\tb\n',
  '\r\n',
  '\n',
  "'",
  '"',
  '\u0000',
  'a\u0000b',
  '\u001a',
];
const odd = ['\ufeffbom', '😀', 'é', 'e\u0301', '\u2028', '\\n', '\\0', '\\t', '\\.', ',', ';', '%s', '𐍈\u0000\\'];

if (!isMariadbMissing) {
  test('rows are loaded as they are: every kind of column, NULL and nothing, every odd character', async () => {
    await using db = await mariadbDatabase();
    await db.query(`create table t (id int primary key, words varchar(40), fixed char(9), bare text, latin varchar(40) character set latin1,
      raw varbinary(40), filled binary(4), big longblob, flag tinyint(1), one bit(1), bits bit(9), many bit(64), n bigint, un bigint unsigned,
      dec1 decimal(65,30), f float, d double, born date, at6 datetime(6), inst timestamp(3) null, dur time(6), y year,
      e enum('', 'a', 'b\\\\c', '1'), s set('x', 'y'), j json, u uuid, ip inet6, g point)`);
    await db.query('create table w like t');
    const values = [...texts, ...odd];
    for (const [i, text] of values.entries()) {
      const safe = /^[\u0000-\u00ff]*$/.test(text) ? text : null;
      await db.query('insert into t (id, words, fixed, bare, latin, raw, big) values (?, ?, ?, ?, ?, ?, ?)', [
        ...[i, text, text.slice(0, 4), text, safe, Buffer.from(text), Buffer.from(text)],
      ]);
    }
    await db.query(`set sql_mode = 'ALLOW_INVALID_DATES'`);
    await db.query(`insert into t values
      (101, 'x', 'x ', 'x', 'x', x'00ff5c0a09', x'00', x'', 1, 1, b'100000001', b'1${'0'.repeat(63)}', -9223372036854775808, 18446744073709551615,
       -12345678901234567890123456789012345.000000000000000000000000000001, 1.17549e-38, 4.9e-324, '0000-00-00', '0000-00-00 00:00:00', '1970-01-01 00:00:01.001', '-838:59:59', 1901, '', 'x,y', '{"a": "\\\\n\\\\\\\\", "b": 1.0}', '123e4567-e89b-12d3-a456-426655440000', '::1', point(1, 2)),
      (102, null, null, null, null, null, null, null, 2, 0, b'0', b'0', 0, 0, 0, 3.4e38, 1.7976931348623157e308, '2024-02-30', '9999-12-31 23:59:59.999999', null, '23:59:59.000001', 0, 'b\\\\c', '', '[]', null, null, null)`);
    await using endpoint = await connect(db.url, { writable: true });
    const [from, to] = [await tableOf(endpoint, 't'), await tableOf(endpoint, 'w')];
    const rows = await rowsNow(endpoint, from);
    assert.equal(rows.length, values.length + 2);
    await using session = await openSession(db.url);
    const plan = await planOf(session, to);
    await session.query('start transaction', at);
    assert.equal(await loadLines(session, plan, linesOf(plan, rows)!, at), true);
    await session.query('commit', at);
    assert.deepEqual(await rowsNow(endpoint, to), rows);
    await db.query('delete from w');
    assert.deepEqual(await load(endpoint, to, rows), { loaded: { status: 'done', rows: rows.length }, refused: [] });
    assert.deepEqual(await rowsNow(endpoint, to), rows);
  });

  test('what the server would warn of is taken back, and the one row that it is about is named in its words', async () => {
    await using db = await mariadbDatabase();
    await db.query('create table parent (id int primary key)');
    await db.query('insert into parent values (1)');
    await db.query(`create table t (id int primary key, v varchar(5) not null, n tinyint, d decimal(5,2), e enum('a', 'b'), born date, j json,
      raw varbinary(2), bits bit(3), ch char(3), one int unique, p int, t0 time(0), dt datetime(0), late varchar(3) character set latin1,
      check (n <> 77), foreign key (p) references parent (id))`);
    await using endpoint = await connect(db.url, { writable: true });
    const table = await tableOf(endpoint, 't');
    const good = (i: number): (string | null)[] => [
      String(i),
      'v',
      '1',
      null,
      null,
      null,
      null,
      null,
      null,
      null,
      ...Array(5).fill(null),
    ];
    const bad: readonly [place: number, cell: string | null, says: RegExp][] = [
      [1, 'toolong', /too long.*'v'/],
      [1, null, /'v' cannot be null/],
      [2, '128', /Out of range.*'n'/],
      [2, '77', /CONSTRAINT/],
      [2, '1.5', /tinyint.* cannot hold this value/],
      [3, '12345', /Out of range.*'d'/],
      [3, '1.239', /truncated.*'d'/],
      [4, 'c', /truncated.*'e'/],
      [5, '2024-13-01', /Incorrect date value.*born/],
      [6, '{', /CONSTRAINT.*j/],
      [7, '0102ff', /too long.*'raw'/],
      [8, '1111', /too long.*'bits'|Out of range.*'bits'/],
      [9, 'abcd', /too long.*'ch'/],
      [11, '9', /foreign key/],
      [14, '語', /Incorrect string.*late/],
    ];
    await using session = await openSession(db.url);
    const plan = await planOf(session, table);
    for (const [place, cell, says] of bad) {
      const rows = Array.from({ length: 40 }, (_, i) => row(...good(i)));
      const wrong = row(...good(23).map((c, i) => (i === place ? cell : c)));
      rows[23] = wrong;
      const what = `${place} ${cell}`;
      await session.query('start transaction', at);
      const lines = linesOf(plan, rows);
      assert.ok(lines === undefined || !(await loadLines(session, plan, lines, at)), what);
      assert.deepEqual(await session.query('select count(*) from t', at), [['0']], what);
      await session.query('rollback', at);
      const { loaded, refused } = await load(endpoint, table, rows);
      assert.deepEqual([loaded, refused.map(([r]) => r)], [{ status: 'done', rows: 39 }, [wrong]], what);
      assert.match(refused[0]![1], says, what);
      assert.equal((await rowsNow(endpoint, table)).length, 39, what);
      await db.query('delete from t');
    }
    // two rows of one key, and of one unique value: the first is there, the second is named
    const doubled = [row(...good(1)), row(...good(1)), row(...good(2)), row(...good(3))];
    for (const i of [2, 3]) doubled[i] = doubled[i]!.map((c, k) => (k === 10 ? '5' : c)) as unknown as Row;
    const { loaded, refused } = await load(endpoint, table, doubled);
    assert.deepEqual([loaded, refused.map(([r]) => r)], [{ status: 'done', rows: 2 }, [doubled[1], doubled[3]]]);
    for (const [, reason] of refused) assert.match(reason, /Duplicate entry/);
  });

  test('a table that takes nothing back is not loaded: what was refused would stay', async () => {
    await using db = await mariadbDatabase();
    await db.query('create table t (id int, v varchar(2)) engine = MyISAM');
    await using endpoint = await connect(db.url, { writable: true });
    const table = await tableOf(endpoint, 't');
    const rows = [row('1', 'ok'), row('2', 'long')];
    await assert.rejects(load(endpoint, table, rows), { code: 'NOT_WRITABLE', hint: /engine = InnoDB/ });
    assert.deepEqual(await db.query('select * from t'), []);
  });

  test('new rows of a batch that is large are loaded, and guarded as ever', async () => {
    await using db = await mariadbDatabase();
    await db.query(
      `create table t (id int primary key, v varchar(5), w varchar(9) default 'given', other int, foreign key (other) references t (id))`,
    );
    await using endpoint = await connect(db.url, { writable: true });
    const table = await tableOf(endpoint, 't');
    const rows = Array.from({ length: 300 }, (_, i) =>
      row(String(i), `v${i % 7}`, null, i === 0 ? null : String(i - 1)),
    );
    const apply = (some: readonly Row[], columns?: readonly number[]) =>
      endpoint.writer!.apply(
        { run: 'r_large', step: ++step, token: 0n },
        [batchOf(table, ...some.map((r) => insert(table, r, columns)))],
        { signal },
      );
    // some columns only: the others are as the table gives them
    assert.equal((await apply(rows, [0, 1, 3])).status, 'done');
    const given = rows.map((r) => row(r[0]!, r[1]!, 'given', r[3]!));
    const byId = (list: readonly Row[]): Row[] => [...list].sort((a, b) => Number(a[0]) - Number(b[0]));
    assert.deepEqual(byId(await rowsNow(endpoint, table)), given);
    await db.query('update t set other = null');
    await db.query('delete from t');
    // one that its column cannot hold: named, and nothing is written
    const wrong = rows.map((r, i) => (i === 211 ? row(r[0]!, 'toolong', r[2]!, r[3]!) : r));
    const refused = await apply(wrong);
    assert.ok(refused.status === 'rejected' && refused.change?.key[0] === '211' && /too long/.test(refused.reason));
    assert.deepEqual(await rowsNow(endpoint, table), []);
    // parents after their children: put in order, as without loading
    assert.equal((await apply([...rows.slice(1), rows[0]!])).status, 'done');
    assert.deepEqual(byId(await rowsNow(endpoint, table)), byId(rows));
    // a row that is there already
    await db.query('update t set other = null');
    await db.query('delete from t where id <> 7');
    const stale = await apply(rows);
    assert.ok(stale.status === 'stale' && stale.rows.length === 1 && stale.rows[0]!.change.key[0] === '7');
  });

  test('a server that takes no files from clients is written by inserts, and check says so', async () => {
    await using db = await mariadbDatabase();
    await db.query('create table t (id int primary key, v text)');
    await using endpoint = await connect(db.url, { writable: true });
    const table = await tableOf(endpoint, 't');
    await using session = await openSession(db.url, false);
    const plan = await planOf(session, table);
    await session.query('start transaction', at);
    assert.equal(await loadLines(session, plan, linesOf(plan, [row('1', 'x')])!, at), false);
    assert.equal(session.loads, false);
    // the transaction goes on
    await session.query(`insert into t values (2, 'y')`, at);
    await session.query('commit', at);
    assert.deepEqual(await rowsNow(endpoint, table), [row('2', 'y')]);

    const facts = await readFacts(session, at);
    const told = async (value: string, writable: boolean): Promise<string[]> => {
      const variables = new Map([...facts.variables, ['local_infile', value]]);
      const findings = await examine(session, { ...facts, variables }, { tables: [], writable }, at);
      return findings.filter((f) => f.code === 'LOCAL_INFILE').map((f) => `${f.level}: ${f.message}; ${f.fix}`);
    };
    assert.match((await told('OFF', true)).join(), /advice: .*local_infile is off.*set global local_infile = 1/);
    assert.deepEqual([await told('ON', true), await told('OFF', false)], [[], []]);
  });

  test('a load that is stopped ends at the server, and nothing of it stays', async () => {
    await using db = await mariadbDatabase();
    await db.query('create table t (id int primary key, v int)');
    await db.query('create trigger slow before insert on t for each row set new.v = sleep(if(new.id = 5, 600, 0))');
    await using session = await openSession(db.url);
    await using endpoint = await connect(db.url);
    const table = await tableOf(endpoint, 't');
    const plan = await planOf(session, table);
    const lines = linesOf(
      plan,
      Array.from({ length: 20_000 }, (_, i) => row(String(i), '0')),
    )!;
    await session.query('start transaction', at);
    const stop = new AbortController();
    const loading = loadLines(session, plan, lines, { ...at, signal: stop.signal });
    for (;;) {
      const rows = await db.rows(
        `select 1 from information_schema.processlist where state = 'User sleep' and id = ${session.client.threadId}`,
      );
      if (rows.length > 0) break;
    }
    stop.abort();
    await assert.rejects(loading, (e: unknown) => e instanceof LockstepError && e.code === 'ABORTED');
    await session.rollback();
    // the session is whole
    assert.deepEqual(await session.query('select count(*) from t', at), [['0']]);
  });
}

/** A packet of the protocol. */
const packet = (sequence: number, ...parts: readonly (string | readonly number[])[]): Buffer => {
  const body = Buffer.concat(parts.map((p) => (typeof p === 'string' ? Buffer.from(p, 'latin1') : Buffer.from(p))));
  return Buffer.concat([Buffer.from([body.length & 255, body.length >> 8, 0, sequence]), body]);
};

/** Lets anybody in, and answers every statement by asking for a file; says what it is sent after that. */
const askingServer = async (sent: (bytes: Buffer) => void): Promise<Server> => {
  const salt = '0123456789abcdefghij';
  // everything but TLS (0x800) and compression (0x20)
  const hello = packet(
    0,
    ...['\n10.11.0-MariaDB\0', [7, 0, 0, 0], salt.slice(0, 8), [0, 0xdf, 0xf7, 45, 2, 0, 0xff, 0x81, 21]],
    ...[Array(10).fill(0), salt.slice(8), '\0', 'mysql_native_password\0'],
  );
  const server = createServer((socket) => {
    let state: 'hello' | 'ready' | 'asked' = 'hello';
    socket.on('error', () => {});
    socket.write(hello);
    socket.on('data', (bytes) => {
      if (state === 'hello') {
        socket.write(packet(2, [0, 0, 0, 2, 0, 0, 0]));
        state = 'ready';
      } else if (state === 'ready') {
        socket.write(packet(1, '\u00fb/etc/hostname'));
        state = 'asked';
      } else {
        sent(bytes);
        socket.destroy();
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
};

test('a server that asks for a file is sent none, whatever was asked of it', async () => {
  let received: ((bytes: Buffer) => void) | undefined;
  await using server = await askingServer((bytes) => received?.(bytes));
  const context = contextOf(`mysql://u:p@127.0.0.1:${(server.address() as AddressInfo).port}/d`);
  const statements: readonly ((s: Session) => Promise<unknown>)[] = [
    (s) => s.query('select 1', at),
    (s) => s.run(['do 0', 'do 1'], at),
    (s) => s.load((file) => `load data local infile '${file}' into table t`, ['ours\n'], at),
  ];
  for (const statement of statements) {
    const first = new Promise<Buffer>((resolve) => {
      received = resolve;
    });
    const client = await openClient(context.config, undefined, 'db', signal, true);
    const outcome = statement(new Session(context, client, true)).then(
      (x) => x,
      (e: Error) => e,
    );
    // an empty packet: there is no such file
    assert.deepEqual(await first, Buffer.from([0, 0, 0, 2]));
    const said = await outcome;
    assert.ok(said instanceof Error || (said as { failed?: unknown }).failed !== undefined, String(said));
  }
});
