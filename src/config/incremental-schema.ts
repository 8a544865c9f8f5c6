import { z } from 'zod';
import { durationPattern } from './units.ts';

/** How a sync is compared incrementally, as written. */

const word = z.string({ error: 'expected auto, xmin, record_version or a column' }).min(1, { error: 'is empty' });
const byText = 'expected auto, xmin, record_version, a column, or { source: …, target: … }';
const count = (what: string, least: number) =>
  z
    .number()
    .int()
    .min(least, { error: `expected ${what}` });
const duration = z
  .string()
  .regex(/\$\{(env|file):[^}]+\}/)
  .or(z.string().regex(durationPattern));

export const incrementalSchema = z
  .strictObject(
    {
      by: z
        .union([word, z.strictObject({ source: word.optional(), target: word.optional() })], { error: byText })
        .describe(
          'How changed rows are told: auto (default; the record version an engine keeps: xmin of PostgreSQL, record_version of Firebird), or a column that every write sets to a later time or a greater number.',
        )
        .optional(),
      overlap: z
        .union([duration, count('a number, at least 0', 0)], {
          error: 'expected a duration such as 2m, or for a column of whole numbers a number such as 1000',
        })
        .describe(
          'How far before the last value of a column is looked again: longer than any transaction and any difference of clocks. Default 2m, and 10000 for a column of whole numbers.',
        )
        .optional(),
      deletes: z
        .enum(['keys', 'none'], { error: 'expected keys or none' })
        .describe(
          'keys (default): the keys of all rows are compared each time, so deleted rows are found. none: they are not, and the verdict is incomplete.',
        )
        .optional(),
      full_every: z
        .union([duration, count('a number of comparisons, at least 1', 1)], {
          error: 'expected a duration such as 24h, or a number of comparisons such as 50',
        })
        .describe('All rows are compared at such intervals, or each so many comparisons. Default 24h.')
        .optional(),
    },
    { error: 'expected { by: …, overlap: …, deletes: …, full_every: … }' },
  )
  .describe('Compare what has changed since the last comparison, instead of all rows.');

export type WrittenIncremental = z.infer<typeof incrementalSchema>;
