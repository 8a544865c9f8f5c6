import type { Cancel } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import type { EndpointFacts, Json, Phase, Run, RunError, RunKind, RunState, Runs } from '../../model/store.ts';
import { type Database, lockKey, type Rows } from './database.ts';
import { fromJson, fromTime, plainOrNull, plainText, toJson, toTime } from './values.ts';

/** Held by the process that is at work on the run. */
const lockOf = (run: string): string => `run ${run}`;

const columns = `r.id, r.kind, r.state, r.sync, r.source, r.target, r.plan, r.parent, r.correlation, r.actor, r.started, r.finished,
  r.exit, r.phases, r.report, r.checkpoint, r.error,
  r.state = 'running' and exists (
    select from pg_locks l, lateral (select ${lockKey("'run ' || r.id")} as key) k
    where l.locktype = 'advisory' and l.granted and l.objsubid = 1
      and l.database = (select oid from pg_database where datname = current_database())
      and l.classid::bigint = (k.key >> 32) & 4294967295 and l.objid::bigint = k.key & 4294967295) as alive`;

const toRun = (row: Rows[number]): Run => ({
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
});

const notFound = (id: string): LockstepError =>
  new LockstepError('NOT_FOUND', `there is no run ${id} in this control store`, {
    hint: 'List the runs with: lockstep runs',
  });

export const runsOf = (database: Database): Runs => {
  const get = async (id: string, o: Cancel): Promise<Run | undefined> => {
    const rows = await database.query(
      `select ${columns} from lockstep_control.run r where r.id = $1 or starts_with(r.id, $1) order by r.id = $1 desc limit 2`,
      [plainText(id)],
      o,
    );
    return rows.length === 1 || rows[0]?.['id'] === id ? toRun(rows[0]!) : undefined;
  };
  /** Changes one run; NOT_FOUND when it is not there. */
  const change = async (id: string, facts: Readonly<Record<string, Json | undefined>>, o: Cancel): Promise<void> => {
    const given = Object.entries(facts).filter(([, value]) => value !== undefined);
    const set = given.map(([name], i) => `${name} = $${i + 2}`).join(', ') || 'id = id';
    const rows = await database.query(
      `update lockstep_control.run set ${set} where id = $1 returning id`,
      [id, ...given.map(([, value]) => value)],
      o,
    );
    if (rows.length === 0) throw notFound(id);
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
      if (!(await database.hold(lockOf(run.id), o))) {
        throw new LockstepError('LOCK_HELD', `another process is at work on run ${run.id} (started by ${run.actor})`, {
          hint: 'Wait until it has ended, or end that process; then resume.',
        });
      }
      await change(run.id, { state: 'running', exit: null, finished: null, error: null }, o);
      return (await get(run.id, o))!;
    },
    update: (id, facts, o) =>
      change(
        id,
        {
          source: facts.source && toJson(facts.source),
          target: facts.target && toJson(facts.target),
          plan: facts.plan,
          phases: facts.phases && toJson(facts.phases),
          report: facts.report === undefined ? undefined : toJson(facts.report),
          checkpoint: facts.checkpoint === undefined ? undefined : toJson(facts.checkpoint),
        },
        o,
      ),
    finish: async (id, end, o) => {
      const report = end.report === undefined ? undefined : toJson(end.report);
      const facts = {
        state: end.state,
        exit: end.exit,
        finished: toTime(end.finished),
        error: toJson(end.error),
        report,
      };
      await change(id, facts, o);
      await database.letGo(lockOf(id), o);
    },
    get,
    list: async (filter, o) => {
      const rows = await database.query(
        `select ${columns} from lockstep_control.run r
         where ($1::text[] is null or kind = any($1)) and ($2::text[] is null or state = any($2))
           and ($3::text is null or sync = $3) and ($4::text is null or plan = $4) and ($5::text is null or id < $5)
         order by id desc limit $6`,
        [
          filter.kinds ?? null,
          filter.states ?? null,
          plainOrNull(filter.sync),
          filter.plan ?? null,
          filter.before ?? null,
          filter.limit ?? 50,
        ],
        o,
      );
      return rows.map(toRun);
    },
    unfinished: async (o) => {
      const rows = await database.query(
        `select ${columns} from lockstep_control.run r where state = 'running' order by id desc`,
           and ($7::text[] is null or sync = any($7)) and ($8::text is null or correlation = $8)
           and ($9::timestamptz is null or started >= $9) and ($10::timestamptz is null or started < $10)
        [],
        o,
      );
      return rows.map(toRun).filter((run) => !run.alive);
    },
  };
};
          filter.syncs?.map(plainText) ?? null,
          plainOrNull(filter.correlation),
          toTime(filter.from),
          toTime(filter.until),
