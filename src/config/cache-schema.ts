import { z } from 'zod';
import { durationPattern } from './units.ts';

/** The cache of the API's records, as written. */

const reference = z.string().regex(/\$\{(env|file):[^}]+\}/, { abort: true });
const text = z.string({ error: 'expected text' }).min(1, { error: 'expected text that is not empty' });
const duration = z.union([z.string().regex(durationPattern, { abort: true }), reference], {
  error: 'expected a duration such as 30s or 5m',
});
const size = 'expected a size such as 64MiB, or a number of bytes';
const port = 'expected a port, 1 to 65535';

const redis = z
  .strictObject({
    url: text.describe('redis://user:password@host:6379/0, or rediss://… for TLS. Instead of parts.').optional(),
    host: text.optional(),
    port: z
      .union(
        [
          z.number({ error: port }).int({ error: port }).min(1, { error: port }).max(65535, { error: port }),
          reference,
          z.string().regex(/^\d+$/),
        ],
        { error: port },
      )
      .describe('Default 6379.')
      .optional(),
    user: text.optional(),
    password: text.describe('By parts, no character needs escaping.').optional(),
    database: z
      .union([z.number({ error: 'expected a number' }).int().min(0), reference], { error: 'expected a number' })
      .describe('Number of the database. Default 0.')
      .optional(),
    tls: z.union([z.boolean(), reference], { error: 'expected true or false' }).describe('Default false.').optional(),
  })
  .describe('A Redis that all servers share: by url, or by host and parts.');

export const cacheSchema = z
  .strictObject(
    {
      ttl: duration.describe('How long an answer is kept at most. Default 60s.').optional(),
      max_bytes: z
        .union(
          [
            z.number({ error: size }).int({ error: size }).min(0, { error: size }),
            z.string().regex(/^\d+(KiB|MiB|GiB)$/, { abort: true }),
            reference,
          ],
          {
            error: size,
          },
        )
        .describe('Memory of each server for it; 0: only Redis keeps answers. Default 64MiB.')
        .optional(),
      redis: z.union([text, redis], { error: 'expected a URL, or { host, port, user, password }' }).optional(),
    },
    { error: 'expected { ttl, max_bytes, redis }' },
  )
  .describe('Answers of the records API that are kept for a while: see docs/guide/cache.md. Absent: none are.');

/** Of one entity. */
export const recordCacheSchema = z.union([z.boolean(), duration], {
  error: 'expected true, false or a duration such as 30s',
});

export type WrittenCache = z.infer<typeof cacheSchema>;
