import { z } from 'zod';
import { parseDuration } from '../../config/units.ts';
import { rowsTogether } from '../../model/differing-share.ts';
import type { PairState, RunSummary } from '../../model/monitoring.ts';
import { type ServiceLevel, serviceLevels } from '../../telemetry/service-level.ts';
import type { Routes } from '../api.ts';
import { cancelOf } from '../cancel.ts';
import { textFilter } from '../filters.ts';
import { visibleSyncs } from '../guard.ts';
import { Time, timeOf, timeOrNull } from '../shapes/time.ts';
import { typed } from '../typed.ts';

const share = z.number().min(0).max(1);
const count = z.number().int().min(0);

const Health = z.object({
  last_sync_time: Time.nullable().describe('End of the last run that is done, in the window'),
  runs: count,
  failed: count,
  success_rate: share.nullable().describe('Of the runs that ended, cancelled ones left out; null: there was none'),
  error_rate: share.nullable(),
  average_duration_ms: z.number().nullable().describe('Of the runs that are done'),
});
const Quality = z.object({
  total_records: count.describe('Rows of the sources when they were compared last'),
  synced_records: count.describe('Of these, rows that agree, as far as the last runs know'),
  differing_records: count,
  completeness: share.nullable().describe('Share of the records that agree; null: nothing was compared'),
  coverage: share.nullable().describe('Share of the pairs of which everything was compared'),
  drift: share
    .nullable()
    .describe('Share of the records that differed when they were compared, before anything was written'),
  conflicts_detected: count.describe('Found in the window'),
  conflicts_resolved: count.describe('Of these, those that wait no more: a policy or a person chose, or they are gone'),
  conflicts_waiting: count.describe('For a person, whenever they were found'),
  rejected_records: count.describe('Refused by the target'),
  quarantined_records: count,
  oldest_proof: Time.nullable().describe('The pair that was proved to agree longest ago; null: one never was'),
});
const Performance = z.object({
  records_processed: count,
  changes: count.describe('Rows written'),
  throughput_per_second: z.number().describe('Records per second of run time'),
});
const Level = z.object({
  pair: z.string(),
  agreement: share.describe('Share of the time in which it was proved to agree'),
  target: share,
  error_budget_left: z.number().describe('Share of the allowed time without proof; below 0: more was used'),
});

const Summary = z
  .object({
    at: Time,
    window: z.string(),
    since: Time,
    sync_health: Health,
    data_quality: Quality,
    performance: Performance.extend({
      latency_p95_ms: z.number().nullable().describe('Of calls to the slowest endpoint, in the last minutes'),
      queue_depth: count,
      queue_oldest_age_ms: count,
      running: count,
    }),
    alerts: z.object({ firing: count, pending: count }),
    business: z.array(
      z.object({
        metric: z.string(),
        sync: z.string(),
        sum: z.string().describe('Over the window, exact'),
        last: z.string(),
        last_at: Time,
        runs: count,
      }),
    ),
    syncs: z.array(
      z.object({
        sync: z.string(),
        sync_health: Health,
        data_quality: Quality,
        performance: Performance,
        service_levels: z.array(Level),
      }),
    ),
  })
  .meta({ id: 'MonitoringSummary' });

type Of<T extends z.ZodType> = z.infer<T>;

const add = <T>(items: readonly T[], value: (item: T) => number): number =>
  items.reduce((n, item) => n + value(item), 0);

const healthOf = (all: readonly RunSummary[]): Of<typeof Health> => {
  const done = add(all, (s) => s.done);
  const failed = add(all, (s) => s.failed);
  const ended = done + failed;
  const last = Math.max(...all.map((s) => s.last ?? 0), 0);
  return {
    last_sync_time: last === 0 ? null : timeOf(last),
    runs: add(all, (s) => s.runs),
    failed,
    success_rate: ended === 0 ? null : done / ended,
    error_rate: ended === 0 ? null : failed / ended,
    average_duration_ms: done === 0 ? null : Math.round(add(all, (s) => s.durationMs * s.done) / done),
  };
};

const qualityOf = (
  pairs: readonly PairState[],
  all: readonly RunSummary[],
  conflicts: ConflictCounts,
  quarantined: number,
): Of<typeof Quality> => {
  const total = add(pairs, (p) => p.rows.source);
  const left = add(pairs, (p) => p.left);
  const together = add(pairs, rowsTogether);
  const found = add(pairs, (p) => p.found.different + p.found.only_in_source + p.found.only_in_target);
  const proved = pairs.map((p) => p.verifiedAt);
  const ratio = (n: number): number => Math.min(1, Math.max(0, n));
  return {
    total_records: total,
    synced_records: Math.max(0, total - add(pairs, (p) => Math.min(p.left, p.rows.source))),
    differing_records: left,
    completeness: pairs.length === 0 ? null : together === 0 ? 1 : ratio(1 - left / together),
    coverage: pairs.length === 0 ? null : pairs.filter((p) => p.complete).length / pairs.length,
    drift: pairs.length === 0 ? null : together === 0 ? Number(found > 0) : ratio(found / together),
    conflicts_detected: conflicts.found,
    conflicts_resolved: conflicts.settled,
    conflicts_waiting: conflicts.pending,
    rejected_records: add(all, (s) => s.rejected),
    quarantined_records: quarantined,
    oldest_proof:
      pairs.length === 0 || proved.includes(null) ? null : timeOrNull(Math.min(...(proved as readonly number[]))),
  };
};

