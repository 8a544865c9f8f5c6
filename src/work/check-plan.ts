import { isDeepStrictEqual } from 'node:util';
import { type ApplyTable, applyTable } from '../apply/images.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Endpoint, Fingerprint } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import type { Plan, PlanTable } from '../model/plans.ts';
import { type Schema, tableLabel } from '../model/schema.ts';
import { defaultGuards, type Guards, guardError } from '../plan/guards.ts';
import { summaryOf } from './make-plan.ts';

const place = (f: Fingerprint): string => `${f.database} at ${f.address}`;

/** Is this the database the plan was made for? The address may be written in another way. */
export const checkTarget = (plan: Plan, target: Endpoint): void => {
  const planned = plan.header.fingerprint;
  const found = target.fingerprint;
  if (planned.server === found.server && planned.database === found.database) return;
  throw new LockstepError(
    'WRONG_TARGET',
    `Plan ${plan.header.id} was made for ${place(planned)}, this is ${place(found)}. Nothing was written.`,
    { hint: 'Connect to the database it was made for, or make a new plan for this one.' },
  );
};

const shapeOf = (t: PlanTable['table']): unknown =>
  t.columns.map(({ name, native, type, nullable, generated }) => ({
    name,
    native,
    type,
    nullable,
    generated,
  }));

/** What the target has now in the schemas of the plan's tables. */
export const inspected = (plan: Plan, target: Endpoint, o: Cancel): Promise<Schema> => {
  const schemas = [...new Set(plan.header.tables.flatMap((t) => t.table.schema ?? []))];
  return target.inspect({ ...o, ...(schemas.length === 0 ? {} : { schemas }) });
};

/** The plan's tables as they are now. Throws SCHEMA_DRIFT when their columns are not what they were. */
export const currentTables = async (
  plan: Plan,
  target: Endpoint,
  o: Cancel & { readonly seen?: Promise<Schema> | undefined },
): Promise<readonly ApplyTable[]> => {
  const schema = await (o.seen ?? inspected(plan, target, o));
  return plan.header.tables.map((planned) => {
    const label = tableLabel(planned.table);
    const now = schema.tables.find((t) => tableLabel(t) === label);
    const drift = (what: string): LockstepError =>
      new LockstepError('SCHEMA_DRIFT', `${label} has changed since the plan was made: ${what}. Nothing was written.`, {
        hint: 'Make a new plan.',
      });
    if (now === undefined) throw drift('it is gone');
    const [before, after] = [planned.table, now].map((t) => new Map(t.columns.map((c) => [c.name, c])));
    for (const name of after!.keys()) if (!before!.has(name)) throw drift(`column ${name} is new`);
    for (const [name, column] of before!) {
      const found = after!.get(name);
      if (found === undefined) throw drift(`column ${name} is gone`);
      if (found.native !== column.native) throw drift(`${name} was ${column.native} and is ${found.native}`);
      if (found.nullable !== column.nullable) throw drift(`${name} is ${found.nullable ? 'nullable' : 'not null'} now`);
    }
    // The store gives back what JSON keeps.
    const kept = JSON.parse(JSON.stringify([shapeOf(planned.table), shapeOf(now)])) as readonly [unknown, unknown];
    if (!isDeepStrictEqual(kept[0], kept[1])) throw drift('its columns are defined in another way or order');
    return applyTable(planned, now);
  });
};

/**
 * For what is only settled: as they are now, else as they were planned. Whether a step was committed is told by its
 * marker, whatever became of the table since; and what must be known before anything is compared cannot wait for a plan
 * that is made after it.
 */
export const tablesToSettle: typeof currentTables = (plan, target, o) =>
  currentTables(plan, target, o).catch((error: unknown) => {
    if (!(error instanceof LockstepError) || error.code !== 'SCHEMA_DRIFT') throw error;
    return plan.header.tables.map((t) => applyTable(t, t.table));
  });

/**
 * Guards as they were planned, unless told otherwise. Throws before anything is written. `by`: a command that syncs is
 * given what allows it; of any other sync its command is named; a plan keeps the guards it was made with.
 */
export const checkPlanGuards = (
  plan: Plan,
  given: Partial<Guards> | undefined,
  by: 'command' | 'sync' | 'plan',
): void => {
  const guards = { ...defaultGuards, ...(plan.header.guards as Partial<Guards> | null), ...given };
  const of = plan.header.sync ?? 'SOURCE TARGET';
  const more = '(with the tables and flags of this one, if it had some)';
  const error = guardError(summaryOf(plan).pairs ?? [], guards, (flags) => {
    if (by === 'command') return `run the same command with ${flags}`;
    if (by === 'sync') return `allow it once: lockstep sync ${of} ${flags} ${more}`;
    return `make a new one, since a plan keeps its guards: lockstep plan ${of} ${flags} ${more}`;
  });
  if (error !== undefined) throw error;
};
