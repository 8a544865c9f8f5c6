import { z } from 'zod';
import { scopes } from '../../access/scopes.ts';
import type { Routes } from '../api.ts';
import { typed } from '../typed.ts';

const Me = z
  .object({
    name: z.string(),
    scopes: z.array(z.enum(scopes)),
    only: z
      .object({ syncs: z.array(z.string()).nullable(), records: z.array(z.string()).nullable() })
      .describe('What the scopes are good for; null: all'),
  })
  .meta({
    id: 'Me',
    examples: [{ name: 'token:ci', scopes: ['runs:read', 'runs:create'], only: { syncs: null, records: null } }],
  });

export const me: Routes = (app) => {
  typed(app).get(
    '/api/v1/me',
    {
      config: { scope: 'any', objects: 'checked', etag: true },
      schema: {
        operationId: 'getMe',
        summary: 'Who asks, and what they may do',
        tags: ['service'],
        response: { 200: Me },
      },
    },
    async ({ principal }) => ({
      name: principal.name,
      scopes: scopes.filter((scope) => principal.scopes.has(scope)),
      only: {
        syncs: principal.only ? [...(principal.only.syncs ?? [])] : null,
        records: principal.only ? [...(principal.only.records ?? [])] : null,
      },
    }),
  );
};
