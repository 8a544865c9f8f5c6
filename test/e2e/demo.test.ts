import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { lockstep } from './lockstep.ts';

test('the demo tells the whole loop and ends as it promises', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-demo-test-'));
  try {
    const outcome = await lockstep(['demo', '--once'], { cwd: dir });
    assert.equal(outcome.code, 0, outcome.stdout + outcome.stderr);
    for (const title of ['What differs?', 'Apply exactly what was shown', 'Proof', 'The drift is back']) {
      assert.ok(outcome.stdout.includes(title), `the story lacks "${title}"`);
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
