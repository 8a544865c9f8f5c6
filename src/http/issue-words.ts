import type { z } from 'zod';
import { grouped } from '../lib/grouped.ts';
import { closest } from '../lib/suggest.ts';
import { valueAt } from '../lib/value-at.ts';

const meantBy = (word: unknown, candidates: readonly string[]): string => {
  const meant = typeof word === 'string' ? closest(word, candidates) : undefined;
  return meant === undefined ? '' : `; did you mean ${meant}?`;
};

const oneOf = (value: unknown, words: readonly string[]): string =>
  `${value === undefined ? 'is missing, ' : ''}expected ${words.length > 1 ? 'one of ' : ''}${words.join(', ')}${meantBy(value, words)}`;

/** The keys that an object at the top of a schema has; none where it is no plain object. */
const keysOf = (schema: z.ZodType): readonly string[] => {
  let at = schema as { readonly shape?: object; unwrap?(): unknown };
  for (let depth = 0; at.shape === undefined && at.unwrap !== undefined && depth < 8; depth++)
    at = at.unwrap() as typeof at;
  return Object.keys(at.shape ?? {});
};

/** A limit of something, with what it counts. */
const amount = (origin: string, limit: number | bigint): string => {
  const of = ({ string: 'character', array: 'item', set: 'item' } as Readonly<Record<string, string>>)[origin];
  return of === undefined ? String(limit) : `${grouped(Number(limit))} ${of}${Number(limit) === 1 ? '' : 's'}`;
};

/** What is wrong with a part of a request, for who wrote it. Never what was sent. */
export const wordsOf = (issue: z.core.$ZodIssue, sent: unknown, schema: z.ZodType): string => {
  const value = valueAt(sent, issue.path);
  switch (issue.code) {
    case 'unrecognized_keys': {
      const known = issue.path.length === 0 ? keysOf(schema) : [];
      const told = known.length === 0 ? '' : `; known: ${known.join(', ')}`;
      return `there is no member ${issue.keys.join(', ')}${meantBy(issue.keys[0], known) || told}`;
    }
    case 'invalid_type':
      return `${value === undefined ? 'is missing, ' : ''}expected ${issue.expected}`;
    case 'invalid_value':
      return oneOf(value, issue.values.map(String));
    case 'invalid_union': {
      if (issue.discriminator === undefined) return issue.message;
      const words = [...issue.message.matchAll(/'([^']+)'/g)].map((m) => m[1]!);
      return words.length === 0 ? issue.message : oneOf(value, words);
    }
    case 'too_big':
      return `expected ${issue.inclusive === false ? 'less than' : 'at most'} ${amount(issue.origin, issue.maximum)}`;
    case 'too_small':
      return `expected ${issue.inclusive === false ? 'more than' : 'at least'} ${amount(issue.origin, issue.minimum)}`;
    default:
      return issue.message;
  }
};
