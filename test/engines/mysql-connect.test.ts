import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { createConnection } from 'mysql2/promise';
import { describeConfig, parseConfig } from '../../src/engines/mysql/config.ts';
import { LockstepError } from '../../src/model/errors.ts';
import { textHasher } from '../../src/model/hash/text-hash.ts';
import type { Row } from '../../src/model/row.ts';
import { nativeSelection } from '../../src/model/selection.ts';
import { isMariadbMissing, mariadbDatabase, startMariadb } from '../servers/mariadb.ts';
import { connect } from './mysql-support.ts';
import { never, readAll, tableOf } from './postgres-support.ts';

const signal = never;
const certificates = join(import.meta.dirname, 'postgres-certificates');

const fails = async (attempt: Promise<unknown>, code: string, ...says: readonly RegExp[]): Promise<void> => {
  const error = await attempt.then(
    () => undefined,
    (e: unknown) => e,
  );
  assert.ok(error instanceof LockstepError, String(error));
  const told = `${error.message}\n${error.hint}`;
  assert.equal(error.code, code, told);
  for (const said of says) assert.match(told, said);
  assert.doesNotMatch(told, /secretpw|sslmode=disable/i);
};

test('a URL is read into its parts, and a password never comes out again', () => {
  const c = parseConfig('mysql://u%40x:p%40%3A%2F%3F%23%25@db.example.com:3307/my%20db?schema=a,b&sslrootcert=ca.pem');
  assert.deepEqual(
    [c.user, c.password, c.host, c.port, c.database, c.schemas, c.tls],
    ['u@x', 'p@:/?#%', 'db.example.com', 3307, 'my db', ['a', 'b'], { mode: 'verify-full', caFile: 'ca.pem' }],
  );
  assert.equal(describeConfig(c), 'mysql://u@x@db.example.com:3307/my db');
  assert.equal(parseConfig('mysql://u@localhost/d').tls.mode, 'disable');
  assert.equal(parseConfig('mysql://u@[::1]:5/d').host, '::1');
  assert.equal(parseConfig('mariadb://u@db.example.com/d').tls.mode, 'verify-full');
  assert.equal(parseConfig('mysql://u@localhost/d?socket=/run/mysqld/mysqld.sock').socket, '/run/mysqld/mysqld.sock');
});

test('what cannot be read is said, with what to write instead', () => {
  for (const [config, says] of [
    ['mysql://u:p%zz@h/d', /percent/],
    ['mysql://u@h/', /database/],
    ['mysql://u@h/d?sslmod=x', /unknown option "sslmod"/],
    ['mysql://u@h/d?sslmode=maybe', /verify-full/],
    ['mysql://u@h:99999/d', /URL|port/],
    [{ host: 'h', user: 'u', pasword: 'secretpw', database: 'd' }, /pasword/],
    [{ host: 'h' }, /database/],
    [{ host: 'h', database: 'd', port: 'x' }, /port/],
  ] as const) {
    assert.throws(
      () => parseConfig(config),
      (e: LockstepError) =>
        e.code === 'CONFIG' && says.test(`${e.message} ${e.hint}`) && !/secretpw/.test(`${e.message} ${e.hint}`),
      JSON.stringify(config),
    );
  }
});

