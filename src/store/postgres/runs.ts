import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { JsonValue } from '../../model/json.ts';
import type { EndpointFacts, Phase, Run, RunError, RunKind, RunState, Runs } from '../../model/runs.ts';
import type { Kept } from '../stored-values.ts';
import { type Attempts, fromAsked, takenOver } from './claims.ts';
import type { Connection, Database, Rows } from './database.ts';
import { addEvents } from './events.ts';
import { recordEnd } from './record-end.ts';
import { endedEvent } from './run-ended.ts';
import { lockHolders, lockOf } from './run-lock.ts';
import { inTransaction } from './transaction.ts';
import { fromJson, fromTime, plainOrNull, plainText, toJson, toTime } from './values.ts';

/** Why a queued run is not claimed: see `claim`. */
const pausedOf = (column: 'paused_by' | 'paused_at'): string =>
  `case when r.state = 'queued' and r.cancel_requested is null
     then (select s.${column} from lockstep_control.sync_state s where s.sync = r.sync and s.paused_at is not null) end as ${column}`;

const columns = `r.id, r.kind, r.state, r.sync, r.source, r.target, r.plan, r.parent, r.correlation, r.actor, r.started, r.finished,
  r.exit, r.phases, r.report, r.checkpoint, r.error, r.requested, r.trigger, r.asked_at, r.lane, r.attempt, r.deaths, r.worker, r.cancelled_by, r.traceparent,
  ${pausedOf('paused_by')}, ${pausedOf('paused_at')},
  r.state = 'running' and exists (${lockHolders('r.id')}) as alive`;

const kept =
  (id: string, column: string, value: unknown): Kept =>
  (lock) =>
    lock.text(toJson(value), `run ${id} ${column}`);
const runPlace = (row: Rows[number], column: string): string => `run ${row['id']} ${column}`;

const toRun = (row: Rows[number]): Run => {
  const asked = fromAsked(row);
  return {
    id: row['id'] as string,
    kind: row['kind'] as RunKind,
    state: row['state'] as RunState,
    sync: row['sync'] as string | null,
    source: fromJson<EndpointFacts | null>(row['source']),
    target: fromJson<EndpointFacts | null>(row['target']),
    plan: row['plan'] as string | null,
    parent: row['parent'] as string | null,
    correlation: row['correlation'] as string,
    actor: row['actor'] as string,
    started: fromTime(row['started'])!,
    finished: fromTime(row['finished']),
    exit: row['exit'] as number | null,
    phases: fromJson<readonly Phase[]>(row['phases']),
    report: fromJson(row['report']),
    checkpoint: fromJson(row['checkpoint']),
    error: fromJson<RunError | null>(row['error']),
    alive: row['alive'] as boolean,
    ...(asked === undefined ? {} : { asked }),
  };
};

const notFound = (id: string): LockstepError =>
  new LockstepError('NOT_FOUND', `there is no run ${id} in this control store`, {
    hint: 'List the runs with: lockstep runs',
  });

const endedOtherwise = (id: string, state: string): LockstepError =>
  new LockstepError('FENCED', `run ${id} has ended already: it is ${state}, and stays so`, {
    hint: `See what became of it: lockstep show ${id}`,
  });

