import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import { openStore } from '../../src/work/open-store.ts';
import { testDatabase } from '../servers/postgres.ts';
import { newRun, o } from './plain.ts';

const inFolder = async (use: (dir: string) => Promise<void>): Promise<void> => {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-open-'));
  try {
    await use(dir);
    assert.deepEqual(readdirSync(dir), [], 'the folder was not touched');
  } finally {
    rmSync(dir, { recursive: true });
  }
};

test('a configured store is used, and keeps what it is told', () =>
  inFolder(async (dir) => {
    await using database = await testDatabase();
    const options = { controlUrl: database.url, dir, clock: systemClock, signal: o.signal };
    {
      await using store = await openStore(options);
      assert.match(store.description, /^postgres:\/\/\w+@127\.0\.0\.1:\d+\/t_/);
      await store.runs.create(newRun({ id: 'r_1' }), o);
    }
    await using store = await openStore(options);
    assert.deepEqual(
      (await store.runs.list({}, o)).map(({ id }) => id),
      ['r_1'],
    );
  }));

test('a configured store that cannot be reached, and an empty setting, never fall back to the embedded one', () =>
  inFolder(async (dir) => {
    for (const [controlUrl, code] of [
      ['postgres://me:pw@127.0.0.1:1/ops', 'CONNECT'],
      ['', 'CONFIG'],
      ['not a url', 'CONFIG'],
    ] as const) {
      await assert.rejects(
        openStore({ controlUrl, dir, clock: systemClock, signal: o.signal }),
        (error: { code?: string }) => error.code === code,
      );
    }
  }));

test('opening can be aborted, before and while a server does not answer', () =>
  inFolder(async (dir) => {
    const { createServer } = await import('node:net');
    const silent = createServer(() => abort.abort(new Error('enough')));
    const abort = new AbortController();
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as { port: number };
    const opening = openStore({
      controlUrl: `postgres://me@127.0.0.1:${port}/ops`,
      dir,
      clock: systemClock,
      signal: abort.signal,
    });
    await assert.rejects(opening, /enough/);
    silent.close();
    await assert.rejects(
      openStore({ dir, clock: systemClock, signal: AbortSignal.abort(new Error('at once')) }),
      /at once/,
    );
  }));
