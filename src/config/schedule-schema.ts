import { z } from 'zod';
import { durationPattern } from './units.ts';

/** When a sync is started by itself, as written. */

const reference = z.string().regex(/\$\{(env|file):[^}]+\}/, { abort: true });
const duration = z.union([z.string().regex(durationPattern, { abort: true }), reference], {
  error: 'expected a duration such as 5s, 2m or 1h',
});
const text = z.string({ error: 'expected text' }).min(1, { error: 'expected text that is not empty' });

export const scheduleSchema = z
  .strictObject(
    {
      cron: text
        .describe('Five fields (minute hour day month weekday), or six with seconds first: "*/5 * * * *".')
        .optional(),
      timezone: text
        .describe('IANA name of the zone that `cron` is read in, e.g. Europe/Zurich. Default UTC.')
        .optional(),
      every: duration.describe('Instead of cron: from 1s on, at whole multiples of it.').optional(),
      jitter: duration
        .describe('Each start is put off by a random time up to this, so that many do not start at once. Default none.')
        .optional(),
      missed: z
        .enum(['run_once', 'skip'], { error: 'expected run_once or skip' })
        .describe(
          'What becomes of starts while nothing was running: run_once (default): one start makes up for all of them; skip: none.',
        )
        .optional(),
    },
    { error: 'expected { cron: "…", timezone: … } or { every: 5s }' },
  )
  .describe('When `lockstep serve` starts it: compares with mode compare, else syncs under the guards.');

export type WrittenSchedule = z.infer<typeof scheduleSchema>;
