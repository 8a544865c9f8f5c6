import type { Alert, AlertState, Alerts, Delivery, DeliveryBody, Severity, Silence } from '../../model/alerts.ts';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Connection, Database, Rows } from './database.ts';
import { addEvents } from './events.ts';
import { inTransaction } from './transaction.ts';
import { fromJson, fromTime, plainOrNull, plainText, toTime } from './values.ts';

const toAlert = (row: Rows[number]): Alert => {
  const ackedAt = fromTime(row['acked_at']);
  return {
    id: row['id'] as string,
    rule: row['rule'] as string,
    subject: row['subject'] as string,
    sync: row['sync'] as string | null,
    severity: row['severity'] as Severity,
    state: row['state'] as AlertState,
    since: fromTime(row['since'])!,
    fired: fromTime(row['fired']),
    resolved: fromTime(row['resolved']),
    summary: row['summary'] as string,
    detail: row['detail'] as string,
    command: row['command'] as string,
    value: row['value'] as number | null,
    send: row['send'] as readonly string[] | null,
    notified: fromTime(row['notified']),
    acked:
      ackedAt === null ? null : { by: row['acked_by'] as string, at: ackedAt, note: row['ack_note'] as string | null },
  };
};

const toSilence = (row: Rows[number]): Silence => ({
  id: row['id'] as string,
  rule: row['rule'] as string | null,
  sync: row['sync'] as string | null,
  subject: row['subject'] as string | null,
  until: fromTime(row['until'])!,
  reason: row['reason'] as string,
  by: row['made_by'] as string,
  at: fromTime(row['made_at'])!,
});

const write = async (connection: Connection, a: Alert, o: Cancel): Promise<void> => {
  if (a.state === 'resolved' && a.fired === null) {
    // It never fired: nothing is left of it.
    await connection.query('delete from lockstep_control.alert where id = $1', [a.id], { ...o, name: 'no_alert' });
    return;
  }
  // An acknowledgement may come at any time: it is not ours to write.
  await connection.query(
    `insert into lockstep_control.alert (id, rule, subject, sync, severity, state, since, fired, resolved, summary, detail,
       command, value, send, notified)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
     on conflict (id) do update set severity = excluded.severity, state = excluded.state, since = excluded.since,
       fired = excluded.fired, resolved = excluded.resolved, summary = excluded.summary, detail = excluded.detail,
       command = excluded.command, value = excluded.value, send = excluded.send, notified = excluded.notified`,
    [
      a.id,
      a.rule,
      plainText(a.subject),
      plainOrNull(a.sync),
      a.severity,
      a.state,
      toTime(a.since),
      toTime(a.fired),
      toTime(a.resolved),
      plainText(a.summary),
      plainText(a.detail),
      plainText(a.command),
      a.value,
      a.send,
      toTime(a.notified),
    ],
    { ...o, name: 'alert' },
  );
};

const addDelivery = async (
  connection: Pick<Connection, 'query'>,
  d: Omit<Delivery, 'attempts'>,
  o: Cancel,
): Promise<void> => {
  await connection.query(
    `insert into lockstep_control.alert_delivery (id, channel, state, alerts, body, made_at, next_at)
     values ($1, $2, 'waiting', $3, $4, $5, $5)`,
    [d.id, d.channel, d.body.alerts.map((a) => a.id), JSON.stringify(d.body), toTime(d.made)],
    o,
  );
};

const notFound = (id: string): LockstepError =>
  new LockstepError('NOT_FOUND', `there is no alert ${id}`, { hint: 'List them with: lockstep alerts' });

const get = async (database: Pick<Connection, 'query'>, id: string, o: Cancel): Promise<Alert | undefined> => {
  const [row] = await database.query('select * from lockstep_control.alert where id = $1', [plainText(id)], o);
  return row && toAlert(row);
};

