import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../lib/clock.ts';
import { newId } from '../../lib/ids.ts';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Run, Runs } from '../../model/runs.ts';
import type { Asked, RunDesk, RunRequest } from '../../model/service.ts';
import type { Paused } from '../../model/service-store.ts';
import type { Connection, Database } from './database.ts';
import { addEvents } from './events.ts';
import type { QueueInside } from './queue.ts';
import { inTransaction } from './transaction.ts';
import { fromJson, fromTime, plainOrNull, plainText, toJson, toTime } from './values.ts';

/** Adds a run and its job within a transaction of the caller; undefined: the idempotency key was used before. */
export type Enqueue = (
  connection: Connection,
  run: { readonly request: RunRequest; readonly asked: Asked; readonly now: number },
  o: Cancel,
) => Promise<string | undefined>;

/** The sync a run is of, and the lane in which runs wait for each other. */
const laneOf = async (
  connection: Connection,
  request: RunRequest,
  id: string,
  o: Cancel,
): Promise<{
  readonly sync: string | null;
  readonly lane: string;
  readonly parent?: string;
  readonly plan?: string;
}> => {
  const of = async (table: 'plan' | 'run', key: string) => {
    const [row] = await connection.query(
      `select id, sync from lockstep_control.${table} where id = $1 or starts_with(id, $1) order by id = $1 desc limit 1`,
      [key],
      o,
    );
    const sync = (row?.['sync'] as string | null | undefined) ?? null;
    const id = (row?.['id'] as string | undefined) ?? key;
    return {
      sync,
      lane: sync === null ? `${table} ${id}` : `sync ${sync}`,
      [table === 'plan' ? 'plan' : 'parent']: id,
    };
  };
  switch (request.kind) {
    case 'apply':
      return of('plan', request.plan);
    case 'revert':
      return of('run', request.run);
    case 'copy':
      if (request.sync !== undefined) return { sync: request.sync, lane: `sync ${request.sync}` };
      return { sync: null, lane: `copy ${request.source} ${request.target ?? ''}` };
    case 'assess':
      return { sync: request.sync ?? null, lane: `run ${id}` };
    case 'backup':
      return { sync: null, lane: `backup ${request.backup}` };
    default:
      return { sync: request.sync, lane: `sync ${request.sync}` };
  }
};

export const enqueueWith =
  (queue: QueueInside): Enqueue =>
  async (connection, { request, asked, now }, o) => {
    const id = newId('r', now);
    const { sync, lane, parent, plan } = await laneOf(connection, request, id, o);
    const at = toTime(now);
    const rows = await connection.query(
      `insert into lockstep_control.run (id, kind, state, sync, parent, correlation, actor, started, plan,
         requested, trigger, idempotency, asked_at, lane, traceparent)
       values ($1, $2, 'queued', $3, $4, $5, $6, $7, $8, $9, $10, $11, $7, $12, $13)
       on conflict (actor, idempotency) where idempotency is not null do nothing returning id`,
      [
        id,
        request.kind,
        plainOrNull(sync),
        parent ?? null,
        plainText(asked.correlation),
        plainText(asked.actor),
        at,
        plan ?? null,
        toJson(request),
        asked.trigger,
        plainOrNull(asked.idempotencyKey),
        plainText(lane),
        asked.traceparent ?? null,
      ],
      o,
    );
    if (rows.length === 0) return undefined;
    await queue.addWith(connection, 'run', { data: { run: id }, lane: plainText(lane) }, o);
    await addEvents(
      connection,
      [
        {
          at: now,
          type: 'run.queued',
          subject: `runs/${id}`,
          sync,
          correlation: asked.correlation,
          data: { run: id, kind: request.kind, trigger: asked.trigger, actor: asked.actor },
        },
      ],
      o,
    );
    return id;
  };

const mismatch = (run: Run): LockstepError =>
  new LockstepError('IDEMPOTENCY_MISMATCH', `this idempotency key was used for another request: run ${run.id}`, {
    hint: 'Use a new key for a new request; the same key means the same request.',
  });

const told = (connection: Pick<Connection, 'query'>, o: Cancel): Promise<unknown> =>
  connection.query(`select pg_notify('lockstep_stop', ''), pg_notify('lockstep_queue', '')`, [], o);