if (!isMariadbMissing) {
  test('a connection that cannot be made says why, and what to do', async () => {
    await using db = await mariadbDatabase();
    const { hostname: host, port, username: user, password } = new URL(db.url);
    const parts = { host, port, user, password, database: db.name };
    await fails(connect({ ...parts, password: 'secretpw' }), 'AUTH', /refused the user tester or the password/);
    await fails(connect({ ...parts, database: 'nowhere' }), 'CONNECT', /no database "nowhere"/);
    await fails(connect({ ...parts, port: '1' }), 'CONNECT', /nothing listens at 127\.0\.0\.1:1/);
    await fails(connect({ ...parts, host: 'no.such.host.invalid', tls: { mode: 'disable' } }), 'CONNECT', /unknown/);
    await fails(connect({ ...parts, tls: { mode: 'verify-full' } }), 'TLS', /does not offer TLS/);
    await fails(connect(parts, { signal: AbortSignal.abort() }), 'ABORTED');
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', () => resolve()));
    const { port: quiet } = silent.address() as { port: number };
    const open = new Set<{ destroy(): void }>();
    silent.on('connection', (socket) => open.add(socket));
    await fails(connect({ ...parts, port: quiet, connect_timeout: '0.2' }), 'CONNECT', /did not answer within 0.2 s/);
    const stop = new AbortController();
    silent.once('connection', () => stop.abort());
    await fails(connect({ ...parts, port: quiet }, { signal: stop.signal }), 'ABORTED');
    for (const socket of open) socket.destroy();
    silent.close();
  });

  /** A server that takes small packets, and no files of clients. */
  const modest = { 'max-allowed-packet': '65536', 'local-infile': '0' };

  const checkModest = async (url: string): Promise<void> => {
    const client = await createConnection({ uri: url, multipleStatements: true });
    const names = Array.from({ length: 12 }, (_, i) => `c${i}`);
    await client.query(
      `create database d; use d; create table t (id int primary key, ${names.map((n) => `${n} text`).join(', ')}); create table w like t`,
    );
    for (const [id, last] of [
      [1, 'x'],
      [2, 'y'],
    ] as const) {
      await client.query(`insert into t (id) values (${id})`);
      for (const name of names)
        await client.query(`update t set ${name} = concat(repeat('ab', 4000), '${last}') where id = ${id}`);
    }
    await client.query(`insert into t (id, c0) values (3, 'small')`);
    await client.end();
    await using endpoint = await connect(url.replace(/mysql$/, 'd'), { writable: true });
    const [from, to] = [await tableOf(endpoint, 't'), await tableOf(endpoint, 'w')];
    const selection = nativeSelection(from, ['id']);
    const seed = 5n;
    let rows: readonly Row[];
    {
      await using reader = await endpoint.snapshot({ signal });
      rows = await readAll(reader, selection);
      const hasher = textHasher(selection.columns, 1, seed);
      const sum = BigInt.asUintN(
        64,
        rows.reduce((n, row) => n + hasher.row(row), 0n),
      );
      // the text of a row is larger than the server makes one
      const digests = await reader.hashing!.texts!.digest(selection, undefined, seed, { signal });
      assert.deepEqual(digests, [{ part: 0, rows: 3, sum }]);
    }
    const refused: string[] = [];
    const loaded = await endpoint.loader!.load(
      { run: 'r_modest', step: 1, token: 0n },
      to,
      selection.columns.map((c) => c.name),
      (async function* () {
        yield rows;
      })(),
      { signal, refused: (row, reason) => void refused.push(`${row[0]} ${reason}`), beforeCommit: async () => {} },
    );
    assert.deepEqual(loaded, { status: 'done', rows: 1 });
    for (const [i, reason] of refused.entries())
      assert.match(reason, new RegExp(`^${i + 1} .*max_allowed_packet is 65536`));
    assert.equal(refused.length, 2);
  };

  test('TLS is checked as it was asked for; a modest server digests and is loaded all the same', async () => {
    const file = (name: string): string => join(certificates, name);
    await using server = await startMariadb({
      ...modest,
      'ssl-cert': file('server.crt'),
      'ssl-key': file('server.key'),
    });
    await checkModest(server.url);
    const at = (host: string, tls: object) => ({
      host,
      port: server.port,
      user: 'tester',
      password: 'tester',
      database: 'mysql',
      tls,
    });
    const ca = readFileSync(file('ca.crt'), 'utf8');
    const cipher = async (config: Readonly<Record<string, unknown>>): Promise<string> => {
      await using endpoint = await connect(config);
      return endpoint.version;
    };
    assert.match(await cipher(at('localhost', { mode: 'verify-full', ca })), /^MariaDB 1/);
    assert.match(await cipher(at('localhost', { mode: 'require' })), /^MariaDB 1/);
    assert.match(await cipher(at('127.0.0.1', { mode: 'verify-ca', ca })), /^MariaDB 1/);
    assert.match(
      await cipher(at('127.0.0.1', { mode: 'verify-full', ca, server_name: 'localhost' })),
      /^MariaDB 1/,
      'the name that the certificate must carry can be given',
    );
    const other = readFileSync(file('other-ca.crt'), 'utf8');
    await fails(connect(at('localhost', { mode: 'verify-full', ca: other })), 'TLS', /CA you gave/);
    await fails(connect(at('localhost', { mode: 'verify-full' })), 'TLS', /does not trust|not trusted/);
    await fails(
      connect(at('localhost', { mode: 'verify-full', ca, server_name: 'db.example.com' })),
      'TLS',
      /not for db\.example\.com/,
    );
    await fails(connect(at('localhost', { mode: 'require', ca: other })), 'TLS');
    await fails(connect(at('127.0.0.1', { mode: 'verify-full', ca })), 'TLS', /not for 127\.0\.0\.1/, /server_name/);
  });

  test('a statement that takes too long is ended, and a filter that the database refuses is named', async () => {
    await using db = await mariadbDatabase();
    await db.query('create table t (id int primary key)');
    await db.query('insert into t select seq from seq_1_to_2000');
    await using endpoint = await connect(db.url, { statementTimeoutMs: 200 });
    const selection = nativeSelection(await tableOf(endpoint, 't'), ['id']);
    await using reader = await endpoint.snapshot({ signal });
    await fails(reader.count({ ...selection, filter: 'sleep(1) = 9' }, { signal }), 'STATEMENT_TIMEOUT', /200 ms/);
    await fails(reader.count({ ...selection, filter: 'nothing = 1' }, { signal }), 'FILTER', /nothing/);
    await fails(reader.count({ ...selection, filter: 'id = = 1' }, { signal }), 'FILTER', /--where/);
    assert.equal(await reader.count({ ...selection, filter: 'id > 1990 -- the last' }, { signal }), 10);
    await assert.rejects(
      readAll(reader, { ...selection, table: { name: 'gone' } }),
      (e: LockstepError) => e.code === 'TABLE_NOT_FOUND',
    );
  });

  test('reading cannot write, whatever a condition calls', async () => {
    await using db = await mariadbDatabase();
    await db.query('create table t (id int primary key)');
    await db.query('insert into t values (1)');
    await db.query(
      'create function dirty() returns int modifies sql data begin insert into t values (2); return 1; end',
    );
    await using endpoint = await connect(db.url);
    const selection = nativeSelection(await tableOf(endpoint, 't'), ['id']);
    await using reader = await endpoint.snapshot({ signal });
    await fails(reader.count({ ...selection, filter: 'dirty() = 1' }, { signal }), 'NOT_WRITABLE', /read-only/);
    assert.equal(await reader.count(selection, { signal }), 1);
  });

  test('a slow consumer is waited for, and a connection that dies is told', async () => {
    await using db = await mariadbDatabase();
    await db.query('create table t (id int primary key, v char(200) not null)');
    await db.query(`insert into t select seq, repeat('x', 200) from seq_1_to_100000`);
    await using endpoint = await connect(db.url);
    const selection = nativeSelection(await tableOf(endpoint, 't'), ['id']);
    await using reader = await endpoint.snapshot({ signal });
    const work = async (): Promise<void> => {
      let rows = 0;
      for await (const batch of reader.scan(selection, { kind: 'all' }, { signal })) {
        rows += batch.length;
        if (rows !== 1000) continue;
        const [{ id }] = (await db.query(
          'select id from information_schema.processlist where db = database() and id <> connection_id() limit 1',
        )) as [{ id: string }];
        await db.query(`kill ${id}`);
      }
      assert.fail(`the scan ended with ${rows} rows`);
    };
    await fails(work(), 'CONNECTION_LOST', /reading .*t:/);
  });
}
