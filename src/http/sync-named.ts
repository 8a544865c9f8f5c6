import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Sync } from '../config/config.ts';
import { LockstepError } from '../model/errors.ts';
import type { Api } from './api.ts';
import { maySee } from './guard.ts';

export const syncParams = z.object({
  name: z
    .string()
    .min(1)
    .max(200)
    .describe('A sync of the configuration')
    .meta({ examples: ['subscriptions'] }),
});

/** A configured sync that the caller may know of. */
export const syncNamed = (api: Api, request: FastifyRequest, name: string): Sync => {
  const { syncs } = api.config();
  const sync = Object.hasOwn(syncs, name) ? syncs[name] : undefined;
  if (sync === undefined || !maySee(request.principal, name))
    throw new LockstepError('NOT_FOUND', `There is no sync ${name} in the configuration.`, {
      hint: 'List them: GET /api/v1/syncs',
    });
  return sync;
};