export const deskOf = (database: Database, runs: Pick<Runs, 'get'>, queue: QueueInside, clock: Clock): RunDesk => {
  const enqueue = enqueueWith(queue);
  const find = async (id: string, o: Cancel): Promise<Run> => {
    const run = await runs.get(id, o);
    if (run) return run;
    throw new LockstepError('NOT_FOUND', `there is no run ${id} in this control store`, {
      hint: 'List the runs with: lockstep runs',
    });
  };
  const known: RunDesk['known'] = async (actor, key, o) => {
    const [row] = await database.query(
      'select id from lockstep_control.run where actor = $1 and idempotency = $2',
      [plainText(actor), plainText(key)],
      o,
    );
    return row && find(row['id'] as string, o);
  };
  const changePause = (sync: string, by: string, paused: boolean, o: Cancel): Promise<void> =>
    inTransaction(database, o, async (connection) => {
      const now = clock.now();
      const rows = paused
        ? await connection.query(
            `insert into lockstep_control.sync_state (sync, paused_by, paused_at) values ($1, $2, $3)
             on conflict (sync) do nothing returning sync`,
            [plainText(sync), plainText(by), toTime(now)],
            o,
          )
        : await connection.query(
            'delete from lockstep_control.sync_state where sync = $1 returning sync',
            [plainText(sync)],
            o,
          );
      if (rows.length === 0) return;
      await told(connection, o);
      const type = paused ? 'sync.paused' : 'sync.resumed';
      await addEvents(
        connection,
        [{ at: now, type, subject: `syncs/${sync}`, sync, correlation: null, data: { by } }],
        o,
      );
    });
  return {
    request: async (request, asked, o) => {
      await queue.ready(o);
      const made = await inTransaction(database, o, (connection) =>
        enqueue(connection, { request, asked, now: clock.now() }, o),
      );
      if (made !== undefined) return { run: await find(made, o), repeated: false };
      const run = (await known(asked.actor, asked.idempotencyKey!, o))!;
      if (!isDeepStrictEqual(run.asked?.request, fromJson(toJson(request)))) throw mismatch(run);
      return { run, repeated: true };
    },
    known,
    cancel: async (id, by, o) => {
      const run = await find(id, o);
      const ended = (): LockstepError =>
        new LockstepError('CONFLICT', `run ${run.id} has ended: there is nothing to cancel`, {
          hint: `See what it did: lockstep show ${run.id}`,
        });
      if (run.asked === undefined && run.state === 'running' && run.alive)
        throw new LockstepError('CONFLICT', `run ${run.id} is carried out by ${run.actor}, not by a worker`, {
          hint: 'Stop it where it was started: Ctrl-C.',
        });
      await inTransaction(database, o, async (connection) => {
        // One that has begun to write is ended by a worker, which settles its writes first.
        const [row] = await connection.query(
          `update lockstep_control.run set cancel_requested = coalesce(cancel_requested, now()),
             cancelled_by = coalesce(cancelled_by, $2),
             state = case when state = 'queued' and checkpoint is null then 'cancelled' else state end,
             exit = case when state = 'queued' and checkpoint is null then 130 end,
             finished = case when state = 'queued' and checkpoint is null then $3::timestamptz end,
             error = case when state = 'queued' and checkpoint is null then $4 end
           where id = $1 and state in ('queued', 'running') returning state`,
          [
            run.id,
            plainText(by),
            toTime(clock.now()),
            toJson({ code: 'ABORTED', message: `Cancelled by ${by} before it began.` }),
          ],
          o,
        );
        if (row === undefined) throw ended();
        await told(connection, o);
        if (row['state'] !== 'cancelled') return;
        await addEvents(
          connection,
          [
            {
              at: clock.now(),
              type: 'run.finished',
              subject: `runs/${run.id}`,
              sync: run.sync,
              correlation: run.correlation,
              data: { run: run.id, kind: run.kind, state: 'cancelled', exit: 130, by },
            },
          ],
          o,
        );
      });
      return find(run.id, o);
    },
    pause: (sync, by, o) => changePause(sync, by, true, o),
    resume: (sync, by, o) => changePause(sync, by, false, o),
  };
};

/** The syncs that do not start. */
export const pausedSyncs = async (database: Database, o: Cancel): Promise<readonly Paused[]> => {
  const rows = await database.query(
    'select sync, paused_by, paused_at from lockstep_control.sync_state where paused_at is not null order by sync',
    [],
    o,
  );
  return rows.map((row) => ({
    sync: row['sync'] as string,
    by: row['paused_by'] as string,
    since: fromTime(row['paused_at'])!,
  }));
};
