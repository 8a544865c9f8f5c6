import assert from 'node:assert/strict';
import { chmodSync, chownSync, copyFileSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import pg from 'pg';
import { describeConfig, parseConfig } from '../../src/engines/postgres/config.ts';
import type { LockstepError } from '../../src/model/errors.ts';
import { startPostgres, testDatabase } from '../servers/postgres.ts';
import { connect, never } from './postgres-support.ts';

const certificates = join(import.meta.dirname, 'postgres-certificates');
const fails = async (attempt: Promise<AsyncDisposable>, code: string, ...says: readonly RegExp[]): Promise<void> => {
  await assert.rejects(
    attempt.then((e) => e[Symbol.asyncDispose]()),
    (e: LockstepError) => {
      assert.equal(e.code, code, `${e.code}: ${e.message}`);
      const told = `${e.message}\n${e.hint}`;
      for (const said of says) assert.match(told, said);
      assert.doesNotMatch(told, /disable|secretpw/i);
      return true;
    },
  );
};

test('a URL is read into its parts, and a password never comes out again', () => {
  const c = parseConfig(
    'postgres://u%40x:p%40%3A%2F%3F%23%25@db.example.com:6543/my%20db?schema=a,b&sslrootcert=ca.pem&application_name=x',
  );
  assert.deepEqual(
    [c.user, c.password, c.host, c.port, c.database, c.schemas, c.tls, c.applicationName],
    ['u@x', 'p@:/?#%', 'db.example.com', 6543, 'my db', ['a', 'b'], { mode: 'verify-full', caFile: 'ca.pem' }, 'x'],
  );
  assert.equal(describeConfig(c), 'postgres://u@x@db.example.com:6543/my db');
  assert.equal(parseConfig('postgres://u@localhost/d').tls.mode, 'disable');
  assert.equal(parseConfig('postgres://u@[::1]:5/d').host, '::1');
  assert.equal(parseConfig('postgresql://u@db.example.com/d').tls.mode, 'verify-full');
  assert.equal(parseConfig('postgresql://u@db.example.com/d?sslmode=prefer').tls.mode, 'require');
  assert.equal(parseConfig('postgres:///d?host=/var/run/postgresql').host, '/var/run/postgresql');
});

test('what cannot be read is said, with what to write instead', () => {
  for (const [config, says] of [
    ['postgres://u:p%zz@h/d', /percent/],
    ['postgres://u:secretpw@a:1,b:2/d', /one host/],
    ['postgres://u@h/d?sslmod=x', /unknown option "sslmod"/],
    ['postgres://u@h/d?sslmode=maybe', /verify-full/],
    ['postgres://u@h:99999/d', /URL|port/],
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

test('a password with every special character works by parts and, encoded, in a URL', async () => {
  await using db = await testDatabase();
  const password = `p@:/?#% '"\\&=+é`;
  await db.query(
    `drop role if exists lockstep_special; create role lockstep_special login password '${password.replaceAll("'", "''")}'`,
  );
  try {
    const url = new URL(db.url);
    await using byParts = await connect({
      host: url.hostname,
      port: url.port,
      user: 'lockstep_special',
      password,
      database: db.name,
      engine: 'postgres',
      limits: {},
    });
    assert.match(byParts.version, /^PostgreSQL \d+/);
    await using byUrl = await connect(
      `postgres://lockstep_special:${encodeURIComponent(password)}@${url.host}/${db.name}`,
    );
    assert.deepEqual(byUrl.fingerprint, byParts.fingerprint);
  } finally {
    await db.query('drop role lockstep_special');
  }
});

test('each way not to get in has its own words', async () => {
  await using db = await testDatabase();
  const url = new URL(db.url);
  const at = (over: Record<string, unknown>) =>
    connect({
      host: url.hostname,
      port: url.port,
      user: url.username,
      password: url.password,
      database: db.name,
      ...over,
    });
  await fails(
    at({ host: 'no-such-host.invalid', tls: { mode: 'disable' } }),
    'CONNECT',
    /no-such-host\.invalid.*unknown/,
  );
  await fails(at({ port: 1 }), 'CONNECT', /refused/);
  await fails(at({ password: 'wrong-secretpw' }), 'AUTH', /refused the password/);
  await fails(at({ user: 'no_such_role' }), 'AUTH', /no_such_role/);
  await fails(at({ database: 'no_such_db' }), 'CONNECT', /no database "no_such_db"/);
  await fails(at({ host: '/no/such/folder' }), 'CONNECT', /socket/);
  await db.query(
    `drop role if exists lockstep_outside; create role lockstep_outside login password 'x'; revoke connect on database ${db.name} from public`,
  );
  try {
    await fails(
      at({ user: 'lockstep_outside', password: 'x' }),
      'PRIVILEGE',
      new RegExp(`grant connect on database "${db.name}" to "lockstep_outside"`),
    );
  } finally {
    await db.query('drop role lockstep_outside');
  }
  // a server that takes the connection and says nothing
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as { port: number };
  await fails(at({ port, connect_timeout: '0.2' }), 'CONNECT', /did not answer within 0\.2 s/);
  const stop = new AbortController();
  const waiting = connect(
    { host: '127.0.0.1', port, user: 'u', database: 'd', connect_timeout: 60 },
    { signal: stop.signal },
  );
  stop.abort();
  await fails(waiting, 'ABORTED');
  silent.close();
});

test('the fingerprint is the server and the database, whatever the way to it', async () => {
  await using one = await testDatabase();
  await using two = await testDatabase();
  await using a = await connect(one.url);
  await using b = await connect(two.url);
  assert.match(a.fingerprint.server, /^\d+$/);
  assert.equal(a.fingerprint.server, b.fingerprint.server);
  assert.notEqual(a.fingerprint.database, b.fingerprint.database);
});

/** A server that shows a certificate of ours; a key must belong to the server's user and be nobody else's to read. */
const tlsServer = async (certificate: string): Promise<AsyncDisposable & { port: number }> => {
  const server = await startPostgres();
  const { uid, gid } = statSync(server.dataDir);
  for (const end of ['crt', 'key']) {
    const copy = join(server.dataDir, `server.${end}`);
    copyFileSync(join(certificates, `${certificate}.${end}`), copy);
    chmodSync(copy, 0o600);
    chownSync(copy, uid, gid);
  }
  const admin = new pg.Client({ connectionString: server.url() });
  await admin.connect();
  await admin.query('alter system set ssl = on');
  await admin.query('select pg_reload_conf()');
  while ((await admin.query('show ssl')).rows[0].ssl !== 'on');
  await admin.end();
  return server;
};

const parts = (port: number, tls: Record<string, string> | undefined, host = 'localhost') => ({
  host,
  port,
  user: 'tester',
  password: 'tester',
  database: 'postgres',
  ...(tls ? { tls } : {}),
});
const ca = readFileSync(join(certificates, 'ca.crt'), 'utf8');

test('TLS: verified with our CA, and every way it can fail says whose certificate, why, and the line to add', async () => {
  {
    await using server = await tlsServer('server');
    await using endpoint = await connect(parts(server.port, { mode: 'verify-full', ca }));
    await using reader = await endpoint.snapshot({ signal: never });
    assert.ok(reader.position);
    await using byFile = await connect(
      `postgres://tester:tester@localhost:${server.port}/postgres?sslmode=verify-full&sslrootcert=${encodeURIComponent(join(certificates, 'ca.crt'))}`,
    );
    assert.match(byFile.version, /PostgreSQL/);
    await using named = await connect(
      parts(server.port, { mode: 'verify-full', ca, server_name: 'localhost' }, '127.0.0.1'),
    );
    assert.match(named.version, /PostgreSQL/);
    await using anyName = await connect(parts(server.port, { mode: 'verify-ca', ca }, '127.0.0.1'));
    assert.match(anyName.version, /PostgreSQL/);
    await fails(
      connect(parts(server.port, { mode: 'verify-full' })),
      'TLS',
      /subject localhost.*issued by Lockstep test CA.*does not trust/s,
      /sslrootcert=/,
    );
    await fails(
      connect(
        parts(server.port, { mode: 'verify-full', ca: readFileSync(join(certificates, 'other-ca.crt'), 'utf8') }),
      ),
      'TLS',
      /not the CA you gave/,
      /Lockstep test CA/,
    );
    await fails(
      connect(parts(server.port, { mode: 'verify-full', ca }, '127.0.0.1')),
      'TLS',
      /is for localhost, not for 127\.0\.0\.1/,
      /server_name: localhost/,
    );
    await fails(
      connect(parts(server.port, { mode: 'verify-full', ca: '/no/such/ca.pem' })),
      'TLS',
      /cannot read the CA certificate \/no\/such\/ca\.pem/,
    );
  }
  {
    await using server = await tlsServer('self-signed');
    await fails(
      connect(parts(server.port, { mode: 'verify-full' })),
      'TLS',
      /subject localhost.*self-signed/s,
      /sslrootcert=/,
    );
  }
  {
    await using server = await tlsServer('expired');
    await fails(
      connect(parts(server.port, { mode: 'verify-full', ca })),
      'TLS',
      /subject localhost.*expired on .*2001/s,
      /ssl_cert_file/,
    );
  }
});

test('TLS: a server without it is told so', async () => {
  await using db = await testDatabase();
  const url = new URL(db.url);
  await fails(
    connect(parts(Number(url.port), { mode: 'verify-full', ca }, url.hostname)),
    'TLS',
    /does not offer TLS/,
    /ssl = on/,
  );
});
