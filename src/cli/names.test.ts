import assert from 'node:assert/strict';
import { test } from 'node:test';
import { namesOfUrls } from './names.ts';

test('two databases are named by as little of their addresses as tells them apart', () => {
  const names = (a: string, b: string): string => namesOfUrls(a, b).join(' | ');
  assert.equal(names('postgres://u:p@h/billing', 'postgres://u:p@h/crm'), 'billing | crm');
  assert.equal(names('postgres://u:p@old/app', 'postgres://u:p@new/app'), 'old/app | new/app');
  assert.equal(names('sqlite:a/app.db', 'sqlite:b/app.db'), 'a/app.db | b/app.db');
  assert.equal(names('${env:OLD_URL}', '${env:NEW_URL}'), 'old | new');
  assert.equal(names('${env:APP_URL}', '${env:APP_DSN}'), 'APP_URL | APP_DSN');
  assert.equal(names('${env:OLD_URL}', 'postgres://u:p@h/crm'), 'old | crm');
  assert.equal(names('postgres://u:p@h/d', 'postgres://u:p@h/d'), 'source | target');
});
