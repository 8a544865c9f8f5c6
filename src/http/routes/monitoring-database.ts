import { hostname } from 'node:os';
import { z } from 'zod';
import { LockstepError } from '../../model/errors.ts';
import type { EndpointSample } from '../../model/monitoring.ts';
import type { EndpointHealth, EndpointProbe, ReplicaHealth } from '../../service/endpoints.ts';
import type { Api, Routes } from '../api.ts';
import { faresOf } from '../endpoints-fare.ts';
import { DatabaseHealth, type Fares, latencyOf, worst } from '../shapes/health.ts';
import { timeOf, timeOrNull } from '../shapes/time.ts';
import { typed } from '../typed.ts';
import { keptFor, storeFares } from './health.ts';

/** An endpoint that does not answer within this is down. */
const probeMs = 5_000;
/** Whoever asks more often gets the same answer. */
const keptMs = 5_000;
const sampledMs = 60_000;

type Shown = z.infer<typeof DatabaseHealth>['endpoints'][number];

const probe = async (api: Api, name: string): Promise<EndpointProbe | LockstepError> => {
  const timeout = AbortSignal.timeout(probeMs);
  try {
    return await api.endpoints.probe(name, { signal: AbortSignal.any([api.signal, timeout]) });
  } catch (error) {
    if (timeout.aborted)
      return new LockstepError('CONNECT', `${name}: no answer within ${probeMs / 1000} s`, { side: name });
    if (error instanceof LockstepError) return error;
    return new LockstepError('INTERNAL', `${name}: could not be asked`, { cause: error });
  }
};

const replicaOf = (api: Api, r: ReplicaHealth): Shown['replicas'][number] => ({
  address: r.address ?? null,
  status: r.problem === undefined ? 'ok' : 'down',
  message: r.problem === undefined ? null : api.redactor.redact(r.problem),
  behind_ms: r.role?.behindMs ?? null,
  seen: timeOf(r.at),
});

const endpointOf = (
  api: Api,
  health: EndpointHealth,
  found: EndpointProbe | LockstepError,
  samples: readonly (EndpointSample & { readonly process: string })[],
): Shown => {
  const answered = found instanceof LockstepError ? undefined : found;
  const status: Fares = answered === undefined ? 'down' : faresOf(health) === 'down' ? 'degraded' : faresOf(health);
  const said = found instanceof LockstepError ? found.message : health.degraded?.reason;
  const calls = api.timings.endpoints().find((e) => e.endpoint === health.name);
  return {
    name: health.name,
    engine: health.engine ?? null,
    version: answered?.version ?? null,
    address: answered?.address ?? null,
    status,
    message: said === undefined ? null : api.redactor.redact(said),
    latency_ms: answered?.latencyMs ?? null,
    calls: calls === undefined ? null : latencyOf(calls),
    pool: answered?.connections ? { ...answered.connections } : null,
    breaker: { state: health.breaker, failures: health.failures, retry_at: timeOrNull(health.retryAt) },
    elsewhere: samples
      .filter((s) => s.endpoint === health.name && s.process !== `${hostname()}, process ${process.pid}`)
      .map((s) => ({ process: s.process, breaker: s.breaker, failed: s.failed, count: s.count, p95_ms: s.p95 })),
    replication: answered?.role
      ? { standby: answered.role.standby, timeline: answered.role.timeline, behind_ms: answered.role.behindMs }
      : null,
    replicas: health.replicas.map((r) => replicaOf(api, r)),
    degraded_since: timeOrNull(health.degraded?.since),
    promoted: health.promoted ? { since: timeOf(health.promoted.since), address: health.promoted.address } : null,
  };
};

const made = async (api: Api): Promise<z.infer<typeof DatabaseHealth>> => {
  const store = await storeFares(api);
  const names = Object.keys(api.config().endpoints);
  const found = new Map(await Promise.all(names.map(async (name) => [name, await probe(api, name)] as const)));
  const now = api.clock.now();
  const o = { signal: AbortSignal.any([api.signal, AbortSignal.timeout(probeMs)]) };
  const samples = store.status === 'down' ? [] : await api.store.monitoring.samples(now - sampledMs, o).catch(() => []);
  const endpoints = api.endpoints.health().flatMap((health) => {
    const answer = found.get(health.name);
    return answer === undefined ? [] : [endpointOf(api, health, answer, samples)];
  });
  const all = worst(endpoints.map((e) => e.status));
  return {
    status: store.status === 'down' ? 'down' : worst([store.status, all === 'ok' ? 'ok' : 'degraded']),
    time: timeOf(now),
    control_store: {
      status: store.status,
      latency_ms: store.latencyMs,
      writable: store.writable,
      message: store.message,
    },
    endpoints,
  };
};

/** The same page under two addresses: the second is the one that dashboards of others know. */
export const monitoringDatabase: Routes = (app, api) => {
  const current = keptFor(api, keptMs, () => made(api));
  for (const [url, operationId] of [
    ['/api/v1/monitoring/database/health', 'getDatabaseHealth'],
    ['/api/monitoring/database/health', 'getDatabaseHealthAlias'],
  ] as const)
    typed(app).get(
      url,
      {
        config: { scope: 'monitoring:read' },
        schema: {
          operationId,
          summary: 'Every database and API, asked now: latency, connections, breaker, replication',
          description: 'An endpoint whose breaker is open is not asked. The answer is kept for five seconds.',
          tags: ['monitoring'],
          querystring: z.object({}),
          response: { 200: DatabaseHealth },
        },
      },
      async (_request, reply) => {
        reply.header('cache-control', 'no-store');
        return current();
      },
    );
};
