import { z } from 'zod';
import { durationPattern } from './units.ts';

/** How long the control store remembers runs, as written. */

const duration = z.union(
  [z.string().regex(durationPattern, { abort: true }), z.literal(false), z.string().regex(/\$\{(env|file):[^}]+\}/)],
  { error: 'expected a duration such as 90d, or false' },
);

export const retentionSchema = z
  .strictObject(
    {
      quiet: duration
        .describe('Runs that found nothing, with their empty plans. Default 1d; false: for ever.')
        .optional(),
      runs: duration
        .describe(
          'Other runs that wrote nothing, with the differences they found, and plans that were never used. Default 90d; false: for ever.',
        )
        .optional(),
      changes: duration
        .describe(
          'Runs that wrote, with the before-images that `revert` needs, and closed conflicts. Default false: for ever.',
        )
        .optional(),
    },
    { error: 'expected { quiet: 1d, runs: 90d, changes: false }' },
  )
  .describe('What `lockstep serve` and workers forget of ended runs: see docs/guide/operations.md.');

export type WrittenRetention = z.infer<typeof retentionSchema>;
