import { monitorEventLoopDelay } from 'node:perf_hooks';
import { z } from 'zod';
import type { Api, Routes } from '../api.ts';
import { endpointsFare } from '../endpoints-fare.ts';
import { Alive, type Fares, Health, Ready, worst } from '../shapes/health.ts';
import { timeOf } from '../shapes/time.ts';
import { typed } from '../typed.ts';

/** The control store answers within this, or counts as away. */
const storeMs = 2_000;
/** Anybody may ask: the databases are asked at most this often. */
const keptMs = 1_000;
/** A queued run that waits longer shows that too few are at work. */
const waitingMs = 300_000;

export interface StoreFares {
  readonly status: Fares;
  readonly latencyMs: number | null;
  readonly writable: boolean | null;
  readonly message: string | null;
}

/** Asks the control store how it is. */
export const storeFares = async (api: Api): Promise<StoreFares> => {
  try {
    const { writable, latencyMs } = await api.store.state({
      signal: AbortSignal.any([api.signal, AbortSignal.timeout(storeMs)]),
    });
    const message = writable ? null : 'only a replica answers: what is there can be read, nothing can be written';
    return { status: writable ? 'ok' : 'degraded', latencyMs, writable, message };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { status: 'down', latencyMs: null, writable: null, message: api.redactor.redact(text) };
  }
};

/** The same answer for a while, made once for all who ask meanwhile. */
export const keptFor = <T>(api: Pick<Api, 'clock'>, ms: number, make: () => Promise<T>): (() => Promise<T>) => {
  let made: { readonly at: number; readonly answer: Promise<T> } | undefined;
  return () => {
    const now = api.clock.elapsed();
    if (made === undefined || now - made.at >= ms) made = { at: now, answer: make() };
    const mine = made;
    mine.answer.catch(() => {
      if (made === mine) made = undefined;
    });
    return mine.answer;
  };
};

const made = async (api: Api, began: number): Promise<z.infer<typeof Health>> => {
  const store = await storeFares(api);
  const there = store.status !== 'down';
  const now = api.clock.now();
  const o = { signal: AbortSignal.any([api.signal, AbortSignal.timeout(storeMs)]) };
  const all = await endpointsFare(api, there, o.signal);
  const queue = there ? await api.store.monitoring.queue(o).catch(() => undefined) : undefined;
  const waits = queue?.oldest == null ? null : Math.max(0, now - queue.oldest);
  const backlog: Fares = waits !== null && waits > waitingMs ? 'degraded' : 'ok';
  const several = worst(all) === 'ok' ? 'ok' : all.every((f) => f === 'down') ? 'down' : 'degraded';
  const others = worst([store.status, several, backlog]) === 'ok' ? 'ok' : 'degraded';
  return {
    // a database of a user that is away leaves the rest of the service as it is
    status: store.status === 'down' ? 'down' : others,
    time: timeOf(now),
    uptime_seconds: Math.floor((api.clock.elapsed() - began) / 1000),
    parts: {
      control_store: { status: store.status, latency_ms: store.latencyMs },
      endpoints: {
        status: several,
        ok: all.filter((f) => f === 'ok').length,
        degraded: all.filter((f) => f === 'degraded').length,
        down: all.filter((f) => f === 'down').length,
      },
      queue:
        queue === undefined
          ? null
          : {
              status: backlog,
              queued: queue.queued,
              running: queue.running,
              oldest_seconds: waits === null ? null : Math.floor(waits / 1000),
            },
    },
  };
};

export const health: Routes = (app, api) => {
  const began = api.clock.elapsed();
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  app.addHook('onClose', async () => void delay.disable());
  const routes = typed(app);
  const current = keptFor(api, keptMs, () => made(api, began));
  const store = keptFor(api, keptMs, () => storeFares(api));

  routes.get(
    '/livez',
    {
      // a limit would have the process restarted, or left without requests
      config: { scope: 'public', rateLimit: false },
      schema: {
        operationId: 'getLiveness',
        summary: 'This process lives: its event loop turns',
        description: 'Asks nothing else. When it does not answer, restart the process.',
        tags: ['monitoring'],
        querystring: z.object({}),
        response: { 200: Alive },
      },
    },
    async () => {
      const ms = Math.round((delay.percentile(99) / 1e6) * 10) / 10;
      delay.reset();
      return {
        status: 'ok' as const,
        uptime_seconds: Math.floor((api.clock.elapsed() - began) / 1000),
        event_loop_delay_ms: Number.isFinite(ms) ? ms : 0,
      };
    },
  );

  routes.get(
    '/readyz',
    {
      config: { scope: 'public', rateLimit: false, problems: [] },
      schema: {
        operationId: 'getReadiness',
        summary: 'This server can answer: its control store is there, migrated, and the configuration is read',
        description: '503 when it cannot. The databases of the configuration do not matter here: see `/health`.',
        tags: ['monitoring'],
        querystring: z.object({ verbose: z.string().optional().describe('Say what was checked') }),
        response: { 200: Ready, 503: Ready },
      },
    },
    async ({ query }, reply) => {
      const { status, writable } = await store();
      const configured = Object.keys(api.config().endpoints).length;
      reply.code(status === 'down' ? 503 : 200).header('cache-control', 'no-store');
      if (query.verbose === undefined) return { status };
      const message =
        status === 'down' ? 'does not answer' : writable === false ? 'only a replica answers: no writes' : null;
      return {
        status,
        checks: [
          { name: 'control_store', status, message },
          // it is opened only when they are done
          { name: 'migrations', status: 'ok' as const, message: null },
          { name: 'configuration', status: 'ok' as const, message: `${configured} endpoints` },
        ],
      };
    },
  );

  routes.get(
    '/health',
    {
      config: { scope: 'public', problems: [] },
      schema: {
        operationId: 'getHealth',
        summary: 'How the service fares as a whole, and its parts',
        description:
          '503 when the control store is away; degraded is 200. Names and reasons are told to who may read `/api/v1/monitoring/database/health`.',
        tags: ['monitoring'],
        querystring: z.object({}),
        response: { 200: Health, 503: Health },
      },
    },
    async (_request, reply) => {
      const answer = await current();
      reply.code(answer.status === 'down' ? 503 : 200).header('cache-control', 'no-store');
      return answer;
    },
  );
};
