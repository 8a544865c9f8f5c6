import type { Cancel } from '../../model/cancel.ts';
import { differingShare } from '../../model/differing-share.ts';
import type { JsonValue } from '../../model/json.ts';
import type { Total } from '../../model/monitoring.ts';
import type { Phase, RunError } from '../../model/runs.ts';
import type { Connection } from './database.ts';
import { factsOfReport, type PairFact, totalsOf } from './run-facts.ts';
import { fromJson, fromTime, plainOrNull, plainText, toTime } from './values.ts';

/** Comparisons that came to the same are one proof when they are no further apart. */
const oneProofMs = 60_000;

/** JSON of an object with its names sorted. */
const labelsText = (labels: Readonly<Record<string, string>>): string =>
  JSON.stringify(Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))));

/** Adds to the totals; in one order, so that two that add at once do not wait for each other. */
export const addTotals = async (
  connection: Pick<Connection, 'query'>,
  more: readonly Total[],
  o: Cancel,
): Promise<void> => {
  const sums = new Map<string, { readonly metric: string; readonly labels: string; value: number }>();
  for (const t of more) {
    const labels = plainText(labelsText(t.labels));
    const key = `${t.metric} ${labels}`;
    const there = sums.get(key);
    if (there) there.value += t.value;
    else sums.set(key, { metric: t.metric, labels, value: t.value });
  }
  if (sums.size === 0) return;
  const rows = [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
  await connection.query(
    `insert into lockstep_control.total as t (metric, labels, value)
     select * from unnest($1::text[], $2::text[], $3::double precision[])
     on conflict (metric, labels) do update set value = t.value + excluded.value`,
    [rows.map((r) => r.metric), rows.map((r) => r.labels), rows.map((r) => r.value)],
    { ...o, name: 'add_totals' },
  );
};

const recordPairs = async (
  connection: Connection,
  run: { readonly id: string; readonly sync: string; readonly at: number },
  pairs: readonly PairFact[],
  o: Cancel,
): Promise<void> => {
  const of = (value: (p: PairFact) => unknown): readonly unknown[] => pairs.map(value);
  const agrees = (p: PairFact): boolean => p.complete && p.left === 0;
  await connection.query(
    `insert into lockstep_control.pair_state as s
       (sync, pair, target, run, at, first_at, verified_at, complete, rows_source, rows_target, only_in_source, only_in_target, different, left_over)
     select $1, pair, target, $2, $3, $3, case when agrees then $3::timestamptz end, complete, rs, rt, os, ot, df, lo
     from unnest($4::text[], $5::text[], $6::boolean[], $7::boolean[], $8::bigint[], $9::bigint[], $10::bigint[],
                 $11::bigint[], $12::bigint[], $13::bigint[]) as x (pair, target, agrees, complete, rs, rt, os, ot, df, lo)
     order by pair
     on conflict (sync, pair) do update set
       target = excluded.target, run = excluded.run, at = excluded.at,
       verified_at = greatest(s.verified_at, excluded.verified_at), complete = excluded.complete,
       rows_source = excluded.rows_source, rows_target = excluded.rows_target, only_in_source = excluded.only_in_source,
       only_in_target = excluded.only_in_target, different = excluded.different, left_over = excluded.left_over
     where s.at <= excluded.at`,
    [
      run.sync,
      run.id,
      toTime(run.at),
      of((p) => plainText(p.pair)),
      of((p) => plainText(p.target)),
      of(agrees),
      of((p) => p.complete),
      of((p) => p.rows.source),
      of((p) => p.rows.target),
      of((p) => p.found.only_in_source),
      of((p) => p.found.only_in_target),
      of((p) => p.found.different),
      of((p) => p.left),
    ],
    { ...o, name: 'pair_state' },
  );
  await connection.query(
    `with x as (
       select * from unnest($3::text[], $4::boolean[], $5::double precision[]) as x (pair, agrees, drift)
     ), newest as (
       select x.*, p.first, p.last, p.agrees as agreed, p.drift is null as blind
       from x left join lateral (
         select * from lockstep_control.proof p where p.sync = $1 and p.pair = x.pair order by p.first desc limit 1) p on true
     ), longer as (
       update lockstep_control.proof p
       set last = $2, comparisons = p.comparisons + 1, drift = greatest(p.drift, n.drift)
       from newest n
       where p.sync = $1 and p.pair = n.pair and p.first = n.first and n.agreed = n.agrees and n.blind = (n.drift is null)
         and $2::timestamptz >= n.last and $2::timestamptz - n.last <= $6 * interval '1 ms'
       returning p.pair
     )
     insert into lockstep_control.proof (sync, pair, first, last, agrees, drift)
     select $1, n.pair, $2, $2, n.agrees, n.drift from newest n
     where (n.last is null or $2::timestamptz > n.last) and n.pair not in (select pair from longer)
     on conflict (sync, pair, first) do nothing`,
    [
      run.sync,
      toTime(run.at),
      of((p) => plainText(p.pair)),
      of(agrees),
      of((p) => (p.complete ? differingShare(p, p.left) : null)),
      oneProofMs,
    ],
    { ...o, name: 'proof' },
  );
};

/** How a run ended, as `Runs.finish` is told. */
export interface RunEnd {
  readonly state: 'done' | 'failed' | 'cancelled';
  readonly exit: number;
  readonly finished: number;
  readonly error?: RunError;
}

/**
 * Keeps what monitoring wants to know of a run that has just ended, on the connection and in the transaction that
 * ended it. A run that ends again (it had been interrupted) replaces its facts, and adds to the totals only what is more.
 */
export const recordEnd = async (
  connection: Connection,
  id: string,
  end: RunEnd,
  report: JsonValue,
  o: Cancel,
): Promise<void> => {
  const [run] = await connection.query(
    'select sync, kind, correlation, started, phases from lockstep_control.run where id = $1',
    [id],
    { ...o, name: 'run_ended' },
  );
  if (run === undefined) return;
  const sync = run['sync'] as string | null;
  const kind = run['kind'] as string;
  const started = fromTime(run['started'])!;
  const facts = factsOfReport(kind, report);
  const [before] = await connection.query('select * from lockstep_control.run_fact where run = $1', [id], {
    ...o,
    name: 'run_fact_before',
  });
  const values = {
    run: id,
    sync,
    kind,
    state: end.state,
    exit: end.exit,
    correlation: run['correlation'],
    code: end.error?.code ?? null,
    message: plainOrNull(end.error?.message.slice(0, 2000)),
    verdict: facts.verdict,
    started: toTime(started),
    finished: toTime(end.finished),
    rows: facts.rows,
    found: facts.found,
    created: facts.created,
    updated: facts.updated,
    deleted: facts.deleted,
    already: facts.already,
    skipped: facts.skipped,
    failed: facts.failed,
    conflicts: facts.conflicts,
    quarantined: facts.quarantined,
  };
  const names = Object.keys(values);
  await connection.query(
    `insert into lockstep_control.run_fact (${names.join(', ')}) values (${names.map((_, i) => `$${i + 1}`).join(', ')})
     on conflict (run) do update set ${names
       .slice(1)
       .map((n) => `${n} = excluded.${n}`)
       .join(', ')}`,
    Object.values(values),
    { ...o, name: 'run_fact' },
  );
  const seconds = Math.max(0, (end.finished - started) / 1000);
  const more = totalsOf(
    { kind, sync, state: end.state, seconds },
    facts,
    end.error,
    // Of a run that goes on after it had ended, those that came since.
    fromJson<readonly Phase[]>(run['phases']).filter((p) => p.started >= (fromTime(before?.['finished'] ?? null) ?? 0)),
  );
  await addTotals(connection, before === undefined ? more : onlyMore(more, before, end.state), o);
  if (sync === null) return;
  const measures = Object.entries(facts.measures);
  if (measures.length > 0)
    await connection.query(
      `with old as (
         select metric, value from lockstep_control.measure where run = $1
       ), new as (
         insert into lockstep_control.measure (run, metric, sync, at, value)
         select $1, metric, $2, $3, value from unnest($4::text[], $5::numeric[]) as x (metric, value)
         on conflict (run, metric) do update set at = excluded.at, value = excluded.value
         returning metric, value
       )
       insert into lockstep_control.measure_total as t (metric, sync, runs, sum, last, last_at)
       select n.metric, $2, (o.metric is null)::int, n.value - coalesce(o.value, 0), n.value, $3
       from new n left join old o on o.metric = n.metric order by n.metric
       on conflict (metric, sync) do update set
         runs = t.runs + excluded.runs, sum = t.sum + excluded.sum,
         last = case when excluded.last_at >= t.last_at then excluded.last else t.last end,
         last_at = greatest(t.last_at, excluded.last_at)`,
      [id, sync, toTime(end.finished), measures.map(([name]) => plainText(name)), measures.map(([, value]) => value)],
      { ...o, name: 'measure' },
    );
  if (facts.pairs.length > 0 && end.state === 'done')
    await recordPairs(connection, { id, sync, at: started }, facts.pairs, o);
};

/** Columns of a fact that the totals sum up. */
const counted: Readonly<Record<string, string>> = {
  lockstep_rows_compared_total: 'rows',
  lockstep_differences_found_total: 'found',
  lockstep_conflicts_total: 'conflicts',
  'lockstep_changes_total insert': 'created',
  'lockstep_changes_total update': 'updated',
  'lockstep_changes_total delete': 'deleted',
  'lockstep_changes_total any skipped': 'skipped',
  'lockstep_changes_total any failed': 'failed',
};

const phaseTotal = 'lockstep_run_phase_seconds_total';

/** Of the totals of a run that had ended before: amounts less what was counted then; its end once per outcome. */
const onlyMore = (more: readonly Total[], before: Readonly<Record<string, unknown>>, state: string): readonly Total[] =>
  more.flatMap((t) => {
    const { op, outcome } = t.labels;
    const name = op === undefined ? t.metric : `${t.metric} ${op}${op === 'any' ? ` ${outcome}` : ''}`;
    const column = counted[name];
    if (column === undefined) return before['state'] === state && t.metric !== phaseTotal ? [] : [t];
    const value = t.value - Number(before[column]);
    return value > 0 ? [{ ...t, value }] : [];
  });
