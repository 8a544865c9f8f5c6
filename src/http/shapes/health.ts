import { z } from 'zod';
import { Time } from './time.ts';

/** How something fares: all of it works, some of it, nothing. */
export const Fares = z.enum(['ok', 'degraded', 'down']);
export type Fares = z.infer<typeof Fares>;

/** The worst of several. */
export const worst = (all: readonly Fares[]): Fares =>
  all.includes('down') ? 'down' : all.includes('degraded') ? 'degraded' : 'ok';

const count = z.number().int();

export const Health = z
  .object({
    status: Fares.describe('down: nothing can be asked. degraded: some of it works, as `parts` say'),
    time: Time,
    uptime_seconds: z.number().int(),
    parts: z.object({
      control_store: z.object({
        status: Fares.describe('degraded: a replica answers, and nothing can be written'),
        latency_ms: z.number().nullable(),
      }),
      endpoints: z
        .object({ status: Fares, ok: count, degraded: count, down: count })
        .describe('ok: its secrets are there, and who used it last got to it, in any process'),
      queue: z
        .object({ status: Fares, queued: count, running: count, oldest_seconds: z.number().int().nullable() })
        .nullable()
        .describe('null: the control store does not answer'),
    }),
  })
  .meta({
    id: 'Health',
    examples: [
      {
        status: 'ok',
        time: '2026-11-21T12:00:00.000Z',
        uptime_seconds: 3600,
        parts: {
          control_store: { status: 'ok', latency_ms: 0.6 },
          endpoints: { status: 'ok', ok: 2, degraded: 0, down: 0 },
          queue: { status: 'ok', queued: 0, running: 1, oldest_seconds: null },
        },
      },
    ],
  });

export const Alive = z
  .object({ status: z.literal('ok'), uptime_seconds: z.number().int(), event_loop_delay_ms: z.number() })
  .meta({ id: 'Alive', examples: [{ status: 'ok', uptime_seconds: 3600, event_loop_delay_ms: 1.2 }] });

export const Ready = z
  .object({
    status: Fares,
    checks: z
      .array(z.object({ name: z.string(), status: Fares, message: z.string().nullable() }))
      .optional()
      .describe('With `?verbose`'),
  })
  .meta({
    id: 'Ready',
    examples: [{ status: 'ok', checks: [{ name: 'control_store', status: 'ok', message: null }] }],
  });

const Latency = {
  count,
  failed: count,
  mean_ms: z.number(),
  p50_ms: z.number(),
  p95_ms: z.number(),
  p99_ms: z.number(),
  max_ms: z.number(),
};
const latencyExample = { count: 120, failed: 0, mean_ms: 1.4, p50_ms: 1.1, p95_ms: 3.2, p99_ms: 6.1, max_ms: 9 };

export const latencyOf = (l: {
  readonly count: number;
  readonly failed: number;
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}) => ({
  count: l.count,
  failed: l.failed,
  mean_ms: l.mean,
  p50_ms: l.p50,
  p95_ms: l.p95,
  p99_ms: l.p99,
  max_ms: l.max,
});

const breaker = z.enum(['closed', 'open', 'half_open']);

