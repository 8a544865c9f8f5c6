import { hostname } from 'node:os';
import { z } from 'zod';
import { parseDuration } from '../../config/units.ts';
import { windowMs } from '../../telemetry/timings.ts';
import type { Api, Routes } from '../api.ts';
import { HttpProblem } from '../errors.ts';
import { ErrorGroups, latencyOf, Performance } from '../shapes/health.ts';
import { timeOf } from '../shapes/time.ts';
import { typed } from '../typed.ts';

const thisProcess = `${hostname()}, process ${process.pid}`;
const statementsShown = 20;
const storeMs = 2_000;

const limited = (api: Api) => ({ signal: AbortSignal.any([api.signal, AbortSignal.timeout(storeMs)]) });

const performanceOf = async (api: Api): Promise<z.infer<typeof Performance>> => {
  const now = api.clock.now();
  const mine = api.timings.statements(statementsShown).map((s) => ({ ...s, process: null }));
  // what this process knows is told also while the store is away
  const others = await api.store.statements
    .slowest({ since: now - windowMs, limit: statementsShown, except: thisProcess }, limited(api))
    .catch(() => []);
  const statements = [...mine, ...others].sort((a, b) => b.p95 - a.p95).slice(0, statementsShown);
  const byP95 = <T extends { readonly p95: number }>(all: readonly T[]): readonly T[] =>
    [...all].sort((a, b) => b.p95 - a.p95);
  return {
    time: timeOf(now),
    window_seconds: windowMs / 1000,
    routes: byP95(api.timings.routes()).map((r) => ({ method: r.method, route: r.route, ...latencyOf(r) })),
    endpoints: byP95(api.timings.endpoints()).map((e) => ({ endpoint: e.endpoint, ...latencyOf(e) })),
    calls: byP95(api.timings.calls()).map((c) => ({ endpoint: c.endpoint, call: c.call, ...latencyOf(c) })),
    statements: statements.map((s) => ({
      process: s.process,
      endpoint: s.endpoint,
      sql: s.sql,
      count: s.count,
      rows: s.rows,
      total_ms: s.total,
      p50_ms: s.p50,
      p95_ms: s.p95,
      p99_ms: s.p99,
      max_ms: s.max,
    })),
  };
};

const errorsOf = async (api: Api, since: number): Promise<z.infer<typeof ErrorGroups>['data']> => {
  const runs = await api.store.failures(since, limited(api));
  const text = (message: string): string => api.redactor.redact(message);
  return [
    ...runs.map((f) => ({
      kind: f.code,
      where: 'runs' as const,
      count: f.count,
      first: timeOf(f.first),
      last: timeOf(f.last),
      example: { message: text(f.example.message), run: f.example.run, sync: f.example.sync, subject: null },
    })),
    ...api.failures.groups(since).map((g) => ({
      kind: g.kind,
      where: g.where,
      count: g.count,
      first: timeOf(g.first),
      last: timeOf(g.last.at),
      example: { message: text(g.last.message), run: null, sync: null, subject: g.last.subject },
    })),
  ].sort((a, b) => (a.last < b.last ? 1 : -1));
};

export const performance: Routes = (app, api) => {
  const routes = typed(app);
  for (const [url, operationId] of [
    ['/api/v1/monitoring/performance', 'getPerformance'],
    ['/api/monitoring/performance', 'getPerformanceAlias'],
  ] as const)
    routes.get(
      url,
      {
        config: { scope: 'monitoring:read' },
        schema: {
          operationId,
          summary: 'How long routes, databases and our statements took lately',
          description:
            'Routes and endpoints as this server saw them, statements also of workers and other servers. No values: statements are shown without theirs.',
          tags: ['monitoring'],
          querystring: z.object({}),
          response: { 200: Performance },
        },
      },
      async (_request, reply) => {
        reply.header('cache-control', 'no-store');
        return performanceOf(api);
      },
    );
  routes.get(
    '/api/v1/monitoring/errors',
    {
      config: { scope: 'monitoring:read', problems: [400] },
      schema: {
        operationId: 'listErrors',
        summary: 'What failed lately, by kind, with the last example of each',
        description: 'Failed runs from the control store; failures of requests and endpoints as this server met them.',
        tags: ['monitoring'],
        querystring: z.strictObject({
          window: z
            .string()
            .max(20)
            .optional()
            .describe('How far back, such as 1h or 7d. Default 24h')
            .meta({ examples: ['24h'] }),
        }),
        response: { 200: ErrorGroups },
      },
    },
    async ({ query }, reply) => {
      const ms = parseDuration(query.window ?? '24h');
      if (ms === undefined || ms <= 0 || ms > 366 * 86_400_000)
        throw new HttpProblem('PARAMETER', 'window is no duration such as 30m, 24h or 7d, up to a year', {
          errors: [{ pointer: '/query/window', detail: 'expected a duration such as 24h' }],
        });
      const since = api.clock.now() - ms;
      reply.header('cache-control', 'no-store');
      return { since: timeOf(since), data: await errorsOf(api, since) };
    },
  );
};
