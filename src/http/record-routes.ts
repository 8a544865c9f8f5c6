import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { mayAccess } from '../access/may-access.ts';
import { LockstepError } from '../model/errors.ts';
import type { Entities } from '../records/entities.ts';
import { RecordProblem } from '../records/problem.ts';
import type { Seal } from '../records/seal.ts';
import type { Api } from './api.ts';
import { HttpProblem } from './errors.ts';

/** What the routes of records share. */
export interface RecordRoutes {
  readonly api: Api;
  readonly entities: Entities;
  seal(): Promise<Seal>;
  /** The same once it is there. */
  sealed(): Seal | undefined;
}

export const entityParams = z.object({
  entity: z
    .string()
    .min(1)
    .max(200)
    .describe('Name of the entity')
    .meta({ examples: ['transactions'] }),
});

export const recordParams = entityParams.extend({
  key: z
    .string()
    .min(1)
    .max(1000)
    .describe('Its key; of several columns their values with commas')
    .meta({ examples: ['17'] }),
});

export const Record = z.record(z.string(), z.unknown()).meta({
  id: 'Record',
  description:
    'Columns by name. Numbers of 64 bits and decimals are strings, bytes base64, times RFC 3339; what is masked is null.',
  examples: [{ id: '17', amount: '19.99', status: 'pending' }],
});

/** An entity that the caller may know of; NOT_FOUND for any other. */
export const nameOf = (request: FastifyRequest, entity: string): string => {
  if (!mayAccess(request.principal, { record: entity }))
    throw new LockstepError('NOT_FOUND', `there is no entity ${entity}`);
  return entity;
};

/** The last step of the path as it was sent: a key of several columns has commas, and its values have theirs escaped. */
export const lastStep = (request: FastifyRequest): string => {
  const path = request.url.split('?', 1)[0]!;
  let end = path.length;
  while (end > 0 && path[end - 1] === '/') end--;
  return path.slice(path.lastIndexOf('/', end - 1) + 1, end);
};

/** `count=exact` of `Prefer`; undefined: not asked for. */
export const preferred = (request: FastifyRequest, name: string): string | undefined => {
  const header = request.headers['prefer'];
  const given = (Array.isArray(header) ? header.join(',') : (header ?? '')).split(',');
  const found = given.map((part) => part.trim().split('=')).find(([key]) => key?.toLowerCase() === name);
  return found?.[1]?.replaceAll('"', '').toLowerCase();
};

/** What a caller of records got wrong, as HTTP says it. */
export const asHttp = (error: unknown): unknown =>
  error instanceof RecordProblem
    ? new HttpProblem(error.code, error.message, {
        errors: error.errors,
        ...(error.hint === undefined ? {} : { hint: error.hint }),
      })
    : error;
