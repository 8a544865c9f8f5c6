import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { isFirebirdMissing } from '../servers/firebird.ts';

const examples = join(dirname(import.meta.filename), '../../examples');
const stories = readdirSync(examples).filter((n) => existsSync(join(examples, n, 'run.ts')));
const needsFirebird = (name: string): boolean =>
  readFileSync(join(examples, name, 'run.ts'), 'utf8').includes('servers/firebird');
const names = stories.filter((n) => !(isFirebirdMissing && needsFirebird(n)));

test('there are examples', () => assert.ok(names.length > 0));

for (const name of names) {
  test(`the example ${name} runs from start to end`, async () => {
    const secrets = ['r@:/?#%ead er', "wr'i@t:e/?#%"];
    const { code, output } = await new Promise<{ code: number; output: string }>((resolve) => {
      execFile(
        process.execPath,
        [join(examples, name, 'run.ts')],
        { env: { ...process.env, NO_COLOR: '1' }, maxBuffer: 64 * 1024 * 1024 },
        (error, stdout, stderr) => resolve({ code: error ? Number(error.code ?? 1) : 0, output: stdout + stderr }),
      );
    });
    assert.equal(code, 0, output);
    for (const secret of secrets) {
      assert.ok(!output.includes(secret), 'a password appears in the output');
      assert.ok(!output.includes(encodeURIComponent(secret)), 'an encoded password appears in the output');
    }
  });
}
