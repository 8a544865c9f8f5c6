import type {
  EndpointSample,
  Measured,
  MeasuredSum,
  Monitoring,
  PairState,
  Proof,
  RunFact,
  RunSummary,
  Total,
} from '../../model/monitoring.ts';
import type { Database, Rows } from './database.ts';
import { addTotals } from './record-end.ts';
import { fromTime, plainOrNull, plainText, toTime } from './values.ts';

const n = (value: unknown): number => Number(value ?? 0);

const toPair = (row: Rows[number]): PairState => ({
  sync: row['sync'] as string,
  pair: row['pair'] as string,
  target: row['target'] as string,
  run: row['run'] as string,
  at: fromTime(row['at'])!,
  firstAt: fromTime(row['first_at'])!,
  verifiedAt: fromTime(row['verified_at']),
  complete: row['complete'] as boolean,
  rows: { source: n(row['rows_source']), target: n(row['rows_target']) },
  found: {
    only_in_source: n(row['only_in_source']),
    only_in_target: n(row['only_in_target']),
    different: n(row['different']),
  },
  left: n(row['left_over']),
});

const toFact = (row: Rows[number]): RunFact => ({
  run: row['run'] as string,
  sync: row['sync'] as string | null,
  kind: row['kind'] as string,
  state: row['state'] as RunFact['state'],
  exit: row['exit'] as number,
  correlation: row['correlation'] as string,
  code: row['code'] as string | null,
  message: row['message'] as string | null,
  verdict: row['verdict'] as string | null,
  started: fromTime(row['started'])!,
  finished: fromTime(row['finished'])!,
  rows: n(row['rows']),
  found: n(row['found']),
  created: n(row['created']),
  updated: n(row['updated']),
  deleted: n(row['deleted']),
  already: n(row['already']),
  skipped: n(row['skipped']),
  failed: n(row['failed']),
  conflicts: n(row['conflicts']),
  quarantined: n(row['quarantined']),
});

const toSum = (row: Rows[number]): MeasuredSum => ({
  metric: row['metric'] as string,
  sync: row['sync'] as string,
  runs: n(row['runs']),
  sum: row['sum'] as string,
  last: row['last'] as string,
  lastAt: fromTime(row['last_at'])!,
});

