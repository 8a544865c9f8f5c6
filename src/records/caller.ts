import type { Principal } from '../access/scopes.ts';
import { LockstepError } from '../model/errors.ts';
import type { Text } from '../model/row.ts';
import type { RowCondition } from '../model/rows.ts';
import type { Entity, Field } from './entity.ts';
import { readFilter } from './json.ts';

/** May this caller see what the column holds? */
export const sees = (principal: Principal, field: Field): boolean =>
  field.unless === undefined || principal.scopes.has(field.unless);

/**
 * `tenant`, or `org.id` of nested claims. `name` is always who the caller is, never a claim of that name: people choose
 * how they are called.
 */
const claimOf = (principal: Principal, path: string): unknown => {
  if (path === 'name') return principal.name;
  if (Object.hasOwn(principal.claims, path)) return principal.claims[path];
  let at: unknown = principal.claims;
  for (const step of path.split('.'))
    at =
      typeof at === 'object' && at !== null && Object.hasOwn(at, step)
        ? (at as Record<string, unknown>)[step]
        : undefined;
  return at;
};

const scalar = (value: unknown): string | undefined =>
  typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))
    ? String(value)
    : undefined;

/**
 * The conditions that every row must meet to be there for this caller, with the caller's claims as values. FORBIDDEN
 * for a caller who lacks the claim: nothing is shown to who cannot be told apart.
 */
export const rowFilterFor = (entity: Entity, principal: Principal): readonly RowCondition[] =>
  entity.config.rowFilter.map(({ column, op, value }): RowCondition => {
    const { type } = entity.fields.get(column)!.column;
    const given = 'text' in value ? value.text : claimOf(principal, value.claim);
    const values = (op === 'in' && Array.isArray(given) ? given : [given]).map(scalar);
    if (values.includes(undefined)) {
      throw new LockstepError(
        'FORBIDDEN',
        `${principal.name} has no claim ${'claim' in value ? value.claim : column}, which decides what may be seen of ${entity.config.name}`,
        {
          hint: `Use a token whose issuer sets it (server.auth.jwt), or make one: lockstep token create NAME --claim ${'claim' in value ? value.claim : column}=…`,
        },
      );
    }
    // what is no value of the column's type is no row's
    const cells = values.map((v) => readFilter(type, v!)).filter((v) => v !== undefined) as Text[];
    if (op === 'in') return { column, op: 'in', values: cells };
    if (cells.length === 0) return { column, op: 'in', values: [] };
    return { column, op: op === '=' ? 'eq' : 'ne', value: cells[0]! };
  });
