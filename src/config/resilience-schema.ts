import { z } from 'zod';
import { durationPattern } from './units.ts';

/** How an endpoint is asked when it, or the way to it, is in trouble, as written. */

const reference = z.string().regex(/\$\{(env|file):[^}]+\}/, { abort: true });
const whole = (what: string) => {
  const error = `expected ${what}`;
  return z.union([z.number({ error }).int({ error }).min(1, { error }), reference], { error });
};
const duration = z.union([z.string().regex(durationPattern, { abort: true }), z.literal(0), reference], {
  error: 'expected a duration such as 500ms, 5s, 2m or 1h',
});

export const limitsSchema = z.strictObject({
  rows_per_second: whole('rows per second').describe('Upper bound of rows read from here.').optional(),
  statement_timeout: duration
    .describe('Longest time one statement may take. Default: none in a run, 30s for a request of the API.')
    .optional(),
  concurrency: whole('a number')
    .describe(
      'Runs at it at once, over all workers; and requests at once, of each server. Default: any number of runs, 6 requests.',
    )
    .optional(),
});

export const retrySchema = z.strictObject({
  attempts: whole('a number').describe('Attempts in all. Default 5.').optional(),
  base: duration
    .describe('The first pause is a random one up to this; each later one up to twice as much. Default 200ms.')
    .optional(),
  max: duration.describe('No pause is longer. Default 30s.').optional(),
});

export const breakerSchema = z
  .strictObject(
    {
      failures: whole('a number').describe('Failures in a row that open it. Default 5.').optional(),
      reset_after: duration.describe('How long nothing is sent before one attempt is made. Default 60s.').optional(),
    },
    { error: 'expected { failures: 5, reset_after: 60s }' },
  )
  .describe(
    'The circuit breaker: a database that cannot be reached, breaks connections or does not answer in time is left alone for a while.',
  );

export const replicasSchema = z
  .array(z.string({ error: 'expected a URL' }).min(1, { error: 'expected a URL' }), {
    error: 'expected a list of URLs',
  })
  .describe(
    'URLs of streaming replicas of the same PostgreSQL server. They are read while the primary is down; one that was promoted takes its place.',
  );

export type WrittenBreaker = z.infer<typeof breakerSchema>;
