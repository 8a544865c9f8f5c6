import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Cancel } from '../../model/cancel.ts';
import type { Api, Routes } from '../api.ts';
import { audited } from '../audited.ts';
import { cancelOf } from '../cancel.ts';
import { maySee } from '../guard.ts';
import { idempotencyHeaders } from '../idempotency.ts';
import { Run, summaryOf, verdictOf } from '../shapes/run.ts';
import { Sync, SyncStatus, syncOf } from '../shapes/sync.ts';
import { timeOf, timeOrNull } from '../shapes/time.ts';
import { startRun } from '../start-run.ts';
import { syncNamed, syncParams } from '../sync-named.ts';
import { typed } from '../typed.ts';

/** Who has paused which sync. */
const pausedOf = async (api: Api, o: Cancel): Promise<ReadonlyMap<string, { by: string; since: string }>> =>
  new Map((await api.store.paused(o)).map(({ sync, by, since }) => [sync, { by, since: timeOf(since) }]));

/** What whoever is on call asks first. */
const statusOf = async (api: Api, name: string, o: Cancel): Promise<z.infer<typeof SyncStatus>> => {
  const { runs, listings, quarantine, schedules } = api.store;
  const ended = { sync: name, states: ['done', 'failed', 'cancelled'] as const, limit: 1 };
  const [paused, open, last, compared, shown, quarantined, scheduled, [waits]] = await Promise.all([
    pausedOf(api, o),
    runs.list({ sync: name, states: ['queued', 'running'], limit: 100 }, o),
    runs.list(ended, o),
    runs.list({ sync: name, states: ['done'], kinds: ['diff', 'sync', 'verify'], limit: 1 }, o),
    listings.comparison(name, o),
    quarantine.count({ sync: name }, o),
    schedules.list(o),
    api.store.waits.waiting({ ...o, sync: name }),
  ]);
  const proof = compared[0];
  const asOf = proof?.finished ?? null;
  return {
    sync: name,
    verdict: proof ? verdictOf(proof) : null,
    as_of: timeOrNull(asOf),
    age_seconds: asOf === null ? null : Math.max(0, api.clock.now() - asOf) / 1000,
    differences: shown === undefined ? null : { ...shown.counts, as_of: timeOf(shown.at) },
    paused: paused.get(name) ?? null,
    awaits_approval:
      waits === undefined
        ? null
        : {
            plan: waits.plan,
            run: waits.run,
            required: waits.required,
            since: timeOf(waits.since),
            expires: timeOf(waits.expires),
          },
    running: open.filter((r) => r.state === 'running').map(summaryOf),
    queued: open.filter((r) => r.state === 'queued').map(summaryOf),
    last_run: last[0] ? summaryOf(last[0]) : null,
    next_run: timeOrNull(scheduled.find((s) => s.sync === name)?.next),
    quarantined,
  };
};

export const syncs: Routes = (app, api) => {
  const routes = typed(app);
  const one = async (request: FastifyRequest, name: string, o: Cancel): Promise<z.infer<typeof Sync>> =>
    syncOf(syncNamed(api, request, name), (await pausedOf(api, o)).get(name) ?? null);
  routes.get(
    '/api/v1/syncs',
    {
      config: { scope: 'syncs:read', objects: 'checked' },
      schema: {
        operationId: 'listSyncs',
        summary: 'The syncs of the configuration',
        tags: ['syncs'],
        querystring: z.strictObject({}),
        response: { 200: z.object({ data: z.array(Sync) }) },
      },
    },
    async (request, reply) => {
      const paused = await pausedOf(api, cancelOf(request, reply));
      const known = Object.values(api.config().syncs).filter(({ name }) => maySee(request.principal, name));
      return { data: known.map((sync) => syncOf(sync, paused.get(sync.name) ?? null)) };
    },
  );
  routes.get(
    '/api/v1/syncs/:name',
    {
      config: { scope: 'syncs:read', objects: 'checked', etag: true, problems: [404] },
      schema: {
        operationId: 'getSync',
        summary: 'One sync as it is configured',
        tags: ['syncs'],
        params: syncParams,
        response: { 200: Sync },
      },
    },
    async (request, reply) => one(request, request.params.name, cancelOf(request, reply)),
  );
  routes.get(
    '/api/v1/syncs/:name/status',
    {
      config: { scope: 'syncs:read', objects: 'checked', problems: [404] },
      schema: {
        operationId: 'getSyncStatus',
        summary: 'How a sync fares: verdict, age, differences, runs, quarantine',
        tags: ['syncs'],
        params: syncParams,
        response: { 200: SyncStatus },
      },
    },
    async (request, reply) =>
      statusOf(api, syncNamed(api, request, request.params.name).name, cancelOf(request, reply)),
  );
  for (const action of ['pause', 'resume'] as const)
    routes.post(
      `/api/v1/syncs/:name/${action}`,
      {
        config: { scope: 'syncs:operate', objects: 'checked', problems: [404] },
        schema: {
          operationId: `${action}Sync`,
          summary: action === 'pause' ? 'Start no runs of it until it is resumed' : 'Let it run again',
          tags: ['syncs'],
          params: syncParams,
          response: { 200: Sync },
        },
      },
      async (request, reply) => {
        const o = cancelOf(request, reply);
        const { name } = syncNamed(api, request, request.params.name);
        await audited(api, request, { action: `sync.${action}`, object: `syncs/${name}` }, o, () =>
          api.desk[action](name, request.principal.name, o),
        );
        return one(request, name, o);
      },
    );
  routes.post(
    '/api/v1/syncs/:name/run',
    {
      config: { scope: 'syncs:operate', objects: 'checked', problems: [400, 404, 409, 422] },
      schema: {
        operationId: 'runSync',
        summary: 'Run it now, as its schedule would',
        description:
          'A sync that writes is compared, planned, applied and verified under its guards, and needs an Idempotency-Key; one with `mode: compare` is compared.',
        tags: ['syncs'],
        params: syncParams,
        headers: idempotencyHeaders,
        response: { 200: Run, 202: Run },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      const { name, mode } = syncNamed(api, request, request.params.name);
      const writes = mode !== 'compare';
      const run = { kind: writes ? ('sync' as const) : ('diff' as const), sync: name };
      return startRun(api, request, reply, { ...o, run, object: `syncs/${name}`, writes });
    },
  );
};
