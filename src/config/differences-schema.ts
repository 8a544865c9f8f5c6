import { z } from 'zod';
import { durationPattern } from './units.ts';

/** How the differences of a sync are kept, as written. */
export const differencesSchema = z
  .strictObject(
    {
      sql: z
        .boolean({ error: 'expected true or false' })
        .describe('Show the differences of each finished comparison in views of the control store. Default false.')
        .optional(),
      max: z
        .int({ error: 'expected a whole number' })
        .min(1, { error: 'expected a number, at least 1' })
        .describe('A comparison that finds more is not shown: the views keep the one before. Default 1000000.')
        .optional(),
      history: z
        .union([z.string().regex(/\$\{(env|file):[^}]+\}/), z.string().regex(durationPattern)], {
          error: 'expected a duration such as 90d',
        })
        .describe('How long differences that are gone stay in the views. Default 90d.')
        .optional(),
    },
    { error: 'expected { sql: true, max: …, history: … }' },
  )
  .describe('Differences in SQL: see docs/guide/differences-in-sql.md.');

export type WrittenDifferences = z.infer<typeof differencesSchema>;
