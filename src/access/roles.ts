import { type Scope, scopes } from './scopes.ts';

const viewer = [
  'endpoints:read',
  'syncs:read',
  'runs:read',
  'differences:read',
  'plans:read',
  'changes:read',
  'conflicts:read',
  'quarantine:read',
  'records:read',
  'alerts:read',
  'backups:read',
  'monitoring:read',
  'events:read',
] as const satisfies readonly Scope[];

const operator = [
  ...viewer,
  'endpoints:check',
  'syncs:operate',
  'runs:create',
  'plans:create',
  'quarantine:retry',
  'alerts:ack',
  'backups:create',
] as const satisfies readonly Scope[];

const approver = [
  ...operator,
  'differences:read_values',
  'plans:approve',
  'plans:apply',
  'changes:revert',
  'conflicts:resolve',
  'records:write',
] as const satisfies readonly Scope[];

/**
 * The built-in roles, each with all of the one before: a viewer looks, and sees values of rows in the declared records
 * only; an operator runs the machinery, and starts syncs under the guards of the configuration; an approver sees values,
 * and lets writes happen that no configuration allowed beforehand; an admin also manages tokens, reads the audit, and
 * sees through masks.
 */
export const roles = { viewer, operator, approver, admin: scopes } as const satisfies Readonly<
  Record<string, readonly Scope[]>
>;

export type RoleName = keyof typeof roles;
export const roleNames = Object.keys(roles) as readonly RoleName[];
export const isRole = (name: string): name is RoleName => Object.hasOwn(roles, name);
export const isScope = (name: string): name is Scope => (scopes as readonly string[]).includes(name);