export const DatabaseHealth = z
  .object({
    status: Fares,
    time: Time.describe('When they were asked; the answer is kept for some seconds'),
    control_store: z.object({
      status: Fares,
      latency_ms: z.number().nullable(),
      writable: z.boolean().nullable(),
      message: z.string().nullable(),
    }),
    endpoints: z.array(
      z.object({
        name: z.string(),
        engine: z.string().nullable(),
        version: z.string().nullable(),
        address: z.string().nullable(),
        status: Fares,
        message: z.string().nullable().describe('Why it is not ok'),
        latency_ms: z.number().nullable().describe('Of one connection and snapshot, made now'),
        calls: z.object(Latency).nullable().describe('Of the last minutes in this process'),
        pool: z.object({ open: count, max: count }).nullable(),
        breaker: z.object({ state: breaker, failures: count, retry_at: Time.nullable() }),
        elsewhere: z
          .array(z.object({ process: z.string(), breaker, failed: count, count, p95_ms: z.number() }))
          .describe('What workers and other servers have seen of it lately'),
        replication: z
          .object({ standby: z.boolean(), timeline: count, behind_ms: z.number().nullable() })
          .nullable()
          .describe('Of the server in use, where its engine knows'),
        replicas: z.array(
          z.object({
            address: z.string().nullable(),
            status: Fares,
            message: z.string().nullable(),
            behind_ms: z.number().nullable(),
            seen: Time,
          }),
        ),
        degraded_since: Time.nullable().describe('Since then a replica is read, and nothing can be written'),
        promoted: z.object({ since: Time, address: z.string() }).nullable().describe('A replica has taken its place'),
      }),
    ),
  })
  .meta({
    id: 'DatabaseHealth',
    examples: [
      {
        status: 'ok',
        time: '2026-11-21T12:00:00.000Z',
        control_store: { status: 'ok', latency_ms: 0.6, writable: true, message: null },
        endpoints: [
          {
            name: 'crm',
            engine: 'postgres',
            version: 'PostgreSQL 18.4',
            address: 'db2:5432',
            status: 'ok',
            message: null,
            latency_ms: 4.1,
            calls: latencyExample,
            pool: { open: 1, max: 8 },
            breaker: { state: 'closed', failures: 0, retry_at: null },
            elsewhere: [{ process: 'db1, process 4711', breaker: 'closed', failed: 0, count: 12, p95_ms: 3.1 }],
            replication: { standby: false, timeline: 1, behind_ms: null },
            replicas: [],
            degraded_since: null,
            promoted: null,
          },
        ],
      },
    ],
  });

const { count: _count, failed: _failed, ...times } = Latency;

export const Performance = z
  .object({
    time: Time,
    window_seconds: count.describe('Everything is of the last minutes: this long, at most twice as long'),
    routes: z.array(z.object({ method: z.string(), route: z.string(), ...Latency })),
    endpoints: z.array(z.object({ endpoint: z.string(), ...Latency })),
    calls: z.array(z.object({ endpoint: z.string(), call: z.string(), ...Latency })),
    statements: z
      .array(
        z.object({
          process: z.string().nullable().describe('null: this server'),
          endpoint: z.string(),
          sql: z.string().describe('Values left out'),
          count,
          rows: count,
          total_ms: z.number(),
          p50_ms: times.p50_ms,
          p95_ms: times.p95_ms,
          p99_ms: times.p99_ms,
          max_ms: times.max_ms,
        }),
      )
      .describe('Statements of ours, slowest first'),
  })
  .meta({
    id: 'Performance',
    examples: [
      {
        time: '2026-11-21T12:00:00.000Z',
        window_seconds: 300,
        routes: [{ method: 'GET', route: '/api/v1/runs', ...latencyExample }],
        endpoints: [{ endpoint: 'crm', ...latencyExample }],
        calls: [{ endpoint: 'crm', call: 'read.scan', ...latencyExample }],
        statements: [
          {
            process: 'db1, process 4711',
            endpoint: 'crm',
            sql: 'copy (select id from public.orders where id = ?) to stdout',
            count: 3,
            rows: 120,
            total_ms: 14,
            p50_ms: 4,
            p95_ms: 6,
            p99_ms: 6,
            max_ms: 6,
          },
        ],
      },
    ],
  });

export const ErrorGroups = z
  .object({
    since: Time,
    data: z.array(
      z.object({
        kind: z.string().describe('The code of the error'),
        where: z.enum(['runs', 'requests', 'endpoints']).describe('Where it was met'),
        count,
        first: Time,
        last: Time,
        example: z.object({
          message: z.string(),
          run: z.string().nullable(),
          sync: z.string().nullable(),
          subject: z.string().nullable().describe('The endpoint or route it was met at'),
        }),
      }),
    ),
  })
  .meta({
    id: 'ErrorGroups',
    examples: [
      {
        since: '2026-11-20T12:00:00.000Z',
        data: [
          {
            kind: 'CONNECT',
            where: 'runs',
            count: 12,
            first: '2026-11-21T11:00:00.000Z',
            last: '2026-11-21T11:58:00.000Z',
            example: {
              message: 'crm: nothing listens at db2:5432 (connection refused)',
              run: 'r_06dq2k8v4m7x3w',
              sync: 'subscriptions',
              subject: null,
            },
          },
        ],
      },
    ],
  });
