/** What may be done, one name each. A route needs exactly one; who asks must hold it. */
export const scopes = [
  'endpoints:read',
  'endpoints:check',
  'syncs:read',
  'syncs:operate',
  'runs:read',
  'runs:create',
  'differences:read',
  'differences:read_values',
  'plans:read',
  'plans:create',
  'plans:approve',
  'plans:apply',
  'changes:read',
  'changes:revert',
  'conflicts:read',
  'conflicts:resolve',
  'quarantine:read',
  'quarantine:retry',
  'records:read',
  'records:write',
  'records:read_masked',
  'alerts:read',
  'alerts:ack',
  'audit:read',
  'backups:read',
  'backups:create',
  'tokens:manage',
  'monitoring:read',
  'events:read',
] as const;

export type Scope = (typeof scopes)[number];

/** Who asks, once known. */
export interface Principal {
  /** e.g. `token:ci`, `oidc:alice@example.com`; in records and the audit. */
  readonly name: string;
  readonly scopes: ReadonlySet<Scope>;
  /** Syncs and record entities that the scopes are good for; undefined: all. */
  readonly only?: { readonly syncs?: readonly string[]; readonly records?: readonly string[] };
  /** Of a verified token, for row filters: `tenant_id = ${principal.tenant}`. */
  readonly claims: Readonly<Record<string, unknown>>;
}
