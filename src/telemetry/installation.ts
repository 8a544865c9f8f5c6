import type { Alerts } from '../model/alerts.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Conflicts } from '../model/conflicts.ts';
import { differingShare } from '../model/differing-share.ts';
import {
  durationBuckets,
  type EndpointSample,
  type Monitoring,
  type PairState,
  type RunFact,
  type Total,
} from '../model/monitoring.ts';
import { catalogue, type MetricName } from './catalogue.ts';
import type { Sample } from './exposition.ts';
import { serviceLevels } from './service-level.ts';

/** What is promised of each sync; see `slo` of the configuration. */
export interface ServicePromise {
  readonly verifiedWithinMs: number;
  readonly agree: number;
  readonly drift: number;
  readonly windowMs: number;
}

const day = 86_400_000;
/** Processes that have been silent for longer are gone. */
const silentMs = 60_000;

const gauge = (metric: MetricName, labels: Readonly<Record<string, string>>, value: number): Sample => ({
  metric,
  labels,
  value,
});

const ofPairs = (pairs: readonly PairState[]): readonly Sample[] => {
  const syncs = new Map<string, PairState[]>();
  for (const p of pairs) syncs.set(p.sync, [...(syncs.get(p.sync) ?? []), p]);
  return [
    ...pairs.flatMap((p): Sample[] => {
      const of = { sync: p.sync, pair: p.pair };
      const found = p.found.different + p.found.only_in_source + p.found.only_in_target;
      return [
        gauge('lockstep_sync_last_verified_timestamp_seconds', of, (p.verifiedAt ?? 0) / 1000),
        gauge('lockstep_sync_last_compared_timestamp_seconds', of, p.at / 1000),
        ...(['different', 'only_in_source', 'only_in_target'] as const).map((kind) =>
          gauge('lockstep_differences', { ...of, kind }, p.found[kind]),
        ),
        gauge('lockstep_differences_left', of, p.left),
        gauge('lockstep_drift_ratio', of, differingShare(p, found)),
        gauge('lockstep_rows', { ...of, side: 'source' }, p.rows.source),
        gauge('lockstep_rows', { ...of, side: 'target' }, p.rows.target),
      ];
    }),
    ...[...syncs].map(([sync, all]) =>
      gauge('lockstep_coverage_ratio', { sync }, all.filter((p) => p.complete).length / all.length),
    ),
  ];
};

const ofTotals = (totals: readonly Total[]): readonly Sample[] =>
  totals.flatMap((t): Sample[] => {
    const part = /_(bucket|sum)$/.exec(t.metric)?.[1] as 'bucket' | 'sum' | undefined;
    const metric = (part === undefined ? t.metric : t.metric.slice(0, -part.length - 1)) as MetricName;
    if (!Object.hasOwn(catalogue, metric)) return [];
    return [{ metric, labels: t.labels, value: t.value, ...(part === undefined ? {} : { part }) }];
  });

/** Buckets hold all that is below their end, also those that nothing was counted in, and the last holds everything. */
const durations = (totals: readonly Total[]): readonly Sample[] => {
  const metric = 'lockstep_run_duration_seconds' as const;
  const key = ({ sync, kind, outcome }: Total['labels']): string => JSON.stringify([sync, kind, outcome]);
  const buckets = new Map(
    totals
      .filter((t) => t.metric === `${metric}_bucket`)
      .map((t) => [`${key(t.labels)} ${t.labels['le']}`, t.value] as const),
  );
  const sums = new Map(
    totals.filter((t) => t.metric === `${metric}_sum`).map((t) => [key(t.labels), t.value] as const),
  );
  return totals
    .filter((t) => t.metric === 'lockstep_runs_total')
    .flatMap(({ labels, value }): Sample[] => [
      ...durationBuckets.map((end) => ({
        metric,
        part: 'bucket' as const,
        labels: { ...labels, le: String(end) },
        value: buckets.get(`${key(labels)} ${end}`) ?? 0,
      })),
      { metric, part: 'bucket', labels: { ...labels, le: '+Inf' }, value },
      { metric, part: 'sum', labels, value: sums.get(key(labels)) ?? 0 },
      { metric, part: 'count', labels, value },
    ]);
};

const ofRuns = (runs: readonly RunFact[], since: number): readonly Sample[] => {
  const samples: Sample[] = [];
  const seen = new Set<string>();
  const once = (...parts: readonly string[]): boolean => {
    const key = JSON.stringify(parts);
    return !seen.has(key) && !!seen.add(key);
  };
  const recent = new Map<string, { done: number; all: number }>();
  for (const r of runs) {
    if (r.sync === null) continue;
    const outcome = r.state === 'done' ? 'success' : r.state === 'failed' ? 'failure' : 'cancelled';
    const of = { sync: r.sync, kind: r.kind };
    if (once('ended', r.sync, r.kind, outcome))
      samples.push(gauge('lockstep_last_run_timestamp_seconds', { ...of, outcome }, r.finished / 1000));
    if (r.state === 'done' && once('done', r.sync, r.kind)) {
      const seconds = (r.finished - r.started) / 1000;
      samples.push(
        gauge('lockstep_last_run_duration_seconds', of, seconds),
        gauge('lockstep_last_run_rows', of, r.rows),
        gauge('lockstep_last_run_rows_per_second', of, r.rows / Math.max(seconds, 0.001)),
      );
    }
    if (r.finished >= since && r.state !== 'cancelled') {
      const n = recent.get(r.sync) ?? { done: 0, all: 0 };
      recent.set(r.sync, { done: n.done + Number(r.state === 'done'), all: n.all + 1 });
    }
  }
  for (const [sync, n] of recent) samples.push(gauge('lockstep_run_success_ratio', { sync }, n.done / n.all));
  return samples;
};

