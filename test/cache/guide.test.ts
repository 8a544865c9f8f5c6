import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { catalogue } from '../../src/telemetry/catalogue.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/guide/cache.md'), 'utf8');

test('the configurations of the page say what the page says', async () => {
  const env = {
    CRM_URL: 'postgres://me@h/crm',
    DATABASE_URL: 'postgres://me@h/d',
    REDIS_HOST: 'redis',
    REDIS_PORT: '6379',
  };
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-guide-'));
  try {
    const [own, shared, ...others] = await Promise.all(
      [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(async ([, text], i) => {
        const file = join(dir, `${i}.yaml`);
        writeFileSync(file, text!);
        return loadConfig(file, { cwd: dir, env });
      }),
    );
    assert.equal(others.length, 0);
    assert.deepEqual(
      Object.values(own!.records).map((r) => [r.name, r.cache]),
      [
        ['subscriptions', true],
        ['prices', 10_000],
        ['balances', false],
      ],
    );
    assert.equal(own!.cache().ttlMs, 300_000);
    assert.equal(shared!.cache().redis?.url, 'redis://redis:6379');
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('every metric of the page is one, and every metric of the cache is on it', () => {
  const named = new Set([...page.matchAll(/`(lockstep_cache_\w+)`/g)].map((m) => m[1]!));
  assert.deepEqual(
    [...named].sort(),
    Object.keys(catalogue)
      .filter((name) => name.startsWith('lockstep_cache_'))
      .sort(),
  );
});
