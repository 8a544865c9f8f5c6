import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { JsonValue } from '../model/json.ts';
import type { Cursors } from './cursors.ts';

export const maxLimit = 200;

/** Parameters of every list. */
export const pageQuery = {
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(maxLimit)
    .default(50)
    .describe('How many at most')
    .meta({ examples: [50] }),
  cursor: z.string().max(4000).optional().describe('`next_cursor` of the page before, with the same filters'),
};

export const Page = z
  .object({
    next_cursor: z.string().nullable().describe('Give it as `cursor` to go on; null: this was the last page'),
    has_more: z.boolean(),
  })
  .meta({ id: 'Page', examples: [{ next_cursor: null, has_more: false }] });

/** What a list answers: `data` and where it goes on. */
export const listOf = <T extends z.ZodType, M extends z.ZodRawShape = Record<never, never>>(
  item: T,
  more: M = {} as M,
) => z.object({ data: z.array(item), page: Page, ...more });

/** What tells one list from another: its route and every parameter but where and how much. */
export const listName = (request: FastifyRequest): string => {
  const { cursor: _, limit: __, ...filters } = request.query as Record<string, unknown>;
  const sorted = Object.entries(filters).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([request.routeOptions.url, request.params, sorted, request.principal.only?.syncs ?? null]);
};

/**
 * A page of `limit` items out of one more than that, if there are more. `position` is where the next page goes on after
 * the last item of this one.
 */
export const pageOf = <T>(
  request: FastifyRequest,
  reply: FastifyReply,
  o: {
    readonly items: readonly T[];
    readonly limit: number;
    readonly cursors: Cursors;
    position(last: T): JsonValue;
  },
): { readonly items: readonly T[]; readonly page: z.infer<typeof Page> } => {
  const items = o.items.slice(0, o.limit);
  const more = o.items.length > o.limit;
  const next = more ? o.cursors.seal(listName(request), o.position(items.at(-1)!)) : null;
  if (next !== null) {
    const url = new URL(request.url, 'http://x');
    url.searchParams.set('cursor', next);
    reply.header('link', `<${url.pathname}${url.search}>; rel="next"`);
  }
  return { items, page: { next_cursor: next, has_more: more } };
};
