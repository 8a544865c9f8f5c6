import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { testDatabase } from '../servers/postgres.ts';

test('a plan of 200,000 items, 110 MB, is written, verified, read, exported and taken in with a heap of 96 MB', async () => {
  await using database = await testDatabase();
  const script = fileURLToPath(new URL('./write-plan.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--max-old-space-size=48',
    script,
    database.url,
    '200000',
  ]);
  const { read, bytes, rss } = JSON.parse(stdout) as { read: number; bytes: number; rss: number };
  assert.equal(read, 200_000);
  assert.ok(bytes > 100e6, `${bytes} bytes exported`);
  assert.ok(rss < 300e6, `${Math.round(rss / 1e6)} MB resident`);
});
