import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { commandTable } from '../../src/cli/command-table.ts';
import { commonFlags } from '../../src/cli/flags.ts';
import { lockstep } from '../e2e/lockstep.ts';

const home = mkdtempSync(join(tmpdir(), 'lockstep-completion-'));
after(() => rmSync(home, { recursive: true, force: true }));

const script = async (shell: string): Promise<string> => {
  const { code, stdout, stderr } = await lockstep(['completion', shell]);
  assert.equal(code, 0, stderr);
  const file = join(home, `lockstep.${shell}`);
  writeFileSync(file, stdout);
  return file;
};

test('bash completes commands, flags of the command, and choices', async () => {
  const file = await script('bash');
  execFileSync('bash', ['-n', file]);
  const complete = (...words: string[]): readonly string[] =>
    execFileSync('bash', [
      '-c',
      `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _lockstep; printf '%s\\n' "\${COMPREPLY[@]}"`,
      file,
      'lockstep',
      ...words,
    ])
      .toString()
      .trim()
      .split('\n');
  assert.deepEqual([...complete('')].sort(), commandTable.map((c) => c.name).sort());
  assert.deepEqual(complete('di'), ['diff']);
  for (const spec of commandTable) {
    const flags = new Set([...spec.flags, ...commonFlags].map((f) => `--${f}`));
    assert.deepEqual(new Set(complete(spec.name, '--')), flags, spec.name);
  }
  assert.deepEqual(complete('diff', '--format', 'js'), ['json', 'jsonl']);
});

for (const shell of ['zsh', 'fish']) {
  test(`${shell}: every command and flag is named, and the shell reads the script where it is installed`, async (t) => {
    const file = await script(shell);
    const text = (await lockstep(['completion', shell])).stdout;
    for (const spec of commandTable) assert.ok(text.includes(spec.name), spec.name);
    for (const flag of commonFlags) assert.ok(text.includes(flag), flag);
    const read = spawnSync(shell, ['-n', file]);
    if (read.error) t.diagnostic(`${shell} is not installed: its script was only looked at`);
    else assert.equal(read.status, 0, String(read.stderr));
  });
}

test('another shell is refused, with those there are', async () => {
  const { code, stderr } = await lockstep(['completion', 'tcsh']);
  assert.equal(code, 20);
  assert.match(stderr, /bash, zsh, fish/);
});
