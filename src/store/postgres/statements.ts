import type { Cancel } from '../../model/cancel.ts';
import type { RunFailures, StatementSample, StatementSamples, StoreState } from '../../model/health.ts';
import type { Database } from './database.ts';
import { fromJson, fromTime, plainText, toTime } from './values.ts';

const numbers = ['count', 'rows', 'total', 'p50', 'p95', 'p99', 'max'] as const;

export const statementsOf = (database: Database): StatementSamples => ({
  put: async (process, at, samples, o) => {
    const of = (value: (s: StatementSample) => unknown): readonly unknown[] => samples.map(value);
    await database.query(
      `with gone as (
         delete from lockstep_control.statement_sample where process = $1 or at < $2::timestamptz - interval '1 hour')
       insert into lockstep_control.statement_sample (process, at, endpoint, sql, ${numbers.join(', ')})
       select $1, $2, * from unnest($3::text[], $4::text[], $5::bigint[], $6::bigint[],
         $7::float8[], $8::float8[], $9::float8[], $10::float8[], $11::float8[])`,
      [
        plainText(process),
        toTime(at),
        of((s) => plainText(s.endpoint)),
        of((s) => plainText(s.sql)),
        ...numbers.map((name) => of((s) => s[name])),
      ],
      o,
    );
  },
  slowest: async ({ since, limit, except }, o) => {
    const rows = await database.query(
      `select process, endpoint, sql, count, rows, total, p50, p95, p99, max from lockstep_control.statement_sample
       where at >= $1 and process <> $2 order by p95 desc limit $3`,
      [toTime(since), plainText(except), limit],
      o,
    );
    return rows.map((row) => ({
      process: row['process'] as string,
      endpoint: row['endpoint'] as string,
      sql: row['sql'] as string,
      ...(Object.fromEntries(numbers.map((name) => [name, Number(row[name])])) as Record<
        (typeof numbers)[number],
        number
      >),
    }));
  },
});

const maxKinds = 200;

export const failuresOf =
  (database: Database) =>
  async (since: number, o: Cancel): Promise<readonly RunFailures[]> => {
    // an error may be encrypted, its code in the facts of the run is not
    const rows = await database.query(
      `select coalesce(f.code, 'INTERNAL') as code, count(*)::int as count, min(r.finished) as first, max(r.finished) as last,
         (array_agg(r.id order by r.finished desc, r.id desc))[1] as run, (array_agg(r.sync order by r.finished desc, r.id desc))[1] as sync,
         (array_agg(r.error order by r.finished desc, r.id desc))[1] as error
       from lockstep_control.run r left join lockstep_control.run_fact f on f.run = r.id
       where r.state = 'failed' and r.error is not null and r.finished >= $1
       group by 1 order by max(r.finished) desc limit ${maxKinds}`,
      [toTime(since)],
      { ...o, place: (row, column) => `run ${row['run']} ${column}` },
    );
    return rows.map((row) => ({
      code: row['code'] as string,
      count: row['count'] as number,
      first: fromTime(row['first'])!,
      last: fromTime(row['last'])!,
      example: {
        run: row['run'] as string,
        sync: row['sync'] as string | null,
        message: fromJson<{ readonly message?: string }>(row['error']).message ?? '',
      },
    }));
  };

/** Asks the store itself, on a connection as everything else uses. */
export const storeState =
  (database: Database, elapsed: () => number) =>
  async (o: Cancel): Promise<StoreState> => {
    const began = elapsed();
    const [row] = await database.query(
      `select not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off' as writable`,
      [],
      o,
    );
    return { writable: row?.['writable'] === true, latencyMs: Math.round((elapsed() - began) * 100) / 100 };
  };
