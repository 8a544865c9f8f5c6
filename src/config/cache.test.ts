import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from './load.ts';

const load = async (yaml: string, env: Readonly<Record<string, string>> = {}) => {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-config-'));
  const secrets: string[] = [];
  try {
    const file = join(dir, 'lockstep.yaml');
    writeFileSync(file, `version: 1\n${yaml}`);
    const config = await loadConfig(file, { cwd: dir, env, onSecret: (value) => void secrets.push(value) });
    return { config, secrets };
  } finally {
    rmSync(dir, { recursive: true });
  }
};
const records = 'records: { a: { table: a }, b: { table: b, cache: false }, c: { table: c, cache: 5s } }\n';

test('nothing is kept unless it is said, and then as each entity says', async () => {
  const kept = async (yaml: string) => Object.values((await load(yaml)).config.records).map((r) => r.cache);
  assert.deepEqual(await kept(records), [false, false, 5000]);
  assert.deepEqual(await kept(`${records}cache: {}\n`), [true, false, 5000]);
  const { config } = await load(`${records}cache: {}\n`);
  assert.deepEqual(config.cache(), { ttlMs: 60_000, maxBytes: 64 * 1024 * 1024, redis: undefined });
  const { config: other } = await load('cache: { ttl: 300s, max_bytes: 2GiB }\nrecords: {}\n');
  assert.deepEqual([other.cache().ttlMs, other.cache().maxBytes], [300_000, 2 * 1024 ** 3]);
});

test('a Redis is named by URL or by parts, and its password is a secret', async () => {
  const env = { REDIS_HOST: 'cache.test', REDIS_PORT: '6380', REDIS_PASSWORD: 'p@:/?#%' };
  const redis = async (written: string) => {
    const { config, secrets } = await load(`cache: { redis: ${written} }\nrecords: {}\n`, env);
    const { redis: found } = config.cache();
    return { redis: found, secrets: [...new Set(secrets)], inline: config.inlineSecrets.map((s) => s.path) };
  };
  assert.deepEqual(
    await redis(
      `{ host: "\${env:REDIS_HOST}", port: "\${env:REDIS_PORT}", password: "\${env:REDIS_PASSWORD}", database: 3, tls: true }`,
    ),
    {
      redis: { url: 'rediss://cache.test:6380', user: undefined, password: 'p@:/?#%', database: 3 },
      secrets: ['p@:/?#%'],
      inline: [],
    },
  );
  assert.deepEqual(await redis('redis://me:p%40w@cache.test:6379/2'), {
    redis: { url: 'redis://cache.test:6379', user: 'me', password: 'p@w', database: 2 },
    secrets: ['p@w'],
    inline: ['cache.redis'],
  });
  assert.deepEqual((await redis('{ host: "::1", password: secret }')).redis?.url, 'redis://[::1]:6379');
  assert.deepEqual((await redis('{ host: h, password: secret }')).inline, ['cache.redis.password']);
  await assert.rejects(redis('http://x'), /no address of a Redis/);
  await assert.rejects(redis('{ port: 6379 }'), /neither url nor host/);
  await assert.rejects(redis('{ url: "redis://h", host: h }'), /stands beside url/);
  await assert.rejects(redis(`"\${env:MISSING}"`), { code: 'SECRET_MISSING' });
});
