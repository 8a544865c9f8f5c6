import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { redactor } from '../lib/redact.ts';
import { type ErrorCode, errorCodes, LockstepError } from '../model/errors.ts';
import { answerOf, HttpProblem, meanings, requestCodes } from './errors.ts';

const secrets = redactor();
secrets.add('p@ssw0rd');
const answer = (error: unknown) => answerOf(error, { correlation: 'c_1', redactor: secrets });

test('every code has a status and a title, and none means two things', () => {
  const codes = Object.keys(errorCodes) as ErrorCode[];
  assert.ok(codes.length > 30);
  for (const code of codes) {
    const { problem } = answer(new LockstepError(code, 'what happened'));
    assert.ok(problem.status >= 400 && problem.status < 600, code);
    assert.ok(problem.title.length > 5, code);
    assert.equal(problem.type, `/docs/errors#${code}`);
  }
  for (const code of Object.keys(requestCodes)) assert.ok(!(code in meanings), `${code} is both`);
});

test('what was not foreseen says nothing of itself, and no secret is told', () => {
  const { problem, unforeseen } = answer(new Error('select secret from p@ssw0rd'));
  assert.deepEqual([problem.status, problem.code, unforeseen], [500, 'INTERNAL', true]);
  assert.doesNotMatch(JSON.stringify(problem), /select|p@ss/);
  const known = answer(
    new LockstepError('AUTH', 'refused p@ssw0rd', { hint: 'not p@ssw0rd', details: ['as p@ssw0rd'] }),
  ).problem;
  assert.deepEqual([known.detail, known.hint, known.details], ['refused ***', 'not ***', ['as ***']]);
});

test('what passes by itself says when to try again', () => {
  assert.equal(answer(new LockstepError('STORE', 'gone')).headers['retry-after'], '1');
  const later = Object.assign(new LockstepError('CIRCUIT_OPEN', 'open'), { retryAfterMs: 41_500 });
  assert.equal(answer(later).headers['retry-after'], '42');
  assert.equal(answer(new LockstepError('NOT_FOUND', 'none')).headers['retry-after'], undefined);
  const headers = { allow: 'GET' };
  assert.equal(answer(new HttpProblem('METHOD_NOT_ALLOWED', 'no', { headers })).headers['allow'], 'GET');
});

test('every code that only the API has is in the reference with its status', () => {
  const page = readFileSync(new URL('../../docs/reference/errors.md', import.meta.url), 'utf8');
  for (const [code, { status }] of Object.entries(requestCodes))
    assert.ok(page.includes(`| \`${code}\` | ${status} |`), `docs/reference/errors.md lacks ${code}`);
});
