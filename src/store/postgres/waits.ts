import type { PlanWait, Waits } from '../../model/approval.ts';
import type { Event } from '../../model/service.ts';
import type { Database, Rows } from './database.ts';
import { addEvents } from './events.ts';
import { inTransaction } from './transaction.ts';
import { fromTime, plainText, toTime } from './values.ts';

const toWait = (row: Rows[number]): PlanWait => ({
  plan: row['plan'] as string,
  sync: row['sync'] as string,
  run: row['run'] as string,
  required: row['required'] as number,
  since: fromTime(row['since'])!,
  expires: fromTime(row['expires'])!,
});

const event = (
  w: Pick<PlanWait, 'plan' | 'sync' | 'run'>,
  what: string,
  at: number,
  data: Readonly<Record<string, string | number>> = {},
): Omit<Event, 'id'> => ({
  at,
  type: `plan.${what}`,
  subject: `plans/${w.plan}`,
  sync: w.sync,
  correlation: null,
  data: { plan: w.plan, run: w.run, ...data },
});

export const waitsOf = (database: Database): Waits => ({
  begin: (wait, o) =>
    inTransaction(database, o, async (connection) => {
      const before = await connection.query(
        `update lockstep_control.plan_wait set state = 'superseded', ended = $2
         where sync = $1 and state = 'waiting' and plan <> $3 returning *`,
        [plainText(wait.sync), toTime(wait.since), wait.plan],
        o,
      );
      const made = await connection.query(
        `insert into lockstep_control.plan_wait (plan, sync, run, required, since, expires) values ($1, $2, $3, $4, $5, $6)
         on conflict (plan) do nothing returning plan`,
        [wait.plan, plainText(wait.sync), wait.run, wait.required, toTime(wait.since), toTime(wait.expires)],
        o,
      );
      const facts = { required: wait.required, expires: new Date(wait.expires).toISOString() };
      await addEvents(
        connection,
        [
          ...before.map((row) => event(toWait(row), 'superseded', wait.since, { by: wait.plan })),
          ...(made.length === 0 ? [] : [event(wait, 'waiting', wait.since, facts)]),
        ],
        o,
      );
    }),
  waiting: async (o) => {
    const rows = await database.query(
      `select * from lockstep_control.plan_wait where state = 'waiting' and ($1::text is null or sync = $1) order by since, plan`,
      [o.sync === undefined ? null : plainText(o.sync)],
      o,
    );
    return rows.map(toWait);
  },
  end: (plan, how, at, o) =>
    inTransaction(database, o, async (connection) => {
      const [row] = await connection.query(
        `update lockstep_control.plan_wait set state = $2, ended = $3, applied_by = $4
         where plan = $1 and state = 'waiting' returning *`,
        [plan, how, toTime(at), o.run ?? null],
        o,
      );
      if (row === undefined) return false;
      await addEvents(connection, [event(toWait(row), how, at, o.run === undefined ? {} : { applied_by: o.run })], o);
      return true;
    }),
});
