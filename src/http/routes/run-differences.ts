import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Cancel } from '../../model/cancel.ts';
import type { DifferenceFilter } from '../../model/differences.ts';
import { accepted } from '../accept.ts';
import type { Api, Routes } from '../api.ts';
import { cancelOf } from '../cancel.ts';
import { cursorsOf } from '../cursors.ts';
import { equalFilter, wordFilter } from '../filters.ts';
import { listName, listOf, pageOf, pageQuery } from '../page.ts';
import { Difference, differenceKinds, differenceOf } from '../shapes/difference.ts';
import { exportMs, forms, sendAll } from '../stream.ts';
import { typed } from '../typed.ts';
import { Values, valuesOf } from '../values.ts';
import { runParams, visibleRun } from './runs.ts';

type Shown = z.infer<typeof Difference>;

async function* differencesOf(
  api: Api,
  request: FastifyRequest,
  run: string,
  filter: DifferenceFilter,
  o: Cancel,
): AsyncGenerator<Shown> {
  const pairs = new Map((await api.store.differences.pairs(run, o)).map((pair) => [pair.name, pair]));
  for await (const batch of api.store.differences.list(run, filter, o))
    for (const stored of batch) yield differenceOf(request, pairs.get(stored.pair)!, stored);
}

/** One line per cell, as the command line writes it; a row without cells to tell is one line. */
export const csvOfDifference = {
  columns: ['pair', 'key', 'kind', 'column', 'source', 'target'],
  rows: (d: Shown): readonly (readonly (string | null)[])[] =>
    d.cells.map((c) => [d.pair, JSON.stringify(d.key), d.kind, c.column, c.source ?? null, c.target ?? null]),
};

export const runDifferences: Routes = (app, api) => {
  const cursors = cursorsOf(api);
  typed(app).get(
    '/api/v1/runs/:id/differences',
    {
      config: { scope: 'differences:read', objects: 'checked', produces: forms, problems: [404] },
      schema: {
        operationId: 'listRunDifferences',
        summary: 'What a comparison found',
        description:
          'In the order it found them, and always the same. `Accept: application/x-ndjson` or `text/csv` gives all of them at once.',
        tags: ['runs'],
        params: runParams,
        querystring: z.strictObject({
          ...pageQuery,
          pair: equalFilter.optional().describe('eq.public.subscriptions'),
          kind: wordFilter(differenceKinds).optional().describe('e.g. in.(different,only_in_target)'),
          column: equalFilter.optional().describe('A source column that differs: eq.status'),
        }),
        response: { 200: listOf(Difference, { values: Values }) },
      },
    },
    async (request, reply) => {
      const form = accepted(request.headers.accept, forms)!;
      const o = cancelOf(request, reply, form === 'application/json' ? {} : { ms: exportMs });
      const run = await visibleRun(api, request, request.params.id, o);
      const { limit, cursor, pair, kind, column } = request.query;
      const filter: DifferenceFilter = {
        ...(pair === undefined ? {} : { pair }),
        ...(kind === undefined ? {} : { kinds: kind }),
        ...(column === undefined ? {} : { column }),
      };
      if (form !== 'application/json')
        return sendAll(reply, form, differencesOf(api, request, run.id, filter, o), csvOfDifference) as never;
      const sealed = await cursors(o);
      const after = cursor === undefined ? undefined : sealed.open(listName(request), cursor, z.number().int());
      const found: Shown[] = [];
      for await (const one of differencesOf(api, request, run.id, { ...filter, ...(after ? { after } : {}) }, o)) {
        found.push(one);
        if (found.length > limit) break;
      }
      const { items, page } = pageOf(request, reply, { items: found, limit, cursors: sealed, position: (d) => d.seq });
      return { data: [...items], page, values: valuesOf(request) };
    },
  );
};
