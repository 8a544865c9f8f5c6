import { z } from 'zod';
import { durationPattern, percentPattern } from './units.ts';

/** What is measured, promised and told, as written. `monitoring.ts` turns it into what the program uses. */

const text = z.string({ error: 'expected text' }).min(1, { error: 'expected text that is not empty' });
const reference = z.string().regex(/\$\{(env|file):[^}]+\}/);
const duration = z.union([z.string().regex(durationPattern), z.literal(0), reference], {
  error: 'expected a duration such as 30s, 5m, 1h or 7d',
});
const share = z.union([z.string().regex(percentPattern), z.number().min(0).max(1)], {
  error: 'expected a percentage such as 99.9% or a fraction from 0 to 1',
});
const number = (what: string, least: number) => {
  const error = `expected ${what}`;
  return z.number({ error }).min(least, { error });
};
const names = (what: string) => z.array(text, { error: `expected a list of ${what}` }).min(1);

const measure = z
  .strictObject(
    {
      sync: text.describe('The sync whose changes are counted.'),
      pair: text.describe('Only the changes of this pair, by its source table.').optional(),
      count: z
        .enum(['changes', 'inserts', 'updates', 'deletes'], {
          error: 'expected changes, inserts, updates or deletes',
        })
        .describe('Counts what a run wrote.')
        .optional(),
      sum: text
        .describe(
          'Sums a column’s change: what it is after the run less what it was before. A new row counts whole, a deleted one is taken away.',
        )
        .optional(),
      delta: text
        .describe('The same over rows that were there before and after: no new and no deleted ones.')
        .optional(),
    },
    { error: 'expected { sync: …, count: changes } or { sync: …, sum: a_column }' },
  )
  .describe('A number of the business, made of what each run wrote.');

export const metricsSchema = z
  .strictObject({
    business: z
      .record(z.string().regex(/^[a-z][a-z0-9_]*$/, { error: 'expected a name of a-z, 0-9 and _' }), measure)
      .optional(),
  })
  .describe('Metrics of your own: see docs/guide/monitoring.md.');

export const sloSchema = z
  .strictObject(
    {
      verified_within: duration
        .describe('How old the last proof that a pair agrees may be. At least 1m. Default 24h.')
        .optional(),
      agree: share
        .describe('Share of the time in which every pair is to be proved to agree. Default 99.9%.')
        .optional(),
      drift: share.describe('Share of the rows that may differ all the same. Default 0%.').optional(),
      window: duration.describe('The time that is looked back on. Default 30d.').optional(),
    },
    { error: 'expected { verified_within: 1h, agree: 99.9% }' },
  )
  .describe('What is promised of this sync: its pairs are proved to agree, so recently, so much of the time.');

export const logSchema = z
  .strictObject({
    level: z
      .enum(['debug', 'info', 'warn', 'error', 'silent'], { error: 'expected debug, info, warn, error or silent' })
      .describe('Default info.')
      .optional(),
    file: text.describe('A file that lines are added to, beside the config. Default: stderr.').optional(),
  })
  .describe('JSON lines about what the service does. They hold no secrets and no rows.');

const smtp = z.strictObject({
  host: text,
  port: z.union([z.number().int().min(1).max(65535), reference], { error: 'expected a port' }).optional(),
  user: text.optional(),
  password: text.optional(),
  tls: z
    .enum(['starttls', 'always', 'none'], { error: 'expected starttls, always or none' })
    .describe('Default starttls; none is for a mail server on this machine.')
    .optional(),
});

const channel = z
  .strictObject(
    {
      webhook: text.describe('URL that is sent a signed POST (Standard Webhooks).').optional(),
      secret: text.describe('Of a webhook: whsec_… or any text of at least 24 characters; "${env:…}".').optional(),
      slack: text.describe('URL of an incoming webhook of Slack, or of what takes its format.').optional(),
      email: names('addresses').describe('Addresses that are written to.').optional(),
      from: text.describe('Of an e-mail: the sender.').optional(),
      smtp: smtp.optional(),
      allow_private: z
        .boolean({ error: 'expected true or false' })
        .describe('The address may be in a private network. Default false.')
        .optional(),
    },
    { error: 'expected { webhook: …, secret: … }, { slack: … } or { email: […], from: …, smtp: … }' },
  )
  .describe('Where alerts are sent.');

