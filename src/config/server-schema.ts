import { z } from 'zod';
import { logSchema } from './monitoring-schema.ts';
import { durationPattern } from './units.ts';

/** `lockstep serve`: where it listens, and who may ask, as written. */

const reference = z.string().regex(/\$\{(env|file):[^}]+\}/, { abort: true });
const text = z.string({ error: 'expected text' }).min(1, { error: 'expected text that is not empty' });
const whole = (what: string, least: number, most = Number.MAX_SAFE_INTEGER) => {
  const error = `expected ${what}`;
  return z.union([z.number({ error }).int({ error }).min(least, { error }).max(most, { error }), reference], { error });
};
const flag = z.union([z.boolean(), reference], { error: 'expected true or false' });
const duration = z.union([z.string().regex(durationPattern, { abort: true }), reference], {
  error: 'expected a duration such as 500ms, 5s, 2m or 1h',
});
const texts = z.array(text, { error: 'expected a list' });

/** Signatures with a private key of the issuer. HS256 and the like would need a secret that both know: never. */
export const jwtAlgorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const;

const jwt = z
  .strictObject({
    issuer: text.describe('What `iss` must be.'),
    audience: z
      .union([text, texts], { error: 'expected a name or a list of names' })
      .describe('What `aud` must name (one of these).'),
    jwks_url: text.describe('Address of the issuer’s keys; fetched again when a key is not known.').optional(),
    jwks_file: text.describe('File with the issuer’s keys, instead of an address.').optional(),
    algorithms: z
      .array(z.enum(jwtAlgorithms, { error: `expected some of ${jwtAlgorithms.join(', ')}` }))
      .min(1)
      .describe('Signatures that are accepted. Default RS256, PS256, ES256, EdDSA.')
      .optional(),
    roles_claim: text
      .describe('The claim that holds roles; a path such as realm_access.roles may be given. Default roles.')
      .optional(),
    roles: z
      .record(z.string(), z.enum(['viewer', 'operator', 'approver', 'admin']))
      .describe('Role of each value of that claim; default: the values are roles.')
      .optional(),
    scopes_claim: text.describe('A claim that holds scopes such as runs:read, besides the roles.').optional(),
    name_claim: text.describe('What a caller is called in records and the audit. Default sub.').optional(),
    syncs_claim: text
      .describe('A claim that lists the syncs a caller is bound to. Who has none is bound to none.')
      .optional(),
    records_claim: text
      .describe('A claim that lists the record entities a caller is bound to. Who has none is bound to none.')
      .optional(),
    allow_private: flag.describe('May jwks_url be of this machine or a private network? Default false.').optional(),
  })
  .describe('Tokens of an identity provider (OpenID Connect, JWT).');

export const serverSchema = z
  .strictObject(
    {
      host: text.describe('Address to listen on. Default 127.0.0.1.').optional(),
      port: whole('a port, 0 to 65535', 0, 65535).describe('Default 8000; 0: any free one.').optional(),
      workers: whole('a number of workers', 0).describe('Worker processes that serve starts. Default 1.').optional(),
      tls: z
        .strictObject({
          cert: text.describe('PEM text of the certificate and its chain, usually "${file:/tls/tls.crt}".'),
          key: text.describe('PEM text of its key.'),
        })
        .optional(),
      proxy: z
        .strictObject({
          trusted: texts
            .min(1, { error: 'expected addresses' })
            .describe(
              'Addresses, networks such as 10.0.0.0/8, or loopback: X-Forwarded-* are believed from these only.',
            ),
        })
        .describe('A proxy in front that does TLS.')
        .optional(),
      auth: z
        .strictObject({
          mode: z
            .enum(['tokens', 'none'], { error: 'expected tokens or none' })
            .describe('tokens (default), or none: everybody may do everything; on loopback only.')
            .optional(),
          jwt: jwt.optional(),
        })
        .describe('Who may ask. Tokens of `lockstep token create` always work, but with mode: none.')
        .optional(),
      log: logSchema.optional(),
      metrics: z
        .strictObject({ public: flag.describe('May anybody read /metrics without a token? Default false.').optional() })
        .optional(),
      rate_limit: z
        .union(
          [
            z.literal(false),
            z.strictObject({
              requests: whole('a number of requests', 1).describe('Default 600.').optional(),
              per: duration.describe('Default 1m.').optional(),
            }),
          ],
          { error: 'expected { requests: 600, per: 1m } or false' },
        )
        .describe('Requests per caller and process. Default 600 per 1m; false: no limit.')
        .optional(),
    },
    { error: 'expected { host, port, workers, tls, proxy, auth, log, metrics, rate_limit }' },
  )
  .describe('lockstep serve: see docs/guide/security.md.');

export const auditSchema = z
  .strictObject(
    {
      key: text
        .describe(
          'Secret that the audit log is chained with; default LOCKSTEP_AUDIT_KEY, else .lockstep/audit.key is made.',
        )
        .optional(),
      old_keys: texts.describe('Keys that older entries were chained with.').optional(),
      lost_keys: z
        .array(z.string().regex(/^[0-9a-f]{16}$/, { error: 'expected the 16 characters that name a key' }), {
          error: 'expected a list',
        })
        .describe(
          'Names (not secrets) of keys that nobody has any more: the log goes on, and what they signed stays unproved.',
        )
        .optional(),
      checkpoint_every: duration
        .describe('How often serve writes the end of the audit log into its own log. Default 1h.')
        .optional(),
    },
    { error: 'expected { key, old_keys, lost_keys, checkpoint_every }' },
  )
  .describe('The audit log: see docs/guide/security.md.');

export type WrittenServer = z.infer<typeof serverSchema>;
export type WrittenAudit = z.infer<typeof auditSchema>;
