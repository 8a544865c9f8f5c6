import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { referencePages } from '../../scripts/docs.ts';

test('the reference pages are what the code makes', () => {
  const pages = Object.entries(referencePages());
  assert.ok(pages.length >= 3);
  for (const [name, text] of pages) {
    const file = join(dirname(import.meta.filename), '../../docs/reference', name);
    assert.equal(readFileSync(file, 'utf8'), text, `${name} is old: npm run docs`);
  }
});
