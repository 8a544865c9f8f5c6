import type { ScheduleState, Schedules } from '../../model/service-store.ts';
import type { Database, Rows } from './database.ts';
import type { Enqueue } from './desk.ts';
import type { QueueInside } from './queue.ts';
import { inTransaction } from './transaction.ts';
import { fromTime, plainText, toTime } from './values.ts';

const toState = (row: Rows[number]): ScheduleState => ({
  sync: row['sync'] as string,
  rule: row['rule'] as string,
  due: fromTime(row['due']),
  next: fromTime(row['next']),
  lastDue: fromTime(row['last_due']),
  lastFired: fromTime(row['last_fired']),
  lastRun: row['last_run'] as string | null,
  lastAfter: row['last_after'] as string | null,
});

export const schedulesOf = (database: Database, queue: QueueInside, enqueue: Enqueue): Schedules => ({
  list: async (o) => {
    const rows = await database.query('select * from lockstep_control.schedule order by sync', [], o);
    return rows.map(toState);
  },
  set: (schedules, o) =>
    inTransaction(database, o, async (connection) => {
      const of = (value: (s: (typeof schedules)[number]) => unknown): readonly unknown[] => schedules.map(value);
      await connection.query(
        'delete from lockstep_control.schedule where sync <> all ($1::text[])',
        [of((s) => plainText(s.sync))],
        o,
      );
      await connection.query(
        `insert into lockstep_control.schedule as s (sync, rule, due, next, last_after)
         select * from unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::text[])
         on conflict (sync) do update set rule = excluded.rule, due = excluded.due, next = excluded.next,
           last_after = excluded.last_after
         where s.rule <> excluded.rule`,
        [
          of((s) => plainText(s.sync)),
          of((s) => s.rule),
          of((s) => toTime(s.due)),
          of((s) => toTime(s.next)),
          of((s) => s.lastAfter),
        ],
        o,
      );
    }),
  fire: async (seen, to, run, o) => {
    await queue.ready(o);
    return inTransaction(database, o, async (connection) => {
      const [row] = await connection.query(
        `update lockstep_control.schedule set due = $3, next = $4, last_due = due, last_after = coalesce($5, last_after),
           last_fired = case when $7 then $6 else last_fired end
         where sync = $1 and rule = $8 and next is not distinct from $2::timestamptz and last_after is not distinct from $9
         returning sync`,
        [
          plainText(seen.sync),
          toTime(seen.next),
          toTime(to.due),
          toTime(to.next),
          to.after ?? null,
          toTime(to.now),
          run !== undefined,
          seen.rule,
          seen.lastAfter,
        ],
        o,
      );
      if (row === undefined) return false;
      if (run === undefined) return true;
      const id = await enqueue(connection, { ...run, now: to.now }, o);
      await connection.query(
        'update lockstep_control.schedule set last_run = $2 where sync = $1',
        [plainText(seen.sync), id ?? null],
        o,
      );
      return true;
    });
  },
  lastEnded: async (sync, state, o) => {
    const [row] = await database.query(
      `select id from lockstep_control.run
       where sync = $1 and state = $2 and kind in ('diff', 'sync', 'verify') order by id desc limit 1`,
      [plainText(sync), state],
      o,
    );
    return row?.['id'] as string | undefined;
  },
  busy: async (sync, o) => {
    const [row] = await database.query(
      `select exists (select from lockstep_control.run
         where (sync = $1 or sync is null and lane = $1) and requested is not null and state in ('queued', 'running')) as busy`,
      [plainText(sync)],
      o,
    );
    return row!['busy'] as boolean;
  },
});
