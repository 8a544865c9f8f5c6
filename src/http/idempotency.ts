import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Asked } from '../model/service.ts';
import { HttpProblem } from './errors.ts';
import { traceOf } from './traced.ts';

/** Other headers are left alone. */
export const idempotencyHeaders = z.looseObject({
  'idempotency-key': z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/, { error: 'expected 1 to 255 printable ASCII characters without blanks' })
    .optional()
    .describe('The same key gives the same run, for as long as it is remembered; with another request it is 422')
    .meta({ examples: ['2f6a9c1e-nightly'] }),
});

export const keyOf = (request: FastifyRequest): string | undefined =>
  request.headers['idempotency-key'] as string | undefined;

/** IDEMPOTENCY_KEY_REQUIRED unless there is one: for what writes to users' systems. */
export const mustHaveKey = (request: FastifyRequest): void => {
  if (keyOf(request) === undefined)
    throw new HttpProblem('IDEMPOTENCY_KEY_REQUIRED', 'This writes to a database, so it needs an Idempotency-Key.', {
      hint: 'Send a header Idempotency-Key with a value of your own that you repeat when you try again.',
      errors: [{ pointer: '/headers/idempotency-key', detail: 'is missing' }],
    });
};

export const askedBy = (request: FastifyRequest): Asked => {
  const key = keyOf(request);
  return {
    actor: request.principal.name,
    correlation: request.id,
    trigger: 'api',
    ...traceOf(request),
    ...(key === undefined ? {} : { idempotencyKey: key }),
  };
};
