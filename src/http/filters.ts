import { z } from 'zod';

/** Typed filters of lists: `?state=eq.done`, `?kind=in.(diff,sync)`, `?started=gte.2026-01-01`. */

/** One of a few words, or several of them. */
export const wordFilter = <const T extends readonly [string, ...string[]]>(words: T) => {
  const known = new Set<string>(words);
  const one = words.join('|');
  return z
    .string()
    .regex(new RegExp(`^(eq\\.(${one})|in\\.\\((${one})(,(${one}))*\\))$`), {
      error: `expected eq.WORD or in.(WORD,WORD), of ${words.join(', ')}`,
    })
    .transform((text): readonly T[number][] =>
      text
        .slice(3)
        .replace(/^\(|\)$/g, '')
        .split(',')
        .filter((word): word is T[number] => known.has(word)),
    );
};

/** One text, or several. A comma cannot stand in a text of a list. */
export const textFilter = z
  .string()
  .max(2000)
  .regex(/^(eq\.[\s\S]+|in\.\([^,()]+(,[^,()]+)*\))$/, { error: 'expected eq.TEXT or in.(TEXT,TEXT)' })
  .transform((text): readonly string[] => (text.startsWith('eq.') ? [text.slice(3)] : text.slice(4, -1).split(',')));

/** Just one text. */
export const equalFilter = z
  .string()
  .max(2000)
  .regex(/^eq\.[\s\S]+$/, { error: 'expected eq.TEXT' })
  .transform((text) => text.slice(3));

const time = /^(gte|gt|lte|lt)\.\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/;

const bound = z
  .string()
  .regex(time, { error: 'expected gte, gt, lte or lt with a date or time: gte.2026-01-01, lt.2026-01-01T12:00:00Z' })
  .refine((text) => !Number.isNaN(Date.parse(text.slice(text.indexOf('.') + 1))), { error: 'there is no such date' });

export interface TimeRange {
  /** At or after, milliseconds since 1970. */
  readonly from?: number;
  /** Before. */
  readonly until?: number;
}

/** A bound, or two of them: `?started=gte.2026-01-01&started=lt.2026-02-01`. Dates are UTC. */
export const timeFilter = z.union([bound, z.array(bound).min(1).max(2)]).transform((given): TimeRange => {
  let from: number | undefined;
  let until: number | undefined;
  for (const text of [given].flat()) {
    const at = text.indexOf('.');
    const operator = text.slice(0, at);
    const ms = Date.parse(text.slice(at + 1)) + (operator === 'gt' || operator === 'lte' ? 1 : 0);
    if (operator.startsWith('g')) from = Math.max(from ?? ms, ms);
    else until = Math.min(until ?? ms, ms);
  }
  return { ...(from === undefined ? {} : { from }), ...(until === undefined ? {} : { until }) };
});
