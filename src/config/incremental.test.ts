import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { LockstepError } from '../model/errors.ts';
import { loadConfig } from './load.ts';

const home = mkdtempSync(join(tmpdir(), 'lockstep-incremental-'));
after(() => rmSync(home, { recursive: true, force: true }));

const load = async (incremental: string, env: Readonly<Record<string, string>> = {}) => {
  const file = join(home, 'c.yaml');
  writeFileSync(
    file,
    `version: 1\nendpoints:\n  a: { url: "sqlite:a.db" }\n  b: { url: "sqlite:b.db" }\nsyncs:\n  s: { source: a, target: b, incremental: ${incremental} }\n`,
  );
  const config = await loadConfig(file, { cwd: home, env });
  return config.syncs['s']!.incremental;
};

test('defaults: the record version, two minutes, the keys of all rows, a full comparison a day', async () => {
  assert.deepEqual(await load('{}'), {
    by: { source: 'auto', target: 'auto' },
    sameColumn: true,
    overlapMs: 120_000,
    overlapCount: 10_000,
    deletes: 'keys',
    fullEvery: { ms: 86_400_000 },
  });
});

test('a column for both sides or one for each, overlaps of time and of numbers, references', async () => {
  const one = await load('{ by: updated_at, overlap: "${env:OVERLAP}", full_every: 50, deletes: none }', {
    OVERLAP: '90s',
  });
  assert.deepEqual([one?.by, one?.sameColumn], [{ source: 'updated_at', target: 'updated_at' }, true]);
  assert.deepEqual([one?.overlapMs, one?.fullEvery, one?.deletes], [90_000, { runs: 50 }, 'none']);
  const two = await load('{ by: { source: rev }, overlap: 0, full_every: 1.5h }');
  assert.deepEqual([two?.by, two?.sameColumn], [{ source: 'rev', target: 'auto' }, false]);
  assert.deepEqual([two?.overlapMs, two?.overlapCount, two?.fullEvery], [120_000, 0, { ms: 5_400_000 }]);
});

test('what means nothing is refused at its place', async () => {
  for (const [written, wrong] of [
    ['{ overlap: soon }', /overlap: expected a duration such as 2m, or for a column of whole numbers/],
    ['{ overlap: -1 }', /overlap: expected a number, at least 0/],
    ['{ full_every: 0 }', /full_every: expected a number of comparisons, at least 1/],
    ['{ full_every: daily }', /full_every: expected a duration such as 24h/],
    ['{ deletes: some }', /deletes: expected keys or none/],
    ['{ by: { left: x } }', /left/],
    ['{ column: updated_at }', /column/],
    ['24h', /expected \{ by/],
  ] as const)
    await assert.rejects(load(written), (error: LockstepError) => {
      assert.equal(error.code, 'CONFIG', written);
      assert.match(error.message, wrong);
      assert.match(error.message, /c\.yaml:6/);
      return true;
    });
});
