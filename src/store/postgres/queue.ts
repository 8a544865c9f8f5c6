import type { Db, PgBoss } from 'pg-boss';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { JsonValue } from '../../model/json.ts';
import type { Job, Queue, QueueName } from '../../model/queue.ts';
import { type Connection, type Database, lockKey } from './database.ts';
import { storeError } from './errors.ts';
import type { Listener } from './listen.ts';
import { inTransaction } from './transaction.ts';

const schema = 'lockstep_queue';
const names: readonly QueueName[] = ['run', 'segment'];
const pollMs = 1000;
const day = 86_400;

/** pg-boss over one of our connections. It tells failures apart by the driver's own errors. */
const over = (connection: Pick<Connection, 'query'>, o: Cancel): Db => ({
  executeSql: async (text, values) => {
    try {
      return { rows: [...(await connection.query(text, values ?? [], o))] };
    } catch (error) {
      throw error instanceof LockstepError && error.cause instanceof Error ? error.cause : error;
    }
  },
});

/** The queue, and how a job is added within a transaction of the caller. */
export interface QueueInside extends Queue, AsyncDisposable {
  addWith(
    connection: Connection,
    queue: QueueName,
    job: { readonly data: JsonValue; readonly lane: string },
    o: Cancel,
  ): Promise<void>;
  /**
   * Makes the run queue what the runs' records say: jobs of `requeued` runs, and jobs that nobody can be at work on, wait
   * again; a queued run has a job.
   */
  mend(requeued: readonly string[], o: Cancel): Promise<void>;
  /** Forgets finished jobs. */
  tend(o: Cancel): Promise<void>;
  /** Makes its tables where they are missing. To be called outside of a transaction, before `addWith`. */
  ready(o: Cancel): Promise<void>;
}

/** A job whose worker is gone, of a run that waits again (or has ended). */
interface Stray {
  readonly id: string;
  readonly attempt: number;
  readonly ended: boolean;
}

/** Longest time between taking a job and claiming its run, seconds. */
const claimSeconds = 10;

/** Wakes whoever takes jobs, when the transaction commits. */
const notify = (connection: Pick<Connection, 'query'>, o: Cancel): Promise<unknown> =>
  connection.query(`select pg_notify('lockstep_queue', '')`, [], o);

