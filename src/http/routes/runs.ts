import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Run as StoredRun } from '../../model/runs.ts';
import type { Api, Routes } from '../api.ts';
import { audited } from '../audited.ts';
import { cancelOf } from '../cancel.ts';
import { cursorsOf } from '../cursors.ts';
import { equalFilter, textFilter, timeFilter, wordFilter } from '../filters.ts';
import { maySee, visibleSyncs } from '../guard.ts';
import { idempotencyHeaders } from '../idempotency.ts';
import { listName, listOf, pageOf, pageQuery } from '../page.ts';
import { RunBody, runRequest } from '../run-body.ts';
import { Run, RunSummary, runKinds, runOf, runStates, summaryOf } from '../shapes/run.ts';
import { startRun } from '../start-run.ts';
import { typed } from '../typed.ts';

export const runParams = z.object({
  id: z
    .string()
    .min(1)
    .max(200)
    .describe('Id of the run')
    .meta({ examples: ['r_06dq2k8v4m7x3w'] }),
});

const query = z.strictObject({
  ...pageQuery,
  kind: wordFilter(runKinds).optional().describe('e.g. in.(diff,sync)'),
  state: wordFilter(runStates).optional().describe('e.g. eq.running'),
  sync: textFilter.optional().describe('e.g. eq.subscriptions'),
  plan: equalFilter.optional().describe('Runs that made or applied it: eq.p_…'),
  correlation: equalFilter.optional(),
  started: timeFilter.optional().describe('e.g. gte.2026-01-01'),
});

/** A run that the caller may know of. */
export const visibleRun = async (api: Api, request: FastifyRequest, id: string, o: Cancel): Promise<StoredRun> => {
  const run = await api.store.runs.get(id, o);
  // One that the caller may not know of is as one that is not there, in every word.
  const seen = run !== undefined && maySee(request.principal, run.sync) ? run : undefined;
  if (seen?.id === id) return seen;
  throw new LockstepError('NOT_FOUND', `There is no run ${id}.`, {
    hint: seen ? `Did you mean ${seen.id}?` : 'List them: GET /api/v1/runs',
  });
};

export const runs: Routes = (app, api) => {
  const cursors = cursorsOf(api);
  const routes = typed(app);
  routes.get(
    '/api/v1/runs',
    {
      config: { scope: 'runs:read', objects: 'checked' },
      schema: {
        operationId: 'listRuns',
        summary: 'Runs, newest first',
        tags: ['runs'],
        querystring: query,
        response: { 200: listOf(RunSummary) },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      const { limit, cursor, kind, state, sync, plan, correlation, started } = request.query;
      const sealed = await cursors(o);
      const only = visibleSyncs(request);
      const syncs = sync && only ? sync.filter((s) => only.includes(s)) : (sync ?? only);
      const found = await api.store.runs.list(
        {
          limit: limit + 1,
          ...(cursor === undefined ? {} : { before: sealed.open(listName(request), cursor, z.string()) }),
          ...(kind === undefined ? {} : { kinds: kind }),
          ...(state === undefined ? {} : { states: state }),
          ...(syncs === undefined ? {} : { syncs }),
          ...(plan === undefined ? {} : { plan }),
          ...(correlation === undefined ? {} : { correlation }),
          ...started,
        },
        o,
      );
      const { items, page } = pageOf(request, reply, { items: found, limit, cursors: sealed, position: (r) => r.id });
      return { data: items.map(summaryOf), page };
    },
  );
  routes.get(
    '/api/v1/runs/:id',
    {
      config: { scope: 'runs:read', objects: 'checked', etag: true, problems: [404] },
      schema: {
        operationId: 'getRun',
        summary: 'One run: its phases, and what it found and did',
        tags: ['runs'],
        params: runParams,
        response: { 200: Run },
      },
    },
    async (request, reply) =>
      runOf(request, await visibleRun(api, request, request.params.id, cancelOf(request, reply))),
  );
  routes.post(
    '/api/v1/runs',
    {
      config: { scope: 'runs:create', objects: 'checked', problems: [404, 409] },
      schema: {
        operationId: 'startRun',
        summary: 'Start a run',
        description:
          'Workers carry it out: follow `Location`, or the events. `diff`, `verify`, `assess` and `plan` write to no database of yours. `sync` and `copy` do, under their guards: they need an Idempotency-Key, and the scope syncs:operate, or plans:apply where guards are replaced or rows are copied. Plans are applied at /plans/{id}/apply, runs reverted at /changes/revert.',
        tags: ['runs'],
        headers: idempotencyHeaders,
        body: RunBody,
        response: { 200: Run, 202: Run },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      const { run, object, writes, scope } = runRequest(api.config(), request.body, (sync) =>
        maySee(request.principal, sync),
      );
      if (scope !== undefined && !request.principal.scopes.has(scope))
        throw new LockstepError('FORBIDDEN', `${request.principal.name} does not hold the scope ${scope}.`, {
          hint: `A run of kind ${run.kind} like this needs a token with ${scope}.`,
        });
      return startRun(api, request, reply, { ...o, run, object, writes });
    },
  );
  routes.post(
    '/api/v1/runs/:id/cancel',
    {
      config: { scope: 'syncs:operate', objects: 'checked', problems: [404, 409] },
      schema: {
        operationId: 'cancelRun',
        summary: 'Stop a run: its statements are cancelled in the databases',
        tags: ['runs'],
        params: runParams,
        response: { 202: Run },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      const { id, state } = await visibleRun(api, request, request.params.id, o);
      const run = await audited(
        api,
        request,
        { action: 'run.cancel', object: `runs/${id}`, before: { state } },
        o,
        () => api.desk.cancel(id, request.principal.name, o),
      );
      reply.code(202);
      return runOf(request, run);
    },
  );
};
