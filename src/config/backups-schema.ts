import { z } from 'zod';
import { scheduleSchema } from './schedule-schema.ts';
import { durationPattern } from './units.ts';

/** Backups, as written. */

const reference = z.string().regex(/\$\{(env|file):[^}]+\}/, { abort: true });
const text = z.string({ error: 'expected text' }).min(1, { error: 'expected text that is not empty' });
const flag = z.union([z.boolean(), reference], { error: 'expected true or false' });
const error = 'expected a whole number, at least 1';

export const backupsSchema = z
  .strictObject(
    {
      directory: text
        .describe('Folder that they are kept in, on the machine of the worker. Default backups.')
        .optional(),
      databases: z
        .array(text, { error: 'expected a list of names of endpoints' })
        .describe('Endpoints (PostgreSQL) that are backed up. Default none.')
        .optional(),
      control: flag.describe('Back the control store up. Default true.').optional(),
      schedule: scheduleSchema
        .describe('When `lockstep serve` makes them. Default once a day, at 03:00 UTC; `false`: only when asked for.')
        .or(z.literal(false))
        .optional(),
      keep: z
        .strictObject({
          last: z
            .union([z.number({ error }).int({ error }).min(1, { error }), reference], { error })
            .describe('So many of each database. Default 7.')
            .optional(),
          for: z
            .union([z.string().regex(durationPattern, { abort: true }), reference], {
              error: 'expected a duration such as 30d',
            })
            .describe('And all that are younger. Default 0s.')
            .optional(),
        })
        .describe('What is kept: these, and always the newest one that is proved.')
        .optional(),
      key: text
        .describe(
          'Secret that they are encrypted with, by ${env:…} or ${file:…}. Without it they are not. Keep it elsewhere, too.',
        )
        .optional(),
      pg_dump: flag
        .describe(
          'By `pg_dump` where one is there that is new enough for the server. Default true; false: always our own.',
        )
        .optional(),
      scratch: text
        .describe(
          'Endpoint (writable) on whose server backups are restored to prove them. Default: the database’s own server when its endpoint is writable, else that of the control store.',
        )
        .optional(),
    },
    { error: 'expected { directory, databases, control, schedule, keep, key, pg_dump, scratch }' },
  )
  .describe('Backups, made and proved: see docs/guide/backups.md.');

export type WrittenBackups = z.infer<typeof backupsSchema>;
