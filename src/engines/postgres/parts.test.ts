import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LockstepError } from '../../model/errors.ts';
import { parseConfig } from './config.ts';

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
