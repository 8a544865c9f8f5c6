import { z } from 'zod';
import { approvalsSchema } from './approvals-schema.ts';
import { backupsSchema } from './backups-schema.ts';
import { cacheSchema } from './cache-schema.ts';
import { columnSteps, typesSchema, validation } from './column-schema.ts';
import {
  archiveSchema,
  atomicSchema,
  columnConflictSchema,
  conflictSchema,
  flappingSchema,
  ownerSchema,
} from './conflict-schema.ts';
import { differencesSchema } from './differences-schema.ts';
import { httpSchema } from './http-schema.ts';
import { incrementalSchema } from './incremental-schema.ts';
import { modes } from './modes.ts';
import { alertsSchema, metricsSchema, sloSchema } from './monitoring-schema.ts';
import { recordsSchema } from './records-schema.ts';
import { breakerSchema, limitsSchema, replicasSchema, retrySchema } from './resilience-schema.ts';
import { retentionSchema } from './retention-schema.ts';
import { scheduleSchema } from './schedule-schema.ts';
import { auditSchema, serverSchema } from './server-schema.ts';
import { columnStoreSchema, storedSchema } from './stored-schema.ts';
import { telemetrySchema } from './telemetry-schema.ts';
import { durationPattern, percentPattern } from './units.ts';

/**
 * The one declaration of lockstep.yaml: what is read, what the JSON Schema says, what the reference page lists.
 * Nothing is transformed here: `resolve.ts` turns the written form into what the program uses.
 * A value anywhere may hold references (`${env:NAME}`, `${file:path}`), so numbers and flags accept them as text.
 */
// aborting: a text that is none is a mistake of the whole union, not of this branch
const reference = z.string().regex(/\$\{(env|file):[^}]+\}/, { abort: true });

/** A message for a whole union, so that an error names what is expected and not each branch's complaint. */
const one = <const T extends readonly z.ZodType[]>(expected: string, ...options: T) =>
  z.union(options, { error: `expected ${expected}` });

const text = z.string({ error: 'expected text' }).min(1, { error: 'expected text that is not empty' });
const flag = one('true or false', z.boolean(), reference);
const integer = (what: string, least: number, most = Number.MAX_SAFE_INTEGER) => {
  const error = `expected ${what}`;
  return z.number({ error }).int({ error }).min(least, { error }).max(most, { error });
};
const whole = (what: string, least = 0) => one(what, integer(what, least), reference);
const duration = one(
  'a duration such as 500ms, 5s, 2m or 1h',
  z.string().regex(durationPattern, { abort: true }),
  z.literal(0),
  reference,
);
const shareText = 'a percentage such as 1% or a fraction from 0 to 1';
const share = one(
  shareText,
  z
    .number({ error: `expected ${shareText}` })
    .min(0, { error: `expected ${shareText}` })
    .max(1, { error: `expected ${shareText}` }),
  z.string().regex(percentPattern),
);
const names = z.array(text, { error: 'expected a list of names such as [id, line]' });
const name = text;

const mode = z.enum(modes, { error: `expected one of ${modes.join(', ')}` });

const tls = z.strictObject({
  mode: z
    .enum(['verify-full', 'verify-ca', 'require', 'prefer', 'disable'])
    .describe('Default: verify-full off this machine, none on loopback and unix sockets.')
    .optional(),
  ca: text.describe('PEM text of the certificate authority, usually "${file:/path/ca.pem}".').optional(),
  cert: text.describe('PEM text of a client certificate.').optional(),
  key: text.describe('PEM text of the client certificate’s key.').optional(),
  server_name: text.describe('Name to expect in the server’s certificate, when it is not the host.').optional(),
});

const endpoint = z
  .strictObject({
    url: text.describe('postgres://…, mysql://…, firebird://…, sqlite:path, https://…. Instead of parts.').optional(),
    engine: text.describe('Engine, when written by parts.').optional(),
    host: text.optional(),
    port: one(
      'a port, 1 to 65535',
      integer('a port, 1 to 65535', 1, 65535),
      reference,
      z.string().regex(/^\d+$/),
    ).optional(),
    user: text.optional(),
    password: one('text; quote it if it is a number', z.string())
      .describe('By parts, no character needs escaping.')
      .optional(),
    database: text.optional(),
    path: text.describe('File of an engine that lives in a file.').optional(),
    schema: one('a schema or a list of schemas', text, names)
      .describe('Schemas whose tables are paired without being named.')
      .optional(),
    writable: flag.describe('Default false: nothing is ever written here.').optional(),
    application_name: text.optional(),
    charset: text.describe('Firebird: the character set of texts that are declared without one.').optional(),
    role: text.describe('Firebird: the role to take on.').optional(),
    tls: tls.optional(),
    pool: z.strictObject({ max: whole('a number of connections', 1).optional() }).optional(),
    limits: limitsSchema.optional(),
    retry: retrySchema.optional(),
    breaker: breakerSchema.optional(),
    replicas: replicasSchema.optional(),
    http: httpSchema.optional(),
  })
  .describe('A database or API: by url, or by engine and parts. Read-only unless writable.');

const tolerance = one(
  'a number such as 0.01, or { numeric, fraction, ignore_case, trim, null_equals_empty }',
  z.number().min(0),
  z.string().regex(/^\d+(\.\d+)?$/),
  z.strictObject({
    numeric: one('a number', z.number().min(0), z.string().regex(/^\d+(\.\d+)?$/))
      .describe('Largest absolute difference of two numbers.')
      .optional(),
    fraction: z
      .number()
      .int()
      .min(0)
      .max(6)
      .describe('Digits of the fraction of a second that are compared; both sides are cut.')
      .optional(),
    ignore_case: z.boolean().optional(),
    trim: z.boolean().describe('Blanks at the ends do not count.').optional(),
    null_equals_empty: z.boolean().optional(),
  }),
);

