import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import type { Api } from './api.ts';
import { cursorsOf } from './cursors.ts';
import { HttpProblem } from './errors.ts';

const o = { signal: new AbortController().signal };
const server = (secret: string) =>
  cursorsOf({ store: { sharedSecret: async () => Buffer.from(secret) } } as unknown as Api)(o);
const position = z.object({ at: z.number() });

test('a cursor is good for the list that gave it, on every server of the store, and for nothing else', async () => {
  const [one, two, other] = await Promise.all([server('a'), server('a'), server('b')]);
  const cursor = one.seal('runs?x', { at: 7 });
  assert.deepEqual(two.open('runs?x', cursor, position), { at: 7 });
  const [body, signature] = cursor.split('.') as [string, string];
  const forged = Buffer.from('{"at":8}').toString('base64url');
  for (const [list, text, from] of [
    ['runs?y', cursor, one],
    ['runs?x', cursor, other],
    ['runs?x', `${forged}.${signature}`, one],
    ['runs?x', `${body}.${signature.slice(1)}A`, one],
    ['runs?x', body, one],
    ['runs?x', '', one],
    ['runs?x', one.seal('runs?x', { at: 'seven' }), one],
  ] as const)
    assert.throws(
      () => from.open(list, text, position),
      (e) => e instanceof HttpProblem && e.code === 'CURSOR',
      text,
    );
});
