import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { LockstepError } from '../../model/errors.ts';
import { parseSqlite, resolveFile } from './url.ts';

test('SQLite URLs are relative or absolute paths with options', () => {
  assert.deepEqual(parseSqlite('sqlite:data/x.db'), { path: 'data/x.db', readOnly: false, immutable: false });
  assert.deepEqual(parseSqlite('sqlite:///var/x.db?mode=ro'), { path: '/var/x.db', readOnly: true, immutable: false });
  assert.deepEqual(parseSqlite('SQLite:a%20b.db'), { path: 'a b.db', readOnly: false, immutable: false });
  assert.deepEqual(parseSqlite({ path: 'x.db', mode: 'ro' }), { path: 'x.db', readOnly: true, immutable: false });
});

test('what cannot be meant is refused with what can', () => {
  for (const url of [
    'sqlite:',
    'sqlite://host/x.db',
    'sqlite::memory:',
    'sqlite:x.db?mode=memory',
    'sqlite:x.db?cache=shared',
  ]) {
    assert.throws(
      () => parseSqlite(url),
      (e) => e instanceof LockstepError && e.code === 'CONFIG' && e.hint !== undefined,
      url,
    );
  }
});

test('a missing file is an error that names the resolved path', () => {
  for (const writable of [true, false])
    assert.throws(
      () => resolveFile(parseSqlite('sqlite:nowhere/x.db'), '/base', { side: 'billing', writable }),
      (e) => e instanceof LockstepError && e.code === 'CONNECT' && e.message.includes('/base/nowhere/x.db'),
    );
});

test('an empty database is made when it is asked for, where it may be written; what is there stays', () => {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-url-'));
  try {
    const config = parseSqlite('sqlite:new.db?mode=rwc');
    assert.throws(() => resolveFile(config, dir, { side: 'shop', writable: false }), /there is no SQLite database/);
    const path = resolveFile(config, dir, { side: 'shop', writable: true });
    assert.equal(readFileSync(path, 'utf8'), '');
    writeFileSync(path, 'something');
    assert.equal(resolveFile(config, dir, { side: 'shop', writable: true }), path);
    assert.equal(readFileSync(path, 'utf8'), 'something');
    const nowhere = parseSqlite('sqlite:nowhere/x.db?mode=rwc');
    assert.throws(() => resolveFile(nowhere, dir, { side: 'shop', writable: true }), /cannot be made/);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
