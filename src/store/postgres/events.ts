import type { Cancel } from '../../model/cancel.ts';
import type { Event, Events } from '../../model/service.ts';
import type { Connection, Database, Rows } from './database.ts';
import type { Listener } from './listen.ts';
import { fromJson, fromTime, plainOrNull, plainText, toTime } from './values.ts';

/** How long events are kept, days. */
const keptDays = 7;
/** Those that only tell how a run fares. */
const passing = ['run.phase', 'run.progress'];
const passingDays = 1;
const pollMs = 1000;

const toEvent = (row: Rows[number]): Event => ({
  id: row['id'] as string,
  at: fromTime(row['at'])!,
  type: row['type'] as string,
  subject: row['subject'] as string,
  sync: row['sync'] as string | null,
  correlation: row['correlation'] as string | null,
  data: fromJson(row['data']),
});

/**
 * Adds events; in a transaction, as its last statement: whoever adds after it waits for its end, so that numbers become
 * visible in their order.
 */
export const addEvents = async (
  connection: Pick<Connection, 'query'>,
  events: readonly Omit<Event, 'id'>[],
  o: Cancel,
): Promise<void> => {
  if (events.length === 0) return;
  const of = (value: (e: Omit<Event, 'id'>) => unknown): readonly unknown[] => events.map(value);
  await connection.query(
    `select lockstep_control.add_events($1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])`,
    [
      of((e) => toTime(e.at)),
      of((e) => plainText(e.type)),
      of((e) => plainText(e.subject)),
      of((e) => plainOrNull(e.sync)),
      of((e) => plainOrNull(e.correlation)),
      of((e) => JSON.stringify(e.data)),
    ],
    o,
  );
};

export const eventsOf = (database: Database, listener: Listener): Events => ({
  append: (events, o) => addEvents(database, events, o),
  after: async (after, filter, o) => {
    if (after === 'latest') return [];
    const rows = await database.query(
      `select id::text as id, at, type, subject, sync, correlation, data from lockstep_control.event
       where id > $1::bigint and ($2::text[] is null or type = any ($2)) and ($3::text is null or sync = $3)
       order by event.id limit $4`,
      [after, filter.types ?? null, plainOrNull(filter.sync), filter.limit],
      o,
    );
    return rows.map(toEvent);
  },
  latest: async (o) => {
    const [row] = await database.query(`select coalesce(max(id), 0)::text as id from lockstep_control.event`, [], o);
    return row!['id'] as string;
  },
  arrivals: (o) => listener.arrivals('lockstep_event', pollMs, o),
});

/** Forgets what is older than a week, and sooner what only told how a run fares. */
export const forgetEvents = async (database: Database, o: Cancel): Promise<void> => {
  await database.query(
    `delete from lockstep_control.event
     where at < now() - $1 * interval '1 day' or (at < now() - $3 * interval '1 day' and type = any ($2))`,
    [keptDays, passing, passingDays],
    o,
  );
};
