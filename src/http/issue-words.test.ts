import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { wordsOf } from './issue-words.ts';

const schema = z.strictObject({
  run: z.string(),
  take: z.enum(['source', 'target', 'base']).optional(),
  most: z.number().int().max(5).optional(),
  note: z.string().min(1).max(2000).optional(),
  tags: z.array(z.string()).max(1).optional(),
  only: z.strictObject({ pair: z.string() }).optional(),
});
const said = (sent: unknown, of: z.ZodType = schema): readonly string[] => {
  const { error } = of.safeParse(sent);
  return (error?.issues ?? []).map((issue) => `${issue.path.join('.')}: ${wordsOf(issue, sent, of)}`);
};

test('what is wrong with a request is said with what would be right, and never with what was sent', () => {
  assert.deepEqual(said({}), ['run: is missing, expected string']);
  assert.deepEqual(said({ run: 7 }), ['run: expected string']);
  assert.deepEqual(said({ run: 'r', takes: 'source' }), [': there is no member takes; did you mean take?']);
  assert.deepEqual(said({ run: 'r', zzz: 1 }), [': there is no member zzz; known: run, take, most, note, tags, only']);
  assert.deepEqual(said({ run: 'r', only: { pair: 'p', zzz: 1 } }), ['only: there is no member zzz']);
  assert.deepEqual(said({ run: 'r', take: 'sorce' }), [
    'take: expected one of source, target, base; did you mean source?',
  ]);
  assert.deepEqual(said({ run: 'r', take: 'secret text' }), ['take: expected one of source, target, base']);
  assert.deepEqual(said({ run: 'r', most: 6 }), ['most: expected at most 5']);
  assert.deepEqual(said({ run: 'r', note: '' }), ['note: expected at least 1 character']);
  assert.deepEqual(said({ run: 'r', note: 'x'.repeat(2001) }), ['note: expected at most 2,000 characters']);
  assert.deepEqual(said({ run: 'r', tags: ['a', 'b'] }), ['tags: expected at most 1 item']);
  assert.deepEqual(said({ zzz: 1 }, schema.nullish()), [
    'run: is missing, expected string',
    ': there is no member zzz; known: run, take, most, note, tags, only',
  ]);
});

test('a kind that does not exist is told with those that do', () => {
  const either = z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('diff') }),
    z.strictObject({ kind: z.enum(['plan', 'sync']) }),
  ]);
  assert.deepEqual(said({ kind: 'difff' }, either), ['kind: expected one of diff, plan, sync; did you mean diff?']);
  assert.deepEqual(said({}, either), ['kind: is missing, expected one of diff, plan, sync']);
  assert.deepEqual(said({ kind: 'plan', x: 1 }, either), [': there is no member x']);
});
