import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Config } from './config.ts';
import { loadConfig } from './load.ts';

const dir = mkdtempSync(join(tmpdir(), 'lockstep-server-'));
after(() => rmSync(dir, { recursive: true }));
const secrets: string[] = [];
const load = (text: string, env: Record<string, string> = {}): Promise<Config> => {
  const file = join(dir, 'lockstep.yaml');
  writeFileSync(file, `version: 1\nendpoints: { a: { url: "sqlite:a.db" } }\n${text}`);
  return loadConfig(file, { cwd: dir, env, onSecret: (value) => void secrets.push(value) });
};
const message = async (text: string, env: Record<string, string> = {}): Promise<string> => {
  try {
    (await load(text, env)).server();
  } catch (error) {
    return (error as Error).message;
  }
  return 'no error';
};

test('without a word the API is on loopback, with a limit and nothing said of who may ask', async () => {
  const { server, audit, checkpointEveryMs } = await load('');
  assert.deepEqual(server(), {
    host: '127.0.0.1',
    port: 8000,
    workers: 1,
    tls: undefined,
    trustedProxies: [],
    auth: undefined,
    rateLimit: { requests: 600, perMs: 60_000 },
  });
  assert.deepEqual(audit(), { key: undefined, oldKeys: [], lostKeys: [] });
  assert.equal(checkpointEveryMs(), 3_600_000);
});

test('settings may be references, which are looked up when the server needs them', async () => {
  const text =
    'server: { host: "${env:HOST}", port: "${env:PORT}", proxy: { trusted: ["${env:PROXY}", loopback] }, rate_limit: false,\n' +
    '  tls: { cert: "${env:CERT}", key: "${env:KEY}" } }\naudit: { key: "${env:AUDIT}", old_keys: ["${env:OLD}"], checkpoint_every: 5m }\n';
  const loaded = await load(text);
  assert.throws(() => loaded.server(), /\$\{env:\w+\} is not set/);
  const { server, audit, checkpointEveryMs } = await load(text, {
    HOST: '0.0.0.0',
    PORT: '9000',
    PROXY: '10.0.0.0/8',
    CERT: 'the cert',
    KEY: 'the private key',
    AUDIT: 'the audit key of today',
    OLD: 'the audit key of before',
  });
  const found = server();
  assert.deepEqual(
    [found.host, found.port, found.trustedProxies, found.rateLimit],
    ['0.0.0.0', 9000, ['10.0.0.0/8', 'loopback'], undefined],
  );
  assert.deepEqual(found.tls?.(), { cert: 'the cert', key: 'the private key' });
  assert.deepEqual(audit(), { key: 'the audit key of today', oldKeys: ['the audit key of before'], lostKeys: [] });
  assert.equal(checkpointEveryMs(), 300_000);
  for (const secret of ['the private key', 'the audit key of today', 'the audit key of before'])
    assert.ok(secrets.includes(secret), secret);
});

test('what would let the wrong ones in is refused', async () => {
  assert.match(
    await message('server: { proxy: { trusted: ["0.0.0.0/0"] } }'),
    /0\.0\.0\.0\/0 is no address of a proxy/,
  );
  assert.match(await message('server: { proxy: { trusted: ["::/0"] } }'), /is no address of a proxy/);
  assert.match(await message('server: { proxy: { trusted: ["10.0.0.0/33"] } }'), /is no address of a proxy/);
  assert.match(await message('server: { proxy: { trusted: ["nginx"] } }'), /is no address of a proxy/);
  const jwt = (rest: string): string =>
    `server: { auth: { jwt: { issuer: "https://idp", audience: lockstep${rest} } } }`;
  assert.match(await message(jwt('')), /the keys of the issuer are missing/);
  assert.match(await message(jwt(', jwks_url: "https://idp/keys", jwks_file: k.json')), /by address and by file/);
  assert.match(await message(jwt(', jwks_url: "http://idp/keys"')), /must come by https/);
  assert.match(await message(jwt(', jwks_url: "idp"')), /is no address/);
  assert.match(await message(jwt(', jwks_file: k.json, algorithms: [HS256]')), /expected some of RS256/);
  assert.match(await message(jwt(', jwks_file: k.json, algorithms: [none]')), /expected some of RS256/);
  assert.match(
    await message('server: { auth: { mode: none, jwt: { issuer: i, audience: a, jwks_file: k } } }'),
    /mode: none and jwt/,
  );
  assert.match(await message('server: { auth: { mode: open } }'), /expected tokens or none/);
  assert.match(await message('server: { port: 70000 }'), /expected a port/);
});
