import assert from 'node:assert/strict';
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
    'sqlite:x.db?mode=rwc',
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
  assert.throws(
    () => resolveFile(parseSqlite('sqlite:nowhere/x.db'), '/base', 'billing'),
    (e) => e instanceof LockstepError && e.code === 'CONNECT' && e.message.includes('/base/nowhere/x.db'),
  );
});
