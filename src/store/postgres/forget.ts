import type { Cancel } from '../../model/cancel.ts';
import type { Forgettable, Forgotten } from '../../model/service-store.ts';
import type { Connection, Database } from './database.ts';
import { inTransaction } from './transaction.ts';
import { toTime } from './values.ts';

/** Runs of one transaction, and transactions of one call. */
const atOnce = 500;
const rounds = 40;
/** So many of each sync and kind, and of backups, stay in any case: alerts look at them, and a person at the last. */
const always = 100;

/** Wrote to a target: steps of its journal are there, or it is a copy, or a sync that migrates, which has no plan and copied. */
const wrote = `(r.kind = 'copy' or (r.kind = 'sync' and r.plan is null and r.checkpoint is not null)
  or exists (select from lockstep_control.step s where s.run = r.id))`;

const kinds: Readonly<Record<Forgettable, string>> = {
  // asked for with a key of its own, the key gives this run again for as long as others are kept
  quiet: `r.kind in ('diff', 'verify', 'plan', 'sync') and r.state = 'done' and r.exit = 0
    and (r.idempotency is null or r.trigger in ('schedule', 'after')) and not ${wrote}
    and exists (select from lockstep_control.run_fact f where f.run = r.id and f.verdict = 'agrees' and f.quarantined = 0
      and f.found + f.created + f.updated + f.deleted + f.failed + f.conflicts + f.skipped = 0)`,
  runs: `not ${wrote}`,
  changes: wrote,
};

const someRuns = (what: Forgettable): string => `
  select r.id from lockstep_control.run r
  where r.state in ('done', 'failed', 'cancelled') and r.finished < $1 and ${kinds[what]}
    and not exists (select from lockstep_control.schedule h where h.last_run = r.id or h.last_after = r.id)
    and not exists (select from lockstep_control.pair_state p where p.run = r.id)
    and not exists (select from lockstep_control.quarantine q where q.first_run = r.id or q.last_run = r.id)
    and not exists (select from lockstep_control.standing n where n.run = r.id or n.full_run = r.id)
    -- one that was the reason for another goes after it
    and r.id not in (select c.parent from lockstep_control.run c where c.parent is not null)
    and (r.sync is null or (select count(*) from (select from lockstep_control.run n
           where n.sync = r.sync and n.kind = r.kind and n.id > r.id order by n.id limit ${always}) newer) >= ${always})
    and (r.kind <> 'backup'
      or r.id < (select n.id from lockstep_control.run n where n.kind = 'backup' order by n.id desc offset ${always - 1} limit 1))
  order by r.id limit ${atOnce} for update of r skip locked`;

/** Plans of these runs, and those without one, that were never used for a write. */
const unusedPlans = `
  delete from lockstep_control.plan p using unnest($1::text[]) as x (plan)
  where p.id = x.plan and not exists (select from lockstep_control.step s where s.plan = p.id)
    and not exists (select from lockstep_control.run r where r.plan = p.id)`;

const forgetSome = async (
  connection: Connection,
  what: Forgettable,
  before: number,
  o: Cancel,
): Promise<Forgotten | undefined> => {
  const [turn] = await connection.query('select pg_try_advisory_xact_lock(7017282396) as mine', [], o);
  if (turn?.['mine'] !== true) return undefined;
  const gone = await connection.query(
    `with old as materialized (${someRuns(what)})
     delete from lockstep_control.run r using old where r.id = old.id returning r.plan`,
    [toTime(before)],
    o,
  );
  const plans = gone.flatMap((row) => (row['plan'] === null ? [] : [row['plan'] as string]));
  const dropped =
    plans.length === 0 ? [] : await connection.query(`${unusedPlans} returning p.id`, [[...new Set(plans)]], o);
  return { runs: gone.length, plans: dropped.length, conflicts: 0 };
};

/** What became of conflicts is kept as long as what was written. */
const someConflicts = (limit: number): string =>
  `select id from lockstep_control.conflict where closed < $1 order by closed limit ${limit}`;

const forgetConflicts = async (database: Database, before: number, o: Cancel): Promise<number> => {
  let sum = 0;
  for (let round = 0; round < rounds; round++) {
    const gone = await database.query(
      `delete from lockstep_control.conflict where id in (${someConflicts(atOnce)}) returning id`,
      [toTime(before)],
      o,
    );
    sum += gone.length;
    if (gone.length < atOnce) break;
  }
  return sum;
};

export const anyToForget = async (
  database: Database,
  what: Forgettable,
  before: number,
  o: Cancel,
): Promise<boolean> => {
  const text = `select exists (${someRuns(what).replace(' for update of r skip locked', '')}) as some`;
  const [row] = await database.query(text, [toTime(before)], o);
  if (row?.['some'] === true || what !== 'changes') return row?.['some'] === true;
  return (await database.query(someConflicts(1), [toTime(before)], o)).length > 0;
};

/** See `ServiceStore.forget`. In short transactions, by one process at a time. */
export const forgetRuns = async (
  database: Database,
  what: Forgettable,
  before: number,
  o: Cancel,
): Promise<Forgotten> => {
  const sum = { runs: 0, plans: 0, conflicts: 0 };
  for (let round = 0; round < rounds; round++) {
    const some = await inTransaction(database, o, (connection) => forgetSome(connection, what, before, o));
    if (some === undefined) break;
    sum.runs += some.runs;
    sum.plans += some.plans;
    if (some.runs < atOnce) break;
  }
  if (what === 'changes') sum.conflicts = await forgetConflicts(database, before, o);
  return sum;
};
