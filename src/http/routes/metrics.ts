import { z } from 'zod';
import type { CacheState } from '../../cache/answers.ts';
import type { Slo } from '../../config/alerts.ts';
import type { MetricName } from '../../telemetry/catalogue.ts';
import { exposition, type Sample } from '../../telemetry/exposition.ts';
import { installationSamples } from '../../telemetry/installation.ts';
import { processMetrics } from '../../telemetry/process-metrics.ts';
import type { Routes } from '../api.ts';
import { cancelOf } from '../cancel.ts';
import { typed } from '../typed.ts';

/** Of the cache of records, where there is one. */
export const cacheSamples = (state: CacheState | undefined): readonly Sample[] => {
  if (state === undefined) return [];
  const { outcomes, entries, bytes, redis } = state;
  const one = (metric: MetricName, value: number): Sample => ({ metric, labels: {}, value });
  return [
    ...Object.entries(outcomes).map(
      ([outcome, value]): Sample => ({ metric: 'lockstep_cache_requests_total', labels: { outcome }, value }),
    ),
    one('lockstep_cache_entries', entries),
    one('lockstep_cache_bytes', bytes),
    ...(redis === undefined
      ? []
      : [one('lockstep_cache_redis_up', redis.up ? 1 : 0), one('lockstep_cache_redis_failures_total', redis.failures)]),
  ];
};

/** Several who ask at once, or often, are told the same: the control store is not asked more often than this. */
const freshMs = 1000;
const storeMs = 8000;

export const metrics: Routes = (app, api) => {
  const own = processMetrics(api.timings, api.version);
  app.addHook('onClose', async () => own[Symbol.dispose]());
  let last: { readonly at: number; readonly samples: Promise<readonly Sample[]> } | undefined;
  const ofStore = (): Promise<readonly Sample[]> => {
    const now = api.clock.now();
    if (last !== undefined && now - last.at < freshMs && now >= last.at) return last.samples;
    const slos = new Map<string, Slo>(
      Object.values(api.config().syncs).flatMap((s) => (s.slo === undefined ? [] : [[s.name, s.slo] as const])),
    );
    const signal = AbortSignal.any([api.signal, AbortSignal.timeout(storeMs)]);
    const samples = installationSamples(api.store, slos, now, { signal }).then(
      (all): readonly Sample[] => [{ metric: 'lockstep_store_up', labels: {}, value: 1 }, ...all],
      // What can be told without the store is told: that it is away is the news.
      (): readonly Sample[] => [{ metric: 'lockstep_store_up', labels: {}, value: 0 }],
    );
    last = { at: now, samples };
    return samples;
  };
  typed(app).get(
    '/metrics',
    {
      config: {
        scope: api.config().publicMetrics() ? 'public' : 'monitoring:read',
        produces: ['text/plain'],
      },
      schema: {
        operationId: 'getMetrics',
        summary: 'Metrics for Prometheus',
        description:
          'Those of the installation come from the control store, so every server says the same; those of the process are its own. docs/reference/metrics.md lists them.',
        tags: ['monitoring'],
        response: { 200: z.string().meta({ examples: ['lockstep_queue_depth{state="queued"} 0\n'] }) },
      },
    },
    async (request, reply) => {
      cancelOf(request, reply);
      const [samples, text] = await Promise.all([ofStore(), own.text()]);
      return reply
        .header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
        .header('cache-control', 'no-store')
        .send(`${exposition([...samples, ...cacheSamples(api.cache?.state())])}${text}`);
    },
  );
};
