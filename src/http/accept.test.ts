import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accepted } from './accept.ts';

const offered = ['application/json', 'text/csv'] as const;

test('the form that is wanted most is given, ours first where it is all the same', () => {
  const cases: readonly (readonly [string | undefined, string | undefined])[] = [
    [undefined, 'application/json'],
    ['', 'application/json'],
    ['*/*', 'application/json'],
    ['text/csv', 'text/csv'],
    ['text/*', 'text/csv'],
    ['TEXT/CSV; charset=utf-8', 'text/csv'],
    ['text/csv;q=0.5, application/json;q=0.9', 'application/json'],
    ['text/html, text/csv;q=0.1', 'text/csv'],
    ['image/png, */*;q=0.1', 'application/json'],
    ['image/png', undefined],
    ['text/csv;q=0', undefined],
    ['text/csv;q=x', undefined],
    [',;,', undefined],
  ];
  for (const [header, expected] of cases) assert.equal(accepted(header, offered), expected, header);
});
