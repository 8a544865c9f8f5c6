import assert from 'node:assert/strict';
import { chmodSync, chownSync, copyFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import pg from 'pg';
import { startPostgres } from '../servers/postgres.ts';
import { inProcess } from './in-process.ts';

/** Doors that stay shut: TLS in each way it can fail, a server that says nothing, a host nobody knows. Exit 21, and what to do. */

const certificates = join(import.meta.dirname, '../engines/postgres-certificates');
const home = mkdtempSync(join(tmpdir(), 'lockstep-doors-'));
const server = await startPostgres();
const admin = new pg.Client({ connectionString: server.url() });
await admin.connect();
await admin.query('create table t (id int primary key)');
after(async () => {
  await admin.end();
  await server[Symbol.asyncDispose]();
  rmSync(home, { recursive: true, force: true });
});

/** Shows a certificate of ours from now on; a key must belong to the server's user and be nobody else's to read. */
const show = async (certificate: string): Promise<void> => {
  const { uid, gid } = statSync(server.dataDir);
  for (const end of ['crt', 'key']) {
    const copy = join(server.dataDir, `server.${end}`);
    copyFileSync(join(certificates, `${certificate}.${end}`), copy);
    chmodSync(copy, 0o600);
    chownSync(copy, uid, gid);
  }
  const [{ loaded }] = (await admin.query('select pg_conf_load_time()::text as loaded')).rows;
  await admin.query('alter system set ssl = on');
  await admin.query('select pg_reload_conf()');
  while ((await admin.query('select pg_conf_load_time()::text as loaded')).rows[0].loaded === loaded);
};
const address = (host: string, options: string): string =>
  `postgres://tester:tester@${host}:${server.port}/postgres?${options}`;
const ca = (name: string): string => `sslrootcert=${encodeURIComponent(join(certificates, `${name}.crt`))}`;

const shut = async (target: string, ...says: readonly RegExp[]): Promise<void> => {
  const { code, stdout, stderr } = await inProcess(['diff', server.url(), target, 't'], { cwd: home });
  assert.equal(code, 21, stderr);
  assert.equal(stdout, '');
  for (const said of says) assert.match(stderr, said);
  assert.doesNotMatch(stderr, /^\s+at /m, 'a stack trace');
  assert.doesNotMatch(stderr, /tester:tester@/);
  assert.doesNotMatch(stderr, /sslmode=disable/, 'never the advice to give up on safety');
};

test('a server without TLS is not talked to in the clear when TLS was asked for', () =>
  shut(address('localhost', 'sslmode=require'), /TLS/, /\[TLS\]/));

test('a certificate of ours is trusted by its CA, and not without it, by another one, or under another name', async () => {
  await show('server');
  const open = await inProcess(
    ['diff', server.url(), address('localhost', `sslmode=verify-full&${ca('ca')}`), 't', '--settle', '0'],
    { cwd: home },
  );
  // The same server on both sides: reached, and then refused for that reason.
  assert.equal(open.code, 20, open.stderr);
  assert.match(open.stderr, /same table/);
  await shut(address('localhost', 'sslmode=verify-full'), /does not trust/, /sslrootcert=/);
  await shut(
    address('localhost', `sslmode=verify-full&${ca('other-ca')}`),
    /issued by Lockstep test CA.*not the CA you gave/,
  );
  await shut(address('127.0.0.1', `sslmode=verify-full&${ca('ca')}`), /127\.0\.0\.1/, /localhost/);
});

test('a certificate that is expired or made by itself', async () => {
  await show('expired');
  await shut(address('localhost', `sslmode=verify-full&${ca('ca')}`), /expired/);
  await show('self-signed');
  await shut(address('localhost', `sslmode=verify-full&${ca('ca')}`), /self-signed|does not trust/);
});

test('a CA file that is not there, or is none', async () => {
  await shut(address('localhost', 'sslmode=verify-full&sslrootcert=gone.pem'), /gone\.pem/);
  writeFileSync(join(home, 'odd.pem'), 'not a certificate');
  await shut(address('localhost', 'sslmode=verify-full&sslrootcert=odd.pem'), /odd\.pem|certificate/);
});

test('a server that takes the connection and says nothing', async () => {
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as { port: number };
  await shut(`postgres://u@127.0.0.1:${port}/x?connect_timeout=0.2`, /did not answer within 0\.2 s/, /127\.0\.0\.1/);
  silent.close();
});

test('a host that nobody knows', () => shut('postgres://u@no-such-host.invalid/x', /no-such-host\.invalid.*unknown/));
