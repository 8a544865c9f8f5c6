import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Run, Runs } from '../../model/runs.ts';
import type { Beat, Claims } from '../../model/service-store.ts';
import type { Database } from './database.ts';
import { lockOf } from './run-lock.ts';
import { fromTime, plainText, toTime } from './values.ts';

/** Which attempt of a run this process carries out: what it writes down of it counts only while that is the newest. */
export type Attempts = Map<string, number>;

/** Another process is at work on the run now. */
export const takenOver = (run: string): LockstepError =>
  new LockstepError(
    'FENCED',
    `another process has taken run ${run} over; nothing that this one still did was recorded`,
    {
      hint: `This process was taken for dead. See what became of the run: lockstep show ${run}`,
    },
  );

export const claimsOf = (database: Database, runs: Pick<Runs, 'get'>, attempts: Attempts): Omit<Claims, 'recover'> => {
  const locked = new Set<string>();
  const get = async (id: string, o: Cancel): Promise<Run> => (await runs.get(id, o))!;
  return {
    claim: async (run, o) => {
      if (attempts.has(run) || !(await database.hold(lockOf(run), o))) return undefined;
      const [row] = await database.query(
        `update lockstep_control.run r set
           state = 'running', attempt = attempt + 1, worker = $2, seen_at = now(), exit = null, finished = null, error = null,
           started = case when attempt = 0 then $3 else started end
         where id = $1 and requested is not null and state in ('queued', 'running')
           and (cancel_requested is not null
             or not exists (select from lockstep_control.sync_state s where s.sync = r.sync and s.paused_at is not null))
         returning attempt`,
        [run, plainText(o.worker), toTime(o.now)],
        o,
      );
      if (row === undefined) {
        await database.letGo(lockOf(run), o);
        return undefined;
      }
      attempts.set(run, row['attempt'] as number);
      return get(run, o);
    },
    beat: async (ids, o) => {
      const mine = ids.flatMap((id) => (attempts.has(id) ? [[id, attempts.get(id)!] as const] : []));
      // A lock connection that broke is replaced, and its locks are taken again.
      if (mine[0] !== undefined) await database.hold(lockOf(mine[0][0]), o);
      const rows = await database.query(
        `update lockstep_control.run r set seen_at = now() from unnest($1::text[], $2::int[]) as m(id, attempt)
         where r.id = m.id and r.attempt = m.attempt and r.state = 'running'
         returning r.id, r.cancelled_by,
           (select s.paused_by from lockstep_control.sync_state s where s.sync = r.sync and s.paused_at is not null) as paused_by`,
        [mine.map(([id]) => id), mine.map(([, attempt]) => attempt)],
        o,
      );
      const found = new Map(rows.map((row) => [row['id'] as string, row]));
      return mine.map(
        ([run]): Beat => ({
          run,
          mine: found.has(run),
          cancelledBy: (found.get(run)?.['cancelled_by'] as string | null | undefined) ?? null,
          pausedBy: (found.get(run)?.['paused_by'] as string | null | undefined) ?? null,
        }),
      );
    },
    lock: async (name, o) => {
      // The store's lock is this process's; within it, one caller has it.
      if (locked.has(name)) return false;
      locked.add(name);
      try {
        if (await database.hold(name, o)) return true;
        locked.delete(name);
        return false;
      } catch (error) {
        locked.delete(name);
        throw error;
      }
    },
    unlock: async (name, o) => {
      if (locked.delete(name)) await database.letGo(name, o);
    },
  };
};

export const fromAsked = (row: Readonly<Record<string, unknown>>): Run['asked'] =>
  row['requested'] === null || row['requested'] === undefined
    ? undefined
    : {
        request: JSON.parse(row['requested'] as string),
        trigger: row['trigger'] as 'api',
        at: fromTime(row['asked_at'])!,
        lane: row['lane'] as string,
        attempt: row['attempt'] as number,
        deaths: row['deaths'] as number,
        worker: row['worker'] as string | null,
        cancelledBy: row['cancelled_by'] as string | null,
        ...(row['paused_by'] == null
          ? {}
          : { paused: { by: row['paused_by'] as string, since: fromTime(row['paused_at'])! } }),
        ...(row['traceparent'] == null ? {} : { traceparent: row['traceparent'] as string }),
      };