export const openQueue = (database: Database, listener: Listener): QueueInside => {
  const ended = new AbortController();
  let starting: Promise<PgBoss> | undefined;
  const start = async (): Promise<PgBoss> => {
    const { PgBoss } = await import('pg-boss');
    const o = { signal: ended.signal };
    const boss = new PgBoss({ schema, db: over(database, o), schedule: false, supervise: false, reindex: false });
    // Failures of calls reject; this one is about its timers.
    boss.on('error', () => {});
    await inTransaction(database, o, async (connection) => {
      // Several processes start at once, and only one can make the tables.
      await connection.query(`select pg_advisory_xact_lock(${lockKey('$1')})`, ['make queue'], o);
      await boss.start();
      for (const name of names) {
        if (await boss.getQueue(name)) continue;
        await boss.createQueue(name, {
          // Whoever dies of a job is counted by the run, not here; a run may take as long as it takes.
          retryLimit: 1_000_000,
          retryDelay: 0,
          expireInSeconds: day,
          retentionSeconds: 365 * day,
          deleteAfterSeconds: 3600,
        });
      }
    });
    return boss;
  };
  const started = (): Promise<PgBoss> => {
    if (ended.signal.aborted) return Promise.reject(ended.signal.reason);
    starting ??= start().catch((error: unknown) => {
      starting = undefined;
      throw error;
    });
    return starting;
  };
  /** Its failures as those of any other statement. */
  const asked = async <T>(o: Cancel, work: (boss: PgBoss) => Promise<T>): Promise<T> => {
    try {
      return await work(await started());
    } catch (error) {
      o.signal.throwIfAborted();
      ended.signal.throwIfAborted();
      throw storeError(error, database.description);
    }
  };
  const addWith: QueueInside['addWith'] = (connection, queue, { data, lane }, o) =>
    asked(o, async (boss) => {
      await boss.send(queue, { data, lane }, { group: { id: lane }, db: over(connection, o) });
      await notify(connection, o);
    });
  return {
    ready: (o) => asked(o, async () => {}),
    addWith,
    add: (queue, jobs, o) =>
      asked(o, async (boss) => {
        await boss.insert(
          queue,
          jobs.map(({ data, lane }) => ({ data: { data, lane }, group: { id: lane } })),
          { db: over(database, o) },
        );
        await notify(database, o);
      }),
    take: (queue, o) =>
      asked(o, async (boss) => {
        const jobs: Job[] = [];
        // One by one: several at once would not come in the order in which they were added.
        while (jobs.length < o.most) {
          const except = [...(o.except ?? []), ...jobs.map((j) => j.lane)];
          const [found] = await boss.fetch<{ data: JsonValue; lane: string }>(queue, {
            groupConcurrency: 1,
            ignoreGroups: except,
            db: over(database, o),
          });
          if (!found) break;
          jobs.push({ id: found.id, data: found.data.data, lane: found.data.lane, attempt: found.retryCount });
        }
        return jobs;
      }),
    done: (queue, job, o) =>
      asked(o, async (boss) => {
        await boss.complete(queue, { id: job.id, retryCount: job.attempt }, null, { db: over(database, o) });
        // Its lane is free.
        await notify(database, o);
      }),
    putBack: (queue, job, o) =>
      asked(o, async (boss) => {
        await boss.fail(queue, { id: job.id, retryCount: job.attempt }, null, { db: over(database, o) });
        if (o.tell) await notify(database, o);
      }),
    depth: (queue, o) =>
      asked(o, async () => {
        const [row] = await database.query(
          `select count(*) filter (where state in ('created', 'retry'))::int as queued,
           count(*) filter (where state = 'active')::int as active,
           coalesce(extract(epoch from now() - min(created_on) filter (where state in ('created', 'retry'))) * 1000, 0)::float8 as oldest
         from ${schema}.job where name = $1`,
          [queue],
          o,
        );
        return {
          queued: row!['queued'] as number,
          active: row!['active'] as number,
          oldestMs: Math.max(0, Math.round(row!['oldest'] as number)),
        };
      }),
    mend: (requeued, o) =>
      asked(o, async (boss) => {
        const rows = await database.query(
          `select j.id, j.retry_count as attempt, r.state <> 'queued' as ended
         from ${schema}.job j join lockstep_control.run r on r.id = j.data #>> '{data,run}'
         where j.name = 'run' and j.state = 'active' and r.state <> 'running'
           and (r.id = any ($1::text[]) or j.started_on < now() - $2 * interval '1 second')`,
          [requeued, claimSeconds],
          o,
        );
        for (const { id, attempt, ended: over } of rows as unknown as readonly Stray[]) {
          const job = { id, retryCount: attempt };
          if (over) await boss.complete('run', job);
          else await boss.fail('run', job);
        }
        const lost = await database.query(
          `select r.id, r.lane from lockstep_control.run r
         where r.requested is not null and r.state = 'queued' and r.asked_at < now() - $1 * interval '1 second'
           and not exists (select from ${schema}.job j
             where j.name = 'run' and j.state in ('created', 'retry', 'active') and j.data #>> '{data,run}' = r.id)`,
          [claimSeconds],
          o,
        );
        for (const run of lost)
          await boss.send(
            'run',
            { data: { run: run['id'] }, lane: run['lane'] },
            { group: { id: run['lane'] as string } },
          );
        if (rows.length + lost.length > 0) await notify(database, o);
      }),
    arrivals: (o) => listener.arrivals('lockstep_queue', pollMs, o),
    tend: (o) => asked(o, (boss) => boss.supervise()),
    [Symbol.asyncDispose]: async () => {
      const boss = await starting?.catch(() => undefined);
      await boss?.stop({ graceful: false, close: false }).catch(() => {});
      ended.abort();
    },
  };
};