/** Of every sync that has written, and of those that have conflicts. */
const ofConflicts = (
  runs: readonly RunFact[],
  waiting: readonly { readonly sync: string; readonly pending: number; readonly oldest: number }[],
  now: number,
): readonly Sample[] => {
  const open = new Map(waiting.map((w) => [w.sync, w]));
  const wrote = runs.flatMap((r) => (r.sync !== null && (r.kind === 'sync' || r.kind === 'apply') ? [r.sync] : []));
  return [...new Set([...wrote, ...open.keys()])].flatMap((sync) => {
    const { pending = 0, oldest = now } = open.get(sync) ?? {};
    return [
      gauge('lockstep_conflicts_open', { sync }, pending),
      gauge('lockstep_conflicts_oldest_seconds', { sync }, Math.max(0, now - oldest) / 1000),
    ];
  });
};

const ofEndpoints = (all: readonly EndpointSample[]): readonly Sample[] => {
  const states = ['closed', 'half_open', 'open'] as const;
  const names = [...new Set(all.map((e) => e.endpoint))];
  return names.flatMap((endpoint): Sample[] => {
    const seen = all.filter((e) => e.endpoint === endpoint);
    const worst = Math.max(...seen.map((e) => states.indexOf(e.breaker)));
    return [
      gauge('lockstep_endpoint_latency_p95_seconds', { endpoint }, Math.max(...seen.map((e) => e.p95)) / 1000),
      ...states.map((state, i) => gauge('lockstep_circuit_state', { endpoint, state }, Number(i === worst))),
    ];
  });
};

/** Runs of each sync and kind that the success ratio is made of, at most. */
const runsEach = 200;

/** What the control store knows, as samples: the same from every process. */
export const installationSamples = async (
  store: {
    readonly monitoring: Monitoring;
    readonly alerts: Alerts;
    readonly conflicts: Pick<Conflicts, 'waitingBySync'>;
  },
  slos: ReadonlyMap<string, ServicePromise>,
  now: number,
  o: Cancel,
): Promise<readonly Sample[]> => {
  const { monitoring, alerts } = store;
  const window = Math.max(0, ...[...slos.values()].map((s) => s.windowMs));
  const [pairs, totals, runs, queue, quarantined, samples, sums, open, deliveries, proofs, waiting] = await Promise.all(
    [
      monitoring.pairs(o),
      monitoring.totals(o),
      monitoring.lastRuns(runsEach, o),
      monitoring.queue(o),
      monitoring.quarantined(o),
      monitoring.samples(now - silentMs, o),
      monitoring.measuredTotals(o),
      alerts.list({ states: ['pending', 'firing'], limit: 10_000 }, o),
      alerts.deliveries(o),
      window === 0 ? [] : monitoring.proofs(now - window, o),
      store.conflicts.waitingBySync(o),
    ],
  );
  const counted = new Map<string, number>();
  for (const a of open) {
    const key = JSON.stringify([a.rule, a.state]);
    counted.set(key, (counted.get(key) ?? 0) + 1);
  }
  return [
    ...ofPairs(pairs),
    ...quarantined.map((q) => gauge('lockstep_quarantined_rows', { sync: q.sync, pair: q.pair }, q.rows)),
    ...ofTotals(totals.filter((t) => !t.metric.startsWith('lockstep_run_duration_seconds'))),
    ...durations(totals),
    ...ofRuns(runs, now - day),
    ...ofConflicts(runs, waiting, now),
    gauge('lockstep_queue_depth', { state: 'queued' }, queue.queued),
    gauge('lockstep_queue_depth', { state: 'running' }, queue.running),
    gauge('lockstep_queue_oldest_age_seconds', {}, queue.oldest === null ? 0 : Math.max(0, now - queue.oldest) / 1000),
    ...ofEndpoints(samples),
    ...[...slos].flatMap(([sync, slo]) => [
      gauge('lockstep_slo_target_ratio', { sync }, slo.agree),
      gauge('lockstep_slo_verified_within_seconds', { sync }, slo.verifiedWithinMs / 1000),
    ]),
    ...serviceLevels(proofs, (sync) => slos.get(sync), now).flatMap(({ sync, pair, agreement, budgetLeft }) => [
      gauge('lockstep_slo_agreement_ratio', { sync, pair }, agreement),
      gauge('lockstep_slo_error_budget_remaining_ratio', { sync, pair }, budgetLeft),
    ]),
    ...sums.flatMap(({ metric, sync, sum, last, runs: n }) => [
      gauge('lockstep_business_last', { metric, sync }, Number(last)),
      gauge('lockstep_business_sum', { metric, sync }, Number(sum)),
      gauge('lockstep_business_runs', { metric, sync }, n),
    ]),
    ...[...counted].map(([key, n]) => {
      const [rule, state] = JSON.parse(key) as [string, string];
      return gauge('lockstep_alerts', { rule, state }, n);
    }),
    ...deliveries.map((d) => gauge('lockstep_alert_deliveries', { channel: d.channel, state: d.state }, d.count)),
  ];
};
