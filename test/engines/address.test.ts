import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig as parseMysql } from '../../src/engines/mysql/config.ts';
import { parseConfig } from '../../src/engines/postgres/config.ts';
import { LockstepError } from '../../src/model/errors.ts';

/** Where PostgreSQL and MySQL are: URLs, parts, and a URL with parts over it. */

const parts = { host: 'db', user: 'u', password: 'p@:/?#%', database: 'd' };

test('a connection by parts: any password, numbers as texts, settings of others left alone', () => {
  const config = parseConfig({
    ...parts,
    engine: 'postgres',
    port: 5433,
    connect_timeout: '3',
    schema: ['a', 'b'],
    tls: { mode: 'verify-ca', ca_file: 'ca.pem' },
    pool: { max: '4' },
    writable: true,
    limits: { concurrency: 2 },
  });
  assert.equal(config.password, 'p@:/?#%');
  assert.equal(config.port, 5433);
  assert.equal(config.connectTimeoutMs, 3000);
  assert.deepEqual(config.schemas, ['a', 'b']);
  assert.deepEqual(config.tls, { mode: 'verify-ca', caFile: 'ca.pem' });
  assert.equal(config.poolMax, 4);
  assert.equal(parseConfig({ ...parts, password: 1234 }).password, '1234');
});

const refused: readonly (readonly [Record<string, unknown>, RegExp])[] = [
  [{ ...parts, pasword: 's3cret-value' }, /at pasword: this is not a known part/],
  [{ ...parts, password: { secret: 's3cret-value' } }, /at password: expected text/],
  [{ ...parts, host: '' }, /at host: is empty/],
  [{ ...parts, tls: 'verify-full' }, /at tls: expected parts/],
  [{ ...parts, tls: { mod: 'require' } }, /at tls\.mod: this is not a known part/],
  [{ ...parts, tls: { ca: 5.5, key: true } }, /at tls\.key: expected text/],
  [{ ...parts, pool: { max: 1 } }, /at pool\.max: expected a whole number/],
  [{ ...parts, pool: { max: '' } }, /at pool\.max/],
  [{ ...parts, schema: [1] }, /at schema: expected a name or a list/],
  [{ ...parts, database: '' }, /names no database/],
];
for (const [config, message] of refused) {
  test(`refused: ${message.source}`, () => {
    assert.throws(
      () => parseConfig(config),
      (error) => {
        assert.ok(error instanceof LockstepError);
        assert.equal(error.code, 'CONFIG');
        assert.match(error.message, message);
        assert.doesNotMatch(`${error.message} ${error.hint}`, /s3cret-value/);
        return true;
      },
    );
  });
}

test('parts over a URL replace what they name, and nothing else', () => {
  const url = 'postgres://u:p%40@db:6000/d?schema=a,b&connect_timeout=3&application_name=x&sslmode=verify-ca';
  const base = parseConfig(url);
  assert.deepEqual([base.password, base.connectTimeoutMs, base.applicationName, base.poolMax], ['p@', 3000, 'x', 8]);
  assert.deepEqual(parseConfig({ url, pool: { max: 3 } }), { ...base, poolMax: 3 });
  assert.deepEqual(parseConfig({ url, password: 'q', port: '7000' }), { ...base, password: 'q', port: 7000 });
  assert.deepEqual(parseConfig({ url, tls: { mode: 'disable' }, schema: 'c' }), {
    ...base,
    tls: { mode: 'disable' },
    schemas: ['c'],
  });
  const mysql = 'mysql://u@db/d?connect_timeout=3&schema=a&sslrootcert=ca.pem';
  const other = parseMysql(mysql);
  assert.deepEqual(other.tls, { mode: 'verify-full', caFile: 'ca.pem' });
  assert.deepEqual(parseMysql({ url: mysql, writable: true, pool: { max: 5 } }), { ...other, poolMax: 5 });
  assert.deepEqual(parseMysql({ url: mysql, database: 'e' }), { ...other, database: 'e' });
});

test('what a URL leaves out', () => {
  const env = { PGUSER: process.env['PGUSER'], USER: process.env['USER'] };
  delete process.env['PGUSER'];
  process.env['USER'] = 'me';
  try {
    const plain = parseConfig('postgres:///');
    assert.deepEqual([plain.host, plain.port, plain.user, plain.database], ['localhost', 5432, 'me', 'me']);
    assert.equal(parseConfig('postgres:///?host=/run/pg&dbname=d&user=x&port=6000').host, '/run/pg');
    assert.equal(parseConfig('postgres://x@db').database, 'x');
    assert.equal(parseMysql('mysql:///d').user, 'me');
  } finally {
    for (const [name, value] of Object.entries(env)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
  for (const parse of [parseConfig, parseMysql]) {
    const scheme = parse === parseMysql ? 'mysql' : 'postgres';
    assert.equal(parse(`${scheme}://u@db/d`).tls.mode, 'verify-full');
    assert.equal(parse(`${scheme}://u@127.0.0.1/d`).tls.mode, 'disable');
    assert.equal(parse(`${scheme}://u@127.0.0.1/d?sslmode=prefer`).tls.mode, 'require');
    assert.deepEqual(parse(`${scheme}://u@[::1]/d?sslrootcert=system`).tls, { mode: 'verify-full' });
    const says = (url: string, message: RegExp): void =>
      assert.throws(
        () => parse(url),
        (e: LockstepError) => e.code === 'CONFIG' && message.test(e.message),
      );
    says(`${scheme}:/u@db/d`, /one slash where two belong/);
    says(`${scheme}://u@a,b:1/d`, /names one host/);
    says(`${scheme}://u@a:1,b:1/d`, /names one host/);
    assert.equal(parse(`${scheme}://u:p,q@db/d?schema=a,b`).password, 'p,q');
    says(`${scheme}://u@db/d?nonsense=1`, /unknown option "nonsense"/);
    says(`${scheme}://u:%zz@db/d`, /the password in the .* URL is not valid percent-encoding/);
    says(`${scheme}://u@db/d?connect_timeout=0`, /not a number of seconds/);
    says(`${scheme}://u@db/d?sslmode=maybe`, /sslmode=maybe is not known/);
  }
});