const column = z
  .strictObject({
    to: name.describe('The target column; default: the same name.').optional(),
    tolerance: tolerance.describe('Differences that do not count. Each one that hid something is printed.').optional(),
    owner: ownerSchema.optional(),
    conflict: columnConflictSchema.optional(),
    store: columnStoreSchema.optional(),
    ...columnSteps,
  })
  .nullable();

const perSide = z.strictObject({ source: text.optional(), target: text.optional() });

const pair = one(
  'a table name, or { source, target, key, columns, exclude, where, … }',
  text,
  z.strictObject({
    source: text.describe('Source table, e.g. public.orders.'),
    target: text.describe('Target table; default: found by the source’s name.').optional(),
    key: one('[id], [a, b] or { source_column: target_column }', names, z.record(z.string(), name))
      .describe('Columns that identify a row on both sides; default: a primary or unique key common to both.')
      .optional(),
    columns: z
      .record(z.string(), column)
      .describe('Settings of columns by source name. Columns that are not listed are compared as they are.')
      .optional(),
    only: names.describe('Compare only these source columns (and the key).').optional(),
    exclude: names.describe('Columns that are not compared, by the name of either side.').optional(),
    where: one('a condition in SQL, or { source: …, target: … }', text, perSide)
      .describe('A condition in SQL of its side, run read-only.')
      .optional(),
    sample: share.describe('Share of this pair’s keys, in place of the sync’s; 100%: all of them.').optional(),
    validate: validation.optional(),
    conflict: conflictSchema.optional(),
    atomic: atomicSchema.optional(),
  }),
);

const guards = z.strictObject({
  max_changes: whole('a number of changes').describe('Default 500.').optional(),
  max_change_ratio: share.describe('Share of the rows; applies above 100 changes. Default 1%.').optional(),
  max_deletes: whole('a number of deletes').describe('Default 0.').optional(),
  empty_source: z
    .enum(['stop', 'keep'])
    .describe(
      'stop (default): an empty source table stops the apply; keep: go on. Deletes never follow from an empty source.',
    )
    .optional(),
});

const apply = z.strictObject({
  batch_size: whole('a number of rows', 1).describe('Rows per transaction. Default 5000.').optional(),
  batch_delay: duration.describe('Pause between batches. Default 0ms.').optional(),
  concurrency: whole('a number', 1).describe('Batches written at once. Default 2.').optional(),
  atomic: z
    .enum(['batch', 'run'])
    .describe('run: one transaction for everything, all or nothing. Default batch.')
    .optional(),
});

const sync = z
  .strictObject({
    source: name.describe('Name of an endpoint.'),
    target: name.describe('Name of an endpoint.'),
    mode: mode
      .describe(
        'Default mirror. compare writes nothing: sync and plan refuse. two_way: both are kept in agreement, whichever was changed. migrate copies what is missing, then catches up as upsert.',
      )
      .optional(),
    settle: duration
      .describe('A difference is confirmed by reading again at least this much later. Default 1s.')
      .optional(),
    pairs: z.array(pair).describe('Tables to compare; without it, all tables of the default schemas.').optional(),
    exclude_tables: names
      .describe('Tables that are left out on purpose, by the name of either side. A name that neither has is an error.')
      .optional(),
    types: typesSchema.optional(),
    other_tables: z
      .enum(['report', 'ignore'], { error: 'expected report or ignore' })
      .describe(
        'With pairs: tables in none of them that are not excluded either. report: told as not compared, so never green (exit 25); ignore (default): the pairs are all that is meant. Without pairs every table is meant.',
      )
      .optional(),
    guards: guards.describe('Limits that stop the whole apply before its first write.').optional(),
    apply: apply.optional(),
    schedule: scheduleSchema.optional(),
    after: name
      .describe('Name of another sync: this one is started by `lockstep serve` whenever that one has ended well.')
      .optional(),
    incremental: incrementalSchema.optional(),
    differences: differencesSchema.optional(),
    slo: sloSchema.optional(),
    conflict: conflictSchema.optional(),
    archive: archiveSchema.optional(),
    flapping: flappingSchema.optional(),
    approvals: approvalsSchema.optional(),
    sample: share
      .describe(
        'Pilot: only this share of the keys of each pair is compared, planned and written; the same keys on both sides and in every run, and a greater share keeps them. Default: all.',
      )
      .optional(),
  })
  .describe('Two endpoints and the tables that should agree.');

export const configSchema = z
  .strictObject({
    $schema: z.string().optional(),
    version: z.literal(1, { error: 'expected 1' }),
    control: text
      .describe(
        'URL of the control store’s PostgreSQL; several hosts (postgres://user@a:5432,b:5432/database) are a primary and its replicas. Default: the embedded one under ./.lockstep.',
      )
      .optional(),
    endpoints: z
      .record(z.string().regex(/^[A-Za-z_][\w.-]*$/), endpoint, { error: 'expected endpoints by name' })
      .optional(),
    syncs: z.record(z.string().regex(/^[A-Za-z_][\w.-]*$/), sync).optional(),
    records: recordsSchema.optional(),
    server: serverSchema.optional(),
    audit: auditSchema.optional(),
    stored: storedSchema.optional(),
    cache: cacheSchema.optional(),
    metrics: metricsSchema.optional(),
    alerts: alertsSchema.optional(),
    backups: backupsSchema.optional(),
    retention: retentionSchema.optional(),
    telemetry: telemetrySchema.optional(),
  })
  .describe('Configuration of Lockstep.');

/** lockstep.yaml as written. */
export type ConfigFile = z.infer<typeof configSchema>;
