import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import { redactor } from '../../src/lib/redact.ts';
import { writeCheckpoints } from '../../src/service/checkpoints.ts';
import { openLog } from '../../src/telemetry/log.ts';
import { inProcess } from '../cli/in-process.ts';
import { testDatabase } from '../servers/postgres.ts';

const database = await testDatabase();
const dir = mkdtempSync(join(tmpdir(), 'lockstep-checkpoints-'));
after(async () => {
  await database[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true });
});
const key = 'the key of these checkpoints';
const lockstep = (...args: readonly string[]) =>
  inProcess([...args, '--control', database.url], { cwd: dir, env: { LOCKSTEP_AUDIT_KEY: key } });

test('lines of a server’s log prove later that nothing up to them was changed', async () => {
  const { openStore } = await import('../../src/work/open-store.ts');
  const abort = new AbortController();
  await using store = await openStore({
    controlUrl: database.url,
    dir,
    clock: systemClock,
    signal: abort.signal,
    auditKeys: () => ({ current: key, old: [] }),
  });
  const lines: string[] = [];
  const log = openLog({
    level: 'info',
    write: (line) => void lines.push(line),
    clock: systemClock,
    redactor: redactor(),
  });
  const grow = (n: number) =>
    store.audit.append(
      Array.from({ length: n }, (_, i) => ({
        actor: 'me',
        action: 'test',
        object: `x/${i}`,
        outcome: 'done',
        correlation: 'c',
      })),
      { signal: abort.signal },
    );
  await grow(3);
  let slept = 0;
  await writeCheckpoints({
    audit: store.audit,
    log,
    everyMs: () => 3_600_000,
    signal: abort.signal,
    clock: {
      sleep: async (ms) => {
        assert.equal(ms, 3_600_000);
        slept++;
        // Grows once, then stands still, then the server ends, after it grew once more.
        if (slept !== 2) await grow(1);
        if (slept === 3) abort.abort();
      },
    },
  });
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).seq),
    [3, 4, 5],
  );
  const file = join(dir, 'serve.log');
  writeFileSync(file, `a line of something else\n${lines.join('')}{"level":"info","message":"stopped"}\n`);
  const good = await lockstep('audit', 'verify', '--checkpoint', 'serve.log');
  assert.equal(good.code, 0, good.stdout);
  assert.match(good.stdout, /5 entries, 3 of 3 checkpoints hold/);
  await database.query(
    'set session_replication_role = replica; truncate lockstep_control.audit, lockstep_control.audit_head',
  );
  await grow2(5);
  const again = await lockstep('audit', 'verify');
  assert.equal(again.code, 0, 'chained again with the stolen key, it looks good by itself');
  const found = await lockstep('audit', 'verify', '--checkpoint', 'serve.log', '--json');
  assert.equal(found.code, 29);
  assert.match(JSON.parse(found.stdout).problems[0].what, /^entry 3 is not the one of the checkpoint/);
});

/** Another process with the same key. */
const grow2 = async (n: number): Promise<void> => {
  for (let i = 0; i < n; i++) await lockstep('token', 'create', `x${i}`, '--role', 'viewer');
};

test('a file without any checkpoint is a mistake, not a proof', async () => {
  writeFileSync(join(dir, 'empty.log'), '{"seq":"3"}\n[]\nnull\n');
  for (const [file, words] of [
    ['empty.log', /holds no end of an audit log/],
    ['nothing.log', /cannot be read/],
  ] as const) {
    const { code, stderr } = await lockstep('audit', 'verify', '--checkpoint', file);
    assert.equal(code, 20);
    assert.match(stderr, words);
  }
});