interface ConflictCounts {
  readonly found: number;
  readonly settled: number;
  readonly pending: number;
}

const performanceOf = (all: readonly RunSummary[]): Of<typeof Performance> => {
  const rows = add(all, (s) => s.rows);
  const seconds = add(all, (s) => (s.durationMs * s.done) / 1000);
  return {
    records_processed: rows,
    changes: add(all, (s) => s.changes),
    throughput_per_second: seconds === 0 ? 0 : Math.round((rows / seconds) * 100) / 100,
  };
};

const levelOf = (l: ServiceLevel): Of<typeof Level> => ({
  pair: l.pair,
  agreement: l.agreement,
  target: l.target,
  error_budget_left: l.budgetLeft,
});

const windowPattern = /^\d+(\.\d+)?(s|m|h|d)$/;
const longestMs = 366 * 86_400_000;

export const summary: Routes = (app, api) => {
  typed(app).get(
    '/api/v1/monitoring/summary',
    {
      config: { scope: 'monitoring:read', objects: 'checked' },
      schema: {
        operationId: 'getMonitoringSummary',
        summary: 'How the syncs fare: health, quality of the data, performance',
        description: 'Runs that ended in the window; records as they were when they were compared last.',
        tags: ['monitoring'],
        querystring: z.strictObject({
          window: z
            .string()
            .regex(windowPattern, { error: 'expected a time such as 1h, 24h or 7d' })
            .refine((text) => (parseDuration(text) ?? Number.POSITIVE_INFINITY) <= longestMs, { error: 'at most 366d' })
            .default('24h')
            .describe('How far back runs count')
            .meta({ examples: ['24h'] }),
          sync: textFilter.optional().describe('e.g. eq.subscriptions'),
        }),
        response: { 200: Summary },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      const { monitoring, alerts, conflicts } = api.store;
      const now = api.clock.now();
      const since = now - parseDuration(request.query.window)!;
      const only = visibleSyncs(request);
      const seen = (sync: string | null): sync is string =>
        sync !== null &&
        Object.hasOwn(config.syncs, sync) &&
        (only === undefined || only.includes(sync)) &&
        (request.query.sync === undefined || request.query.sync.includes(sync));
      const config = api.config();
      const slos = new Map(Object.values(config.syncs).map((s) => [s.name, s.slo]));
      const longest = Math.max(0, ...[...slos.values()].map((s) => s?.windowMs ?? 0));
      const [pairs, summaries, tallies, waiting, quarantined, queue, samples, sums, open, proofs] = await Promise.all([
        monitoring.pairs(o),
        monitoring.summaries(since, o),
        conflicts.tally(since, o),
        conflicts.waitingBySync(o),
        monitoring.quarantined(o),
        monitoring.queue(o),
        monitoring.samples(now - 60_000, o),
        monitoring.measuredSums(since, o),
        alerts.list({ states: ['pending', 'firing'], limit: 10_000 }, o),
        longest === 0 ? [] : monitoring.proofs(now - longest, o),
      ]);
      const levels = serviceLevels(proofs, (sync) => slos.get(sync), now);
      const syncs = Object.keys(config.syncs).filter(seen);
      const invalid = (sync: string): number =>
        add(
          quarantined.filter((q) => q.sync === sync),
          (q) => q.rows,
        );
      const conflictsOf = (some: readonly string[]): ConflictCounts => {
        const of = tallies.filter((t) => some.includes(t.sync));
        return {
          found: add(of, (t) => t.found),
          settled: add(of, (t) => t.settled),
          pending: add(
            waiting.filter((w) => some.includes(w.sync)),
            (w) => w.pending,
          ),
        };
      };
      const mine = summaries.filter((s) => seen(s.sync));
      const told = open.filter((a) => (only === undefined && request.query.sync === undefined) || seen(a.sync));
      return {
        at: timeOf(now),
        window: request.query.window,
        since: timeOf(since),
        sync_health: healthOf(mine),
        data_quality: qualityOf(
          pairs.filter((p) => seen(p.sync)),
          mine,
          conflictsOf(syncs),
          add(syncs, invalid),
        ),
        performance: {
          ...performanceOf(mine),
          latency_p95_ms: samples.length === 0 ? null : Math.max(...samples.map((s) => s.p95)),
          queue_depth: queue.queued,
          queue_oldest_age_ms: queue.oldest === null ? 0 : Math.max(0, now - queue.oldest),
          running: queue.running,
        },
        alerts: {
          firing: told.filter((a) => a.state === 'firing').length,
          pending: told.filter((a) => a.state === 'pending').length,
        },
        business: sums
          .filter((m) => seen(m.sync))
          .map((m) => ({
            metric: m.metric,
            sync: m.sync,
            sum: m.sum,
            last: m.last,
            last_at: timeOf(m.lastAt),
            runs: m.runs,
          })),
        syncs: syncs.map((sync) => {
          const own = summaries.filter((s) => s.sync === sync);
          return {
            sync,
            sync_health: healthOf(own),
            data_quality: qualityOf(
              pairs.filter((p) => p.sync === sync),
              own,
              conflictsOf([sync]),
              invalid(sync),
            ),
            performance: performanceOf(own),
            service_levels: levels.filter((l) => l.sync === sync).map(levelOf),
          };
        }),
      };
    },
  );
};
