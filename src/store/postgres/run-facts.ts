import type { JsonValue } from '../../model/json.ts';
import { durationBuckets, type Found, type PairState, type RunFact, type Total } from '../../model/monitoring.ts';
import type { Phase, RunError } from '../../model/runs.ts';

/** A pair as a run's report tells it. `left`: rows that still differ after the run; `complete`: all of it was compared. */
export interface PairFact {
  readonly pair: string;
  readonly target: string;
  readonly complete: boolean;
  readonly rows: PairState['rows'];
  readonly found: Found;
  readonly left: number;
}

export interface ReportFacts
  extends Omit<
    RunFact,
    'run' | 'sync' | 'kind' | 'state' | 'exit' | 'correlation' | 'code' | 'message' | 'started' | 'finished'
  > {
  readonly pairs: readonly PairFact[];
  readonly measures: Readonly<Record<string, string>>;
}

type Obj = Readonly<Record<string, JsonValue | undefined>>;

const object = (value: JsonValue | undefined): Obj =>
  value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Obj) : {};
const list = (value: JsonValue | undefined): readonly JsonValue[] => (Array.isArray(value) ? value : []);
const number = (value: JsonValue | undefined): number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0;
const text = (value: JsonValue | undefined): string | null => (typeof value === 'string' ? value : null);
const sum = (values: Obj): number => Object.values(values).reduce<number>((n, v) => n + number(v), 0);

const foundOf = (pair: Obj): Found => ({
  only_in_source: number(pair['only_in_source']),
  only_in_target: number(pair['only_in_target']),
  different: number(pair['different']),
});
export const totalFound = (f: Found): number => f.only_in_source + f.only_in_target + f.different;

/** Was a side read from a stand-in, which may be older? Told of the endpoint, not of a pair. */
const stoodIn = (report: Obj): boolean => {
  const sides = [report['source'], report['target']].map((side) => text(object(side)['name']));
  return list(object(report['coverage'])['not_compared']).some((n) => sides.includes(text(object(n)['what'])));
};

/** One pair of a report. `still`: how many of the run's rows differ after it; undefined: it wrote nothing. */
const pairFact = (value: JsonValue, still: number | undefined, whole: boolean): PairFact[] => {
  const pair = object(value);
  const name = text(pair['source']);
  if (name === null) return [];
  const found = foundOf(pair);
  const rows = object(object(pair['incremental'])['table_rows'] ?? pair['rows']);
  const unsettled = ['in_flight', 'duplicate_key', 'unkeyed', 'outside_filter'].reduce(
    (n, k) => n + number(pair[k]),
    0,
  );
  return [
    {
      pair: name,
      target: text(pair['target']) ?? '',
      complete: whole && pair['complete'] !== false && list(pair['not_compared']).length === 0 && unsettled === 0,
      rows: { source: number(rows['source']), target: number(rows['target']) },
      found,
      left: still === undefined ? totalFound(found) : Math.min(totalFound(found), still),
    },
  ];
};

const nothing: ReportFacts = {
  verdict: null,
  rows: 0,
  found: 0,
  created: 0,
  updated: 0,
  deleted: 0,
  already: 0,
  skipped: 0,
  failed: 0,
  conflicts: 0,
  quarantined: 0,
  pairs: [],
  measures: {},
};

/** The numbers of a run's report, whatever its kind; what is not there is zero. */
export const factsOfReport = (kind: string, report: JsonValue): ReportFacts => {
  const r = object(report);
  const applied = object(r['applied']);
  const skipped = object(r['skipped']);
  const wrote = kind === 'sync';
  const planned = object(r['planned']);
  const still = wrote
    ? number(planned['withheld']) +
      number(r['rejected']) +
      number(r['rolled_back']) +
      number(r['pending']) +
      number(skipped['moved']) +
      number(r['unverified']) +
      number(r['conflicts'])
    : undefined;
  const proves = kind !== 'copy' && kind !== 'assess' && r['as_configured'] !== false;
  const pairs = proves ? list(r['pairs']).flatMap((p) => pairFact(p, still, !stoodIn(r))) : [];
  const identical = list(r['pairs']).reduce<number>((n, p) => n + number(object(p)['identical']), 0);
  const looked = list(r['pairs']).reduce<number>((n, p) => {
    const rows = object(object(p)['rows']);
    return n + Math.max(number(rows['source']), number(rows['target']));
  }, 0);
  const changes = sum(applied);
  return {
    ...nothing,
    verdict: text(r['verdict']),
    rows: looked > 0 ? looked : changes,
    found: pairs.reduce((n, p) => n + totalFound(p.found), 0),
    created: number(applied['insert']),
    updated: number(applied['update']),
    deleted: number(applied['delete']),
    already: wrote ? number(skipped['already_synced']) : identical,
    skipped: (wrote ? number(skipped['moved']) : number(r['moved'])) + number(planned['withheld']),
    failed: number(r['rejected']),
    conflicts: number(r['conflicts']),
    quarantined:
      number(r['quarantined']) || list(r['pairs']).reduce<number>((n, p) => n + number(object(p)['quarantined']), 0),
    pairs,
    measures: Object.fromEntries(
      Object.entries(object(r['business'])).flatMap(([name, v]) =>
        typeof v === 'string' && /^-?\d+(\.\d+)?$/.test(v) ? [[name, v]] : [],
      ),
    ),
  };
};

/** What a run adds to the totals. */
export const totalsOf = (
  run: { readonly kind: string; readonly sync: string | null; readonly state: string; readonly seconds: number },
  facts: ReportFacts,
  error: RunError | undefined,
  phases: readonly Phase[],
): readonly Total[] => {
  const sync = run.sync ?? '';
  const outcome = run.state === 'done' ? 'success' : run.state === 'failed' ? 'failure' : 'cancelled';
  const of = { sync, kind: run.kind, outcome };
  const change = (op: string, result: string, value: number): Total => ({
    metric: 'lockstep_changes_total',
    labels: { sync, op, outcome: result },
    value,
  });
  const compared = (looksAt: string, value: number): Total => ({ metric: looksAt, labels: { sync }, value });
  return [
    { metric: 'lockstep_runs_total', labels: of, value: 1 },
    { metric: 'lockstep_run_duration_seconds_sum', labels: of, value: run.seconds },
    ...durationBuckets
      .filter((end) => run.seconds <= end)
      .map((end) => ({ metric: 'lockstep_run_duration_seconds_bucket', labels: { ...of, le: String(end) }, value: 1 })),
    ...(error === undefined
      ? []
      : [{ metric: 'lockstep_run_errors_total', labels: { sync, code: error.code }, value: 1 }]),
    ...phases.flatMap((p) =>
      p.finished === undefined
        ? []
        : [
            {
              metric: 'lockstep_run_phase_seconds_total',
              labels: { sync, phase: p.name },
              value: Math.max(0, p.finished - p.started) / 1000,
            },
          ],
    ),
    compared('lockstep_rows_compared_total', facts.pairs.length > 0 ? facts.rows : 0),
    compared('lockstep_differences_found_total', facts.found),
    change('insert', 'applied', facts.created),
    change('update', 'applied', facts.updated),
    change('delete', 'applied', facts.deleted),
    change('any', 'skipped', facts.skipped),
    change('any', 'failed', facts.failed),
    compared('lockstep_conflicts_total', facts.conflicts),
  ].filter((t) => t.value > 0);
};
