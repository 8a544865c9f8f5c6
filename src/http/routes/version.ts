import { z } from 'zod';
import type { Routes } from '../api.ts';
import { typed } from '../typed.ts';

const Version = z
  .object({
    name: z.literal('lockstep'),
    version: z.string().describe('As `lockstep version` says it'),
    api: z.literal('v1'),
  })
  .meta({ id: 'Version', examples: [{ name: 'lockstep', version: '0.1.0', api: 'v1' }] });

export const version: Routes = (app, api) => {
  typed(app).get(
    '/api/v1/version',
    {
      config: { scope: 'public', etag: true },
      schema: {
        operationId: 'getVersion',
        summary: 'What answers here',
        tags: ['service'],
        response: { 200: Version },
      },
    },
    async () => ({ name: 'lockstep' as const, version: api.version, api: 'v1' as const }),
  );
};
