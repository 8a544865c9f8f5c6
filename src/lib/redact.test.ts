import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redactor } from './redact.ts';

test('a secret is masked wherever it occurs, also percent-encoded', () => {
  const r = redactor();
  r.add('p@ss/word');
  assert.equal(r.redact('login p@ss/word or p%40ss%2Fword failed'), 'login *** or *** failed');
});

test("a password that is also the user's name masks no name, and still not the URL's password", () => {
  const r = redactor();
  r.add('tester');
  r.plain('tester');
  assert.equal(
    r.redact('user "tester" at postgres://tester:tester@h/d?password=tester'),
    'user "tester" at postgres://tester:***@h/d?password=***',
  );
});

test('parameters and URLs are masked without being told', () => {
  assert.equal(
    redactor().redact('https://h/?token=abc&x=1 postgres://u:p@h/d'),
    'https://h/?token=***&x=1 postgres://u:***@h/d',
  );
});
