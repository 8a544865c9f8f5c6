import type { FastifyInstance } from 'fastify';
import { z } from 'zod';

export const Problem = z
  .object({
    type: z.string().describe('Where the code is explained'),
    title: z.string(),
    status: z.number().int(),
    detail: z.string().describe('What happened, in words'),
    code: z.string().describe('Stable; for programs'),
    hint: z.string().optional().describe('What to do'),
    details: z.array(z.string()).optional(),
    errors: z
      .array(
        z.object({
          pointer: z.string().describe('JSON pointer into the body, or /query/…, /headers/…'),
          detail: z.string(),
        }),
      )
      .optional(),
    correlation: z.string().describe('Ties it to the lines of the log; also in x-request-id'),
  })
  .meta({
    id: 'Problem',
    description: 'RFC 9457',
    examples: [
      {
        type: '/docs/errors#NOT_FOUND',
        title: 'There is no such thing',
        status: 404,
        detail: 'There is no run r_06dq2k8v4m7x3w.',
        code: 'NOT_FOUND',
        correlation: 'c_06dq2k8v4m7x3w',
      },
    ],
  });

const every: readonly number[] = [406, 429, 500, 503];

/** Documents the failures of each route: those that any may have, and those that it names in `config.problems`. */
export const addProblems = (app: FastifyInstance): void => {
  app.addHook('onRoute', (route) => {
    const { config, schema } = route;
    if (!schema || schema.hide || route.method === 'HEAD') return;
    const statuses = new Set([
      ...every,
      ...(config?.scope === 'public' ? [] : config?.scope === 'any' ? [401] : [401, 403]),
      ...(schema.querystring || schema.params || schema.headers ? [400] : []),
      ...(schema.body ? [400, 413, 415, 422] : []),
      ...(config?.problems ?? []),
    ]);
    const response = { ...(schema.response as Record<string, unknown>) };
    for (const status of [...statuses].sort()) {
      response[status] ??= { content: { 'application/problem+json': { schema: Problem } } };
    }
    route.schema = { ...schema, response };
  });
};

declare module 'fastify' {
  interface FastifySchema {
    hide?: boolean;
    operationId?: string;
    summary?: string;
    description?: string;
    tags?: readonly string[];
    /** Media types of the body; absent: JSON. */
    consumes?: readonly string[];
  }
}
