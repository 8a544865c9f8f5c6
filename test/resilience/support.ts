import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { scopes } from '../../src/access/scopes.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { engineNames, engineOfUrl, loadEngine } from '../../src/engines/registry.ts';
import { buildApp } from '../../src/http/app.ts';
import { allRoutes } from '../../src/http/routes.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { redactor } from '../../src/lib/redact.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { ColumnType, Table } from '../../src/model/schema.ts';
import type { ServiceStore } from '../../src/model/service-store.ts';
import { connectSide } from '../../src/service/connect.ts';
import type { Endpoints } from '../../src/service/endpoints.ts';
import type { BreakerChange } from '../../src/service/endpoints-breaker.ts';
import { type EndpointsOptions, openEndpoints } from '../../src/service/endpoints-open.ts';
import { openFailures } from '../../src/telemetry/failures.ts';
import { openTimings, type Timings } from '../../src/telemetry/timings.ts';

export const o = { signal: new AbortController().signal };

/** The endpoints of a configuration, as a service has them. */
export const endpointsOf = async (
  yaml: string,
  more: Pick<EndpointsOptions, 'known'> = {},
): Promise<
  AsyncDisposable & {
    readonly endpoints: Endpoints;
    readonly config: Config;
    readonly timings: Timings;
    readonly changes: (BreakerChange & { readonly name: string })[];
  }
> => {
  const home = mkdtempSync(join(tmpdir(), 'lockstep-endpoints-'));
  writeFileSync(join(home, 'lockstep.yaml'), yaml);
  const config = await loadConfig(join(home, 'lockstep.yaml'), { cwd: home, env: {} });
  const doors = { engines: { names: engineNames, ofUrl: engineOfUrl, load: loadEngine }, redactor: redactor() };
  const timings = openTimings(systemClock);
  const changes: (BreakerChange & { readonly name: string })[] = [];
  const endpoints = openEndpoints({
    config: () => config,
    connect: (side, signal) => connectSide(doors, side, signal),
    changed: (name, change) => changes.push({ name, ...change }),
    clock: systemClock,
    random: Math.random,
    timings,
    ...more,
  });
  return {
    endpoints,
    config,
    timings,
    changes,
    [Symbol.asyncDispose]: async () => {
      await endpoints[Symbol.asyncDispose]();
      rmSync(home, { recursive: true, force: true });
    },
  };
};

/** The API as somebody who may do everything sees it, without a server. */
export const apiOver = async (
  store: ServiceStore,
  x: Pick<Awaited<ReturnType<typeof endpointsOf>>, 'endpoints' | 'config' | 'timings'>,
): Promise<FastifyInstance> => {
  const { app } = await buildApp(
    {
      version: '0',
      store,
      desk: store.desk,
      endpoints: x.endpoints,
      events: store.events,
      config: () => x.config,
      timings: x.timings,
      failures: openFailures(),
      clock: systemClock,
      redactor: redactor(),
      signal: o.signal,
    },
    {
      routes: allRoutes,
      access: (adding) =>
        void adding.addHook('onRequest', async (request) => {
          request.principal = { name: 'tester', scopes: new Set(scopes), claims: {} };
        }),
    },
  );
  return app;
};

/** A table `t` of a memory database. */
export const idsTable: Table = {
  name: 't',
  kind: 'table',
  columns: [{ name: 'id', type: { kind: 'int', bits: 32 } as ColumnType, native: 'integer', nullable: false }],
  uniques: [{ name: 't_pkey', columns: ['id'], primary: true, total: true }],
  foreignKeys: [],
  triggers: [],
  indexes: [],
};

/** The cells of a table `t` with the one column `id`, as this connection sees them. */
export const idsOf = async (endpoint: Endpoint): Promise<readonly (string | null)[]> => {
  const schema = await endpoint.inspect(o);
  const table = schema.tables.find((t) => t.name === 't')!;
  const { name, type } = table.columns[0]!;
  await using reader = await endpoint.snapshot(o);
  const ids: (string | null)[] = [];
  const selection = { table, columns: [{ name, stored: type, as: type }], keyWidth: 1 };
  for await (const batch of reader.scan(selection, { kind: 'all' }, o))
    for (const row of batch) ids.push(row[0] as string);
  return ids;
};

/** Asks again until it is so; the test's own time-out ends it. */
export const until = async (so: () => Promise<boolean>): Promise<void> => {
  while (!(await so())) await new Promise((resolve) => setTimeout(resolve, 50));
};