export const runsOf = (database: Database, attempts: Attempts = new Map()): Runs => {
  const get = async (id: string, o: Cancel): Promise<Run | undefined> => {
    const rows = await database.query(
      `select ${columns} from lockstep_control.run r where r.id = $1 or starts_with(r.id, $1) order by r.id = $1 desc limit 2`,
      [plainText(id)],
      { ...o, place: runPlace },
    );
    return rows.length === 1 || rows[0]?.['id'] === id ? toRun(rows[0]!) : undefined;
  };
  /** Changes one run, and gives its report; NOT_FOUND when it is not there. */
  const change = async (
    id: string,
    facts: Readonly<Record<string, JsonValue | Kept | undefined>>,
    o: Cancel,
    on: Pick<Connection, 'query'> = database,
  ): Promise<JsonValue> => {
    const given = Object.entries(facts).filter(([, value]) => value !== undefined);
    const set = given.map(([name], i) => `${name} = $${i + 3}`).join(', ') || 'id = id';
    const headway = facts['checkpoint'] === undefined ? '' : ', deaths = 0';
    const rows = await on.query(
      `update lockstep_control.run set ${set}${headway} where id = $1 and ($2::int is null or attempt = $2) returning report`,
      [id, attempts.get(id) ?? null, ...given.map(([, value]) => value)],
      o,
    );
    if (rows.length > 0) return fromJson(rows[0]!['report']);
    throw attempts.has(id) ? takenOver(id) : notFound(id);
  };
  /** Has it ended just so? FENCED when it has ended otherwise. Nobody else ends it until the transaction is over. */
  const endedBefore = async (
    connection: Connection,
    id: string,
    end: { readonly state: RunState; readonly exit: number; readonly finished: number },
    o: Cancel,
  ): Promise<boolean> => {
    const [row] = await connection.query(
      `select state, exit, finished from lockstep_control.run where id = $1 and state not in ('queued', 'running') for update`,
      [id],
      o,
    );
    if (row === undefined) return false;
    if (row['state'] !== end.state) throw endedOtherwise(id, row['state'] as string);
    return row['exit'] === end.exit && fromTime(row['finished']) === end.finished;
  };
  return {
    create: async (run, o) => {
      await database.hold(lockOf(run.id), o);
      await database.query(
        `insert into lockstep_control.run (id, kind, sync, source, target, plan, parent, correlation, actor, started)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
        [
          run.id,
          run.kind,
          plainOrNull(run.sync),
          toJson(run.source),
          toJson(run.target),
          run.plan ?? null,
          run.parent ?? null,
          plainText(run.correlation),
          plainText(run.actor),
          toTime(run.started),
        ],
        o,
      );
      return (await get(run.id, o))!;
    },
    resume: async (id, o) => {
      const run = await get(id, o);
      if (!run) throw notFound(id);
      const carried = attempts.has(run.id);
      if ((carried && o.left) || !(await database.hold(lockOf(run.id), o))) {
        throw new LockstepError('LOCK_HELD', `another process is at work on run ${run.id} (started by ${run.actor})`, {
          hint: 'Wait until it has ended, or end that process; then resume.',
        });
      }
      try {
        if (run.asked !== undefined && !carried) {
          // Not through a worker: who carried it out before is not to write any more.
          const [row] = await database.query(
            'update lockstep_control.run set attempt = attempt + 1, seen_at = null where id = $1 returning attempt',
            [run.id],
            o,
          );
          attempts.set(run.id, row!['attempt'] as number);
        }
        await change(run.id, { state: 'running', exit: null, finished: null, error: null }, o);
        return (await get(run.id, o))!;
      } catch (error) {
        // A worker's run stays the worker's, who sees to it.
        if (!carried) {
          attempts.delete(run.id);
          await database.letGo(lockOf(run.id), { signal: AbortSignal.timeout(5000) }).catch(() => {});
        }
        throw error;
      }
    },
    update: async (id, facts, o) => {
      await change(
        id,
        {
          source: facts.source && toJson(facts.source),
          target: facts.target && toJson(facts.target),
          plan: facts.plan,
          phases: facts.phases && toJson(facts.phases),
          report: facts.report === undefined ? undefined : kept(id, 'report', facts.report),
          checkpoint: facts.checkpoint === undefined ? undefined : kept(id, 'checkpoint', facts.checkpoint),
        },
        o,
      );
    },
    finish: async (id, end, o) => {
      const report = end.report === undefined ? undefined : kept(id, 'report', end.report);
      const facts = {
        state: end.state,
        exit: end.exit,
        finished: toTime(end.finished),
        error: kept(id, 'error', end.error),
        report,
      };
      // Where the store fails, the run stays this process's: it may try again.
      const ended = inTransaction(database, o, async (connection) => {
        if (await endedBefore(connection, id, end, o)) return;
        const kept = await change(id, facts, o, connection);
        await recordEnd(connection, id, end, end.report ?? kept, o);
        await addEvents(connection, [await endedEvent(connection, id, end.finished, o)], o);
      });
      const fenced = await ended.catch((error: unknown) => {
        if (error instanceof LockstepError && error.code === 'FENCED') return error;
        throw error;
      });
      attempts.delete(id);
      await database.letGo(lockOf(id), o);
      if (fenced) throw fenced;
    },
    putBack: async (id, o) => {
      const attempt = attempts.get(id) ?? null;
      await database.query(
        `update lockstep_control.run set state = 'queued', worker = null, seen_at = null
         where id = $1 and requested is not null and state = 'running' and ($2::int is null or attempt = $2)`,
        [id, attempt],
        o,
      );
      attempts.delete(id);
      await database.letGo(lockOf(id), o);
    },
    get,
    list: async (filter, o) => {
      const rows = await database.query(
        `select ${columns} from lockstep_control.run r
         where ($1::text[] is null or kind = any($1)) and ($2::text[] is null or state = any($2))
           and ($3::text is null or sync = $3) and ($4::text is null or plan = $4) and ($5::text is null or id < $5)
           and ($7::text[] is null or sync = any($7)) and ($8::text is null or correlation = $8)
           and ($9::timestamptz is null or started >= $9) and ($10::timestamptz is null or started < $10)
         order by id desc limit $6`,
        [
          filter.kinds ?? null,
          filter.states ?? null,
          plainOrNull(filter.sync),
          filter.plan ?? null,
          filter.before ?? null,
          filter.limit ?? 50,
          filter.syncs?.map(plainText) ?? null,
          plainOrNull(filter.correlation),
          toTime(filter.from),
          toTime(filter.until),
        ],
        { ...o, place: runPlace },
      );
      return rows.map(toRun);
    },
    unfinished: async (o) => {
      const rows = await database.query(
        `select ${columns} from lockstep_control.run r where state = 'running' order by id desc`,
        [],
        o,
      );
      return rows.map(toRun).filter((run) => !run.alive);
    },
  };
};
