import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { errorCodes } from '../src/model/errors.ts';

const root = join(dirname(import.meta.filename), '..');
const pages = [
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  ...globSync('{docs,examples}/**/*.md', { cwd: root }),
];
const read = (page: string): string => readFileSync(join(root, page), 'utf8');

test('every link to a file of the project leads somewhere', () => {
  let seen = 0;
  for (const page of pages)
    for (const [, target] of read(page).matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
      seen++;
      assert.ok(existsSync(join(root, dirname(page), target!)), `${page} links to ${target}, which does not exist`);
    }
  assert.ok(seen > 20, `saw only ${seen} links`);
});

test('every command and flag that the pages name exists', () => {
  const reference = read('docs/reference/cli.md');
  const known = new Set([...reference.matchAll(/--[a-z][a-z-]+/g)].map(([flag]) => flag));
  const commands = new Set([...reference.matchAll(/^## `?lockstep ([a-z]+)/gm)].map(([, name]) => name));
  assert.ok(commands.size >= 10, `the reference names only ${[...commands].join(', ')}`);
  for (const page of pages.filter((p) => !p.startsWith('docs/reference'))) {
    for (const [line] of read(page).matchAll(/^.*lockstep [a-z]+.*$/gm)) {
      for (const [, command] of line.matchAll(/(?:^|[`$/ ])lockstep ([a-z]+)\b(?=[ `]|$)/g))
        if (/[`$]|^\s*\.?\//.test(line))
          assert.ok(commands.has(command!) || /keeps|compares|needs|is/.test(command!), `${page}: lockstep ${command}`);
      for (const [flag] of line.matchAll(/--[a-z][a-z-]+/g))
        assert.ok(known.has(flag) || /npm|initdb/.test(line), `${page} names ${flag}, which no command has`);
    }
  }
});

test('every error code has a line in the reference', () => {
  const page = read('docs/reference/errors.md');
  for (const code of Object.keys(errorCodes))
    assert.ok(page.includes(`\`${code}\``), `docs/reference/errors.md lacks ${code}`);
});

test('every source file that ARCHITECTURE.md names exists', () => {
  const named = [...read('ARCHITECTURE.md').matchAll(/`((?:src|test|bench|docs)\/[\w./-]+)`/g)].map(
    ([, path]) => path!,
  );
  assert.ok(named.length > 10);
  for (const path of named) assert.ok(existsSync(join(root, path)), `ARCHITECTURE.md names ${path}`);
});