const common = {
  for: duration.describe('How long it must last before it fires.').optional(),
  severity: z.enum(['info', 'warning', 'critical'], { error: 'expected info, warning or critical' }).optional(),
  send: z.array(text).describe('Channels. Default: all of them; []: none.').optional(),
  only: names('names').describe('Syncs (or endpoints, or backups) that it looks at. Default: all.').optional(),
};
const rule = <T extends z.ZodRawShape>(about: string, shape: T) =>
  z
    .union([z.literal(false), z.strictObject({ ...common, ...shape })], { error: 'expected false, or settings' })
    .describe(about);

const rules = z.strictObject({
  sync_failed: rule('The last run of a sync failed.', {}).optional(),
  slow_run: rule('A run takes much longer than those before it.', {
    spreads: number('a number, at least 1', 1)
      .describe('How many times the usual spread above the median. Default 6.')
      .optional(),
    least: duration.describe('Runs that take less never count as slow. Default 10s.').optional(),
    runs: z.number().int().min(3).max(100).describe('Runs that must be known before. Default 8.').optional(),
  }).optional(),
  endpoint_latency: rule('An endpoint answers slowly: 95 of 100 calls are faster.', {
    above: duration.describe('Default 5s.').optional(),
  }).optional(),
  drift: rule('Too many rows differ.', {
    above: share.describe('Share of the rows that differed when they were compared last. Default 1%.').optional(),
  }).optional(),
  unverified: rule('A pair was not proved to agree for too long.', {
    after: duration
      .describe(
        'Default: `slo.verified_within` of the sync; without one, for syncs that start by themselves, 24h or twice the longest time between two starts.',
      )
      .optional(),
  }).optional(),
  error_budget: rule('The time in which a pair may be without proof is nearly used up (needs `slo`).', {
    left: share.describe('Default 10%.').optional(),
  }).optional(),
  queue_backlog: rule('Runs wait for workers.', {
    waiting: number('a number of runs, at least 1', 1).describe('Default 100.').optional(),
    older_than: duration.describe('Or the oldest waits so long. Default 10m.').optional(),
  }).optional(),
  conflict_spike: rule('A run met many more conflicts than those before it.', {
    above: number('a number of conflicts, at least 0', 0).describe('Never for fewer. Default 10.').optional(),
    times: number('a number, at least 1', 1).describe('Times the median of the runs before. Default 3.').optional(),
  }).optional(),
  conflicts_waiting: rule('Conflicts of a sync wait for a person.', {
    older_than: duration.describe('The oldest waits so long. Default 24h.').optional(),
    more_than: number('a number of conflicts, at least 0', 0)
      .describe('Or more of them wait than that. Default: any number may.')
      .optional(),
  }).optional(),
  breaker_open: rule('An endpoint is not tried any more, for it failed too often.', {}).optional(),
  approval_waiting: rule('A plan waits for people to agree to it.', {}).optional(),
  backup_failed: rule('The last backup failed.', {}).optional(),
  backup_stale: rule('There is no recent backup.', {
    older_than: duration.describe('Default 26h.').optional(),
  }).optional(),
});

export const alertsSchema = z
  .strictObject({
    every: duration.describe('How often the rules are looked at. Default 15s.').optional(),
    repeat: duration.describe('Sent again after so long, unless acknowledged. Default: sent once.').optional(),
    channels: z.record(z.string().regex(/^[A-Za-z_][\w.-]*$/), channel).optional(),
    rules: rules.describe('The built-in rules hold without being named; false turns one off.').optional(),
  })
  .describe('What is told when something is wrong. Without channels it is seen in the API only.');

export type WrittenMetrics = z.infer<typeof metricsSchema>;
export type WrittenSlo = z.infer<typeof sloSchema>;
export type WrittenLog = z.infer<typeof logSchema>;
export type WrittenAlerts = z.infer<typeof alertsSchema>;
