import { z } from 'zod';
import { LockstepError } from '../../model/errors.ts';
import type { EndpointHealth } from '../../service/endpoints.ts';
import type { Api, Routes } from '../api.ts';
import { Time, timeOf, timeOrNull } from '../shapes/time.ts';
import { typed } from '../typed.ts';

const Endpoint = z
  .object({
    name: z.string(),
    engine: z.string().nullable().describe('null: not connected yet'),
    writable: z.boolean(),
    breaker: z.enum(['closed', 'open', 'half_open']).describe('open: it failed too often and is left alone'),
    retry_at: Time.nullable(),
    degraded: z.object({ since: Time, reason: z.string() }).nullable().describe('A replica is read: no writes'),
    last_error: z.object({ at: Time, code: z.string(), message: z.string() }).nullable(),
    syncs: z.array(z.string()),
  })
  .meta({
    id: 'Endpoint',
    examples: [
      {
        name: 'crm',
        engine: 'postgres',
        writable: true,
        breaker: 'closed',
        retry_at: null,
        degraded: null,
        last_error: null,
        syncs: ['subscriptions'],
      },
    ],
  });

const endpointOf = (api: Api, health: EndpointHealth): z.infer<typeof Endpoint> => ({
  name: health.name,
  engine: health.engine ?? null,
  writable: health.writable,
  breaker: health.breaker,
  retry_at: timeOrNull(health.retryAt),
  degraded: health.degraded ? { since: timeOf(health.degraded.since), reason: health.degraded.reason } : null,
  last_error: health.lastError
    ? {
        at: timeOf(health.lastError.at),
        code: health.lastError.code,
        message: api.redactor.redact(health.lastError.message),
      }
    : null,
  syncs: Object.values(api.config().syncs)
    .filter((s) => s.source === health.name || s.target === health.name)
    .map((s) => s.name),
});

export const endpoints: Routes = (app, api) => {
  const routes = typed(app);
  routes.get(
    '/api/v1/endpoints',
    {
      config: { scope: 'endpoints:read' },
      schema: {
        operationId: 'listEndpoints',
        summary: 'The databases and APIs of the configuration, and how they fare',
        description: 'Says what is known without asking them. Addresses and passwords are not told.',
        tags: ['endpoints'],
        querystring: z.strictObject({}),
        response: { 200: z.object({ data: z.array(Endpoint) }) },
      },
    },
    async () => ({ data: api.endpoints.health().map((health) => endpointOf(api, health)) }),
  );
  routes.get(
    '/api/v1/endpoints/:name',
    {
      config: { scope: 'endpoints:read', etag: true, problems: [404] },
      schema: {
        operationId: 'getEndpoint',
        summary: 'One endpoint',
        tags: ['endpoints'],
        params: z.object({
          name: z
            .string()
            .min(1)
            .max(200)
            .meta({ examples: ['crm'] }),
        }),
        response: { 200: Endpoint },
      },
    },
    async (request) => {
      const { name } = request.params;
      const health = api.endpoints.health().find((h) => h.name === name);
      if (health === undefined)
        throw new LockstepError('NOT_FOUND', `There is no endpoint ${name} in the configuration.`);
      return endpointOf(api, health);
    },
  );
};