export const alertsOf = (database: Database): Alerts => ({
  turn: async (process, everyMs, o) => {
    // By the clock of the database: those of processes may differ.
    const [row] = await database.query(
      `update lockstep_control.alert_turn set turn = turn + 1, at = now(), process = $1
       where at <= now() - $2 * interval '1 ms' returning turn`,
      [plainText(process), everyMs],
      o,
    );
    return row && BigInt(row['turn'] as string);
  },
  change: (turn, now, decide, o) =>
    inTransaction(database, o, async (connection) => {
      const [held] = await connection.query('select turn from lockstep_control.alert_turn for update', [], o);
      if (held === undefined || BigInt(held['turn'] as string) !== turn) return undefined;
      const open = await connection.query(
        `select * from lockstep_control.alert where state <> 'resolved' order by id for update`,
        [],
        o,
      );
      const silences = await connection.query(
        'select * from lockstep_control.alert_silence where until > $1',
        [toTime(now)],
        o,
      );
      const { alerts, deliveries } = decide(open.map(toAlert), silences.map(toSilence));
      const before = new Map(open.map((row) => [row['id'] as string, row['state'] as string]));
      // What is resolved first: the same may begin again in the same breath.
      for (const a of [...alerts].sort((x, y) => Number(y.state === 'resolved') - Number(x.state === 'resolved')))
        await write(connection, a, o);
      for (const d of deliveries) await addDelivery(connection, d, o);
      const told = alerts.filter((a) => a.state !== 'pending' && before.get(a.id) !== a.state && a.fired !== null);
      await addEvents(
        connection,
        told.map((a) => ({
          at: now,
          type: `alert.${a.state}`,
          subject: `alerts/${a.id}`,
          sync: a.sync,
          correlation: null,
          data: { rule: a.rule, subject: a.subject, severity: a.severity, summary: a.summary },
        })),
        o,
      );
      return alerts;
    }),
  list: async (filter, o) => {
    const rows = await database.query(
      `select * from lockstep_control.alert
       where ($1::text[] is null or state = any ($1)) and ($2::text is null or sync = $2) and ($3::text is null or rule = $3)
         and ($4::text is null or id < $4) and ($6::text[] is null or sync = any ($6))
       order by id desc limit $5`,
      [
        filter.states ?? null,
        plainOrNull(filter.sync),
        plainOrNull(filter.rule),
        plainOrNull(filter.before),
        filter.limit ?? 50,
        filter.syncs ?? null,
      ],
      o,
    );
    return rows.map(toAlert);
  },
  get: (id, o) => get(database, id, o),
  acknowledge: async (id, ack, o) => {
    const [row] = await database.query(
      `update lockstep_control.alert set acked_at = $2, acked_by = $3, ack_note = $4
       where id = $1 and state <> 'resolved' returning *`,
      [plainText(id), toTime(ack.at), plainText(ack.by), plainOrNull(ack.note)],
      o,
    );
    if (row) return toAlert(row);
    if ((await get(database, id, o)) === undefined) throw notFound(id);
    throw new LockstepError('CONFLICT', `alert ${id} is resolved`, { hint: 'There is nothing left to look after.' });
  },
  silence: async (s, o) => {
    await database.query(
      `insert into lockstep_control.alert_silence (id, rule, sync, subject, until, reason, made_by, made_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [
        s.id,
        plainOrNull(s.rule),
        plainOrNull(s.sync),
        plainOrNull(s.subject),
        toTime(s.until),
        plainText(s.reason),
        plainText(s.by),
        toTime(s.at),
      ],
      o,
    );
  },
  silences: async (now, o) => {
    const rows = await database.query(
      'select * from lockstep_control.alert_silence where until > $1 order by id',
      [toTime(now)],
      o,
    );
    return rows.map(toSilence);
  },
  unsilence: async (id, o) => {
    const rows = await database.query(
      'delete from lockstep_control.alert_silence where id = $1 returning id',
      [plainText(id)],
      o,
    );
    return rows.length > 0;
  },
  due: async (now, holdMs, limit, o) => {
    const rows = await database.query(
      `update lockstep_control.alert_delivery d set held_until = $2, attempts = attempts + 1
       from (select id from lockstep_control.alert_delivery
             where state = 'waiting' and next_at <= $1 and (held_until is null or held_until <= $1)
             order by next_at, id limit $3 for update skip locked) x
       where d.id = x.id returning d.id, d.channel, d.body, d.made_at, d.attempts - 1 as attempts`,
      [toTime(now), toTime(now + holdMs), limit],
      o,
    );
    return rows
      .map((row) => ({
        id: row['id'] as string,
        channel: row['channel'] as string,
        body: fromJson<DeliveryBody & null>(row['body']) as DeliveryBody,
        made: fromTime(row['made_at'])!,
        attempts: row['attempts'] as number,
      }))
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  },
  deliver: (delivery, o) => addDelivery(database, delivery, o),
  settle: async (id, end, o) => {
    const sent = 'sent' in end;
    await database.query(
      `update lockstep_control.alert_delivery
       set state = $2, sent_at = $3, error = $4, next_at = $5, held_until = null where id = $1 and state = 'waiting'`,
      [
        id,
        sent ? 'sent' : end.next === undefined ? 'failed' : 'waiting',
        sent ? toTime(end.sent) : null,
        sent ? null : plainText(end.error.slice(0, 1000)),
        sent ? null : toTime(end.next),
      ],
      o,
    );
  },
  deliveries: async (o) => {
    const rows = await database.query(
      'select channel, state, count(*) as count from lockstep_control.alert_delivery group by channel, state order by 1, 2',
      [],
      o,
    );
    return rows.map((row) => ({
      channel: row['channel'] as string,
      state: row['state'] as string,
      count: Number(row['count']),
    }));
  },
  forget: async (before, o) => {
    for (const sql of [
      `delete from lockstep_control.alert where state = 'resolved' and resolved < $1`,
      `delete from lockstep_control.alert_delivery where state <> 'waiting' and made_at < $1`,
      `delete from lockstep_control.alert_silence where until < $1`,
    ])
      await database.query(sql, [toTime(before)], o);
  },
});
