import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { RunError, Runs } from '../../model/runs.ts';
import type { Claims } from '../../model/service-store.ts';
import type { Attempts } from './claims.ts';
import type { Database } from './database.ts';
import { addEvents } from './events.ts';
import type { QueueInside } from './queue.ts';
import { recordEnd } from './record-end.ts';
import { endedEvent } from './run-ended.ts';
import { lockHolders } from './run-lock.ts';
import { inTransaction } from './transaction.ts';
import { fromJson, toJson, toTime } from './values.ts';

/** Ends the sessions that hold runs of processes that have given no sign of life: a stopped process keeps its locks. */
const endSilent = async (database: Database, own: readonly string[], silentMs: number, o: Cancel): Promise<void> => {
  await database.query(
    `select pg_terminate_backend(h.pid) from lockstep_control.run r, lateral (${lockHolders('r.id')}) h
     where r.requested is not null and r.state = 'running' and r.seen_at < now() - $1 * interval '1 millisecond'
       and r.id <> all ($2::text[])`,
    [silentMs, own],
    o,
  );
};

/** Runs that nobody is at work on any more wait again, or are given up. */
export const recoverWith =
  (database: Database, runs: Pick<Runs, 'get'>, attempts: Attempts, queue: QueueInside): Claims['recover'] =>
  async (o) => {
    await queue.ready(o);
    await endSilent(database, [...attempts.keys()], o.silentMs, o).catch((error: unknown) => {
      // Of another user: left to those who may.
      if (!(error instanceof LockstepError) || error.code !== 'PRIVILEGE') throw error;
    });
    // All that a given-up run leaves, or nothing: a running one is found again.
    const dead = await inTransaction(database, o, async (connection) => {
      const rows = await connection.query(
        `update lockstep_control.run r set
         deaths = deaths + 1, worker = null, seen_at = null,
         state = case when deaths + 1 >= $1 then 'failed' else 'queued' end,
         exit = case when deaths + 1 >= $1 then 1 end,
         finished = case when deaths + 1 >= $1 then $2::timestamptz end,
         error = case when deaths + 1 >= $1 then $3 end
       where requested is not null and state = 'running' and not exists (${lockHolders('r.id')})
       returning id, state, error, report`,
        [
          o.deaths,
          toTime(o.now),
          toJson({
            code: 'WORKER_LOST',
            message: `Its worker process ended ${o.deaths} times over it without making headway, so it is not tried again.`,
            hint: 'Look at the memory and the log of the workers, then ask for the run again.',
          }),
        ],
        o,
      );
      const events = [];
      for (const row of rows) {
        if (row['state'] !== 'failed') continue;
        const id = row['id'] as string;
        const error = fromJson<RunError>(row['error']);
        await recordEnd(
          connection,
          id,
          { state: 'failed', exit: 1, finished: o.now, error },
          fromJson(row['report']),
          o,
        );
        events.push(await endedEvent(connection, id, o.now, o));
      }
      if (events.length > 0) await addEvents(connection, events, o);
      return rows;
    });
    const found = await Promise.all(dead.map(async (row) => (await runs.get(row['id'] as string, o))!));
    await queue.mend(
      found.map((run) => run.id),
      o,
    );
    return {
      requeued: found.filter((run) => run.state === 'queued'),
      failed: found.filter((run) => run.state === 'failed'),
    };
  };