export const monitoringOf = (database: Database): Monitoring => ({
  pairs: async (o) =>
    (await database.query('select * from lockstep_control.pair_state order by sync, pair', [], o)).map(toPair),
  proofs: async (since, o) => {
    const rows = await database.query(
      `select sync, pair, first, last, agrees, drift from lockstep_control.proof p
       where last >= $1 or first = (select max(q.first) from lockstep_control.proof q
                                    where q.sync = p.sync and q.pair = p.pair and q.last < $1)
       order by sync, pair, first`,
      [toTime(since)],
      o,
    );
    return rows.map(
      (row): Proof => ({
        sync: row['sync'] as string,
        pair: row['pair'] as string,
        first: fromTime(row['first'])!,
        last: fromTime(row['last'])!,
        agrees: row['agrees'] as boolean,
        drift: row['drift'] as number | null,
      }),
    );
  },
  lastRuns: async (each, o) => {
    // By the index, sync after sync: the table may be long.
    const rows = await database.query(
      `with recursive named as (
         (select sync, kind from lockstep_control.run_fact where sync is not null order by sync, kind limit 1)
         union all
         select next.sync, next.kind from named, lateral (
           select f.sync, f.kind from lockstep_control.run_fact f
           where f.sync is not null and (f.sync, f.kind) > (named.sync, named.kind) order by f.sync, f.kind limit 1) next
       )
       select f.* from named, lateral (
         select * from lockstep_control.run_fact f where f.sync = named.sync and f.kind = named.kind
         order by f.finished desc, f.run desc limit $1) f
       union all
       (select * from lockstep_control.run_fact where sync is null and kind = 'backup' order by finished desc limit $1)`,
      [each],
      o,
    );
    return rows.map(toFact).sort((a, b) => b.finished - a.finished || (a.run < b.run ? 1 : -1));
  },
  summaries: async (since, o) => {
    const rows = await database.query(
      `select sync, count(*) as runs, count(*) filter (where state = 'done') as done,
              count(*) filter (where state = 'failed') as failed, count(*) filter (where state = 'cancelled') as cancelled,
              coalesce(avg(extract(epoch from finished - started)) filter (where state = 'done'), 0) as seconds,
              sum(rows) as rows, sum(created + updated + deleted) as changes, sum(skipped) as skipped,
              sum(failed) as rejected, sum(conflicts) as conflicts, max(finished) filter (where state = 'done') as last
       from lockstep_control.run_fact where finished >= $1 group by sync order by sync`,
      [toTime(since)],
      o,
    );
    return rows.map(
      (row): RunSummary => ({
        sync: row['sync'] as string | null,
        runs: n(row['runs']),
        done: n(row['done']),
        failed: n(row['failed']),
        cancelled: n(row['cancelled']),
        durationMs: Math.round(n(row['seconds']) * 1000),
        rows: n(row['rows']),
        changes: n(row['changes']),
        skipped: n(row['skipped']),
        rejected: n(row['rejected']),
        conflicts: n(row['conflicts']),
        last: fromTime(row['last']),
      }),
    );
  },
  totals: async (o) => {
    const rows = await database.query(
      'select metric, labels, value from lockstep_control.total order by metric, labels',
      [],
      o,
    );
    return rows.map(
      (row): Total => ({
        metric: row['metric'] as string,
        labels: JSON.parse(row['labels'] as string) as Record<string, string>,
        value: n(row['value']),
      }),
    );
  },
  add: (more, o) => addTotals(database, more, o),
  queue: async (o) => {
    const [row] = await database.query(
      `select q.queued, q.oldest, r.running from
         (select count(*) as queued, min(coalesce(asked_at, started)) as oldest from lockstep_control.run
          where requested is not null and state in ('queued', 'running') and state = 'queued') q,
         (select count(*) as running from lockstep_control.run where state = 'running') r`,
      [],
      o,
    );
    return { queued: n(row!['queued']), running: n(row!['running']), oldest: fromTime(row!['oldest']) };
  },
  quarantined: async (o) => {
    const rows = await database.query(
      'select sync, pair, count(*) as rows from lockstep_control.quarantine group by sync, pair order by sync, pair',
      [],
      o,
    );
    return rows.map((row) => ({ sync: row['sync'] as string, pair: row['pair'] as string, rows: n(row['rows']) }));
  },
  running: async (o) => {
    const rows = await database.query(
      `select id, sync, kind, started from lockstep_control.run where state = 'running' order by id`,
      [],
      o,
    );
    return rows.map((row) => ({
      run: row['id'] as string,
      sync: row['sync'] as string | null,
      kind: row['kind'] as string,
      started: fromTime(row['started'])!,
    }));
  },
  measured: async (filter, o) => {
    const rows = await database.query(
      `select metric, sync, run, at, trim_scale(value)::text as value from lockstep_control.measure
       where ($1::text is null or metric = $1) and ($2::timestamptz is null or at >= $2) order by at desc, metric limit $3`,
      [plainOrNull(filter.metric), toTime(filter.since), filter.limit],
      o,
    );
    return rows.map(
      (row): Measured => ({
        metric: row['metric'] as string,
        sync: row['sync'] as string,
        run: row['run'] as string,
        at: fromTime(row['at'])!,
        value: row['value'] as string,
      }),
    );
  },
  measuredSums: async (since, o) => {
    const rows = await database.query(
      `select metric, sync, count(*) as runs, trim_scale(sum(value))::text as sum,
              trim_scale((array_agg(value order by at desc))[1])::text as last, max(at) as last_at
       from lockstep_control.measure where at >= $1 group by metric, sync order by metric, sync`,
      [toTime(since)],
      o,
    );
    return rows.map(toSum);
  },
  measuredTotals: async (o) => {
    const rows = await database.query(
      `select metric, sync, runs, trim_scale(sum)::text as sum, trim_scale(last)::text as last, last_at
       from lockstep_control.measure_total order by metric, sync`,
      [],
      o,
    );
    return rows.map(toSum);
  },
  sample: async (process, at, samples, o) => {
    const of = (value: (s: (typeof samples)[number]) => unknown): readonly unknown[] => samples.map(value);
    await database.query(
      `with gone as (delete from lockstep_control.endpoint_sample where at < $2::timestamptz - interval '1 day')
       insert into lockstep_control.endpoint_sample (process, endpoint, at, count, failed, p95, breaker)
       select $1, endpoint, $2, count, failed, p95, breaker
       from unnest($3::text[], $4::bigint[], $5::bigint[], $6::double precision[], $7::text[])
         as x (endpoint, count, failed, p95, breaker)
       on conflict (process, endpoint) do update set
         at = excluded.at, count = excluded.count, failed = excluded.failed, p95 = excluded.p95, breaker = excluded.breaker`,
      [
        plainText(process),
        toTime(at),
        of((s) => plainText(s.endpoint)),
        of((s) => s.count),
        of((s) => s.failed),
        of((s) => s.p95),
        of((s) => s.breaker),
      ],
      o,
    );
  },
  forget: async (before, o) => {
    await database.query('delete from lockstep_control.proof where last < $1', [toTime(before)], o);
  },
  samples: async (since, o) => {
    const rows = await database.query(
      `select endpoint, process, count, failed, p95, breaker from lockstep_control.endpoint_sample
       where at >= $1 order by endpoint, process`,
      [toTime(since)],
      o,
    );
    return rows.map((row) => ({
      endpoint: row['endpoint'] as string,
      process: row['process'] as string,
      count: n(row['count']),
      failed: n(row['failed']),
      p95: n(row['p95']),
      breaker: row['breaker'] as EndpointSample['breaker'],
    }));
  },
});
