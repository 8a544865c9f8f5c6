import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { PresentDifference } from '../../model/listings.ts';
import { accepted } from '../accept.ts';
import type { Api, Routes } from '../api.ts';
import { cancelOf } from '../cancel.ts';
import { cursorsOf } from '../cursors.ts';
import { HttpProblem } from '../errors.ts';
import { listName, listOf, pageOf, pageQuery } from '../page.ts';
import { Time, timeOf } from '../shapes/time.ts';
import { exportMs, forms, sendAll } from '../stream.ts';
import { syncNamed, syncParams } from '../sync-named.ts';
import { typed } from '../typed.ts';
import { seesValues, Values, valuesOf } from '../values.ts';

const Value = z
  .union([z.string(), z.null(), z.record(z.string(), z.union([z.string(), z.number()]))])
  .describe('Canonical text; null is SQL NULL; an object with `shown` for what JSON text cannot hold, or is very long');

const Present = z
  .object({
    pair: z.string().describe('The source table'),
    target_table: z.string(),
    change: z.enum(['new', 'modified', 'deleted']).describe('What has to become of the target'),
    key: z.record(z.string(), Value),
    cells: z.array(z.object({ column: z.string(), source: Value.optional(), target: Value.optional() })),
    detected_run: z.string().describe('The comparison that first found it as it is'),
    detected_at: Time,
  })
  .meta({
    id: 'PresentDifference',
    examples: [
      {
        pair: 'public.branches',
        target_table: 'public.branches',
        change: 'modified',
        key: { id: '17' },
        cells: [{ column: 'price', source: '19.90', target: '20.00' }],
        detected_run: 'r_06dq2k8v4m7x3w',
        detected_at: '2026-11-21T12:00:04.120Z',
      },
    ],
  });

const AsOf = z
  .object({
    run: z.string(),
    compared_at: Time,
    verdict: z.enum(['agrees', 'differs', 'incomplete']),
    complete: z.boolean().describe('Everything of the sync was compared'),
  })
  .meta({
    id: 'AsOf',
    examples: [
      { run: 'r_06dq2k8v4m7x3w', compared_at: '2026-11-21T12:00:04.120Z', verdict: 'differs', complete: true },
    ],
  });

const presentOf = (request: FastifyRequest, d: PresentDifference): z.infer<typeof Present> => ({
  pair: d.pair,
  target_table: d.target,
  change: d.change,
  key: d.key as z.infer<typeof Present>['key'],
  cells: Object.entries(d.cells).map(([column, cell]) =>
    seesValues(request) ? { column, ...(cell as Record<string, string>) } : { column },
  ),
  detected_run: d.detectedRun,
  detected_at: timeOf(d.detectedAt),
});

const Position = z.object({ no: z.number().int(), pair: z.string(), digest: z.string().regex(/^[0-9a-f]*$/) });

interface Wanted {
  readonly no: number;
  readonly pair?: string;
  readonly change?: PresentDifference['change'];
}

async function* allOf(
  api: Api,
  request: FastifyRequest,
  sync: string,
  wanted: Wanted,
  o: Cancel,
): AsyncGenerator<z.infer<typeof Present>> {
  let after: { readonly pair: string; readonly digest: string } | undefined;
  for (;;) {
    const limit = 500;
    const found = await api.store.listings.present(sync, { ...wanted, limit, ...(after ? { after } : {}) }, o);
    for (const d of found) yield presentOf(request, d);
    if (found.length < limit) return;
    after = found.at(-1)!;
  }
}

const text = (value: z.infer<typeof Value> | undefined): string | null =>
  value === undefined || value === null ? null : typeof value === 'string' ? value : JSON.stringify(value);

const csv = {
  columns: ['pair', 'key', 'change', 'column', 'source', 'target', 'detected_at'],
  rows: (d: z.infer<typeof Present>): readonly (readonly (string | null)[])[] =>
    d.cells.map((c) => [
      ...[d.pair, JSON.stringify(d.key), d.change, c.column],
      ...[text(c.source), text(c.target), d.detected_at],
    ]),
};

export const syncDifferences: Routes = (app, api) => {
  const cursors = cursorsOf(api);
  typed(app).get(
    '/api/v1/syncs/:name/differences',
    {
      config: { scope: 'differences:read', objects: 'checked', produces: forms, problems: [404, 409, 410] },
      schema: {
        operationId: 'listSyncDifferences',
        summary: 'What differs between the two sides now',
        description:
          'As of the last comparison; the pages of one list are all of the same one. The sync has to keep its differences: `differences: { sql: true }`. `Accept: application/x-ndjson` or `text/csv` gives all of them at once.',
        tags: ['syncs'],
        params: syncParams,
        querystring: z.strictObject({
          ...pageQuery,
          change: z
            .enum(['new', 'modified', 'deleted'])
            .optional()
            .describe('new: only the source has it; modified: cells differ; deleted: only the target has it'),
          pair: z.string().min(1).max(500).optional().describe('The source table'),
        }),
        response: { 200: listOf(Present, { as_of: AsOf.nullable(), values: Values }) },
      },
    },
    async (request, reply) => {
      const form = accepted(request.headers.accept, forms)!;
      const o = cancelOf(request, reply, form === 'application/json' ? {} : { ms: exportMs });
      const sync = syncNamed(api, request, request.params.name);
      const { listings } = api.store;
      const { limit, cursor, change, pair } = request.query;
      const sealed = await cursors(o);
      const after = cursor === undefined ? undefined : sealed.open(listName(request), cursor, Position);
      const comparison = await listings.comparison(sync.name, { ...o, ...(after ? { no: after.no } : {}) });
      if (comparison === undefined && after !== undefined)
        throw new HttpProblem('GONE', 'The comparison that this list is of is no longer kept.', {
          hint: 'Begin again without a cursor.',
        });
      if (comparison === undefined && sync.differences === undefined)
        throw new LockstepError('CONFLICT', `Sync ${sync.name} does not keep its present differences.`, {
          hint: `Add \`differences: { sql: true }\` to it, or read those of a run: GET /api/v1/runs/{id}/differences`,
        });
      const wanted: Wanted = {
        no: comparison?.no ?? 0,
        ...(pair === undefined ? {} : { pair }),
        ...(change === undefined ? {} : { change }),
      };
      if (form !== 'application/json')
        return sendAll(reply, form, allOf(api, request, sync.name, wanted, o), csv) as never;
      const found =
        comparison === undefined
          ? []
          : await listings.present(sync.name, { ...wanted, limit: limit + 1, ...(after ? { after } : {}) }, o);
      const { items, page } = pageOf(request, reply, {
        items: found,
        limit,
        cursors: sealed,
        position: (d) => ({ no: wanted.no, pair: d.pair, digest: d.digest }),
      });
      return {
        data: items.map((d) => presentOf(request, d)),
        page,
        as_of: comparison
          ? {
              run: comparison.run,
              compared_at: timeOf(comparison.at),
              verdict: comparison.verdict,
              complete: comparison.complete,
            }
          : null,
        values: valuesOf(request),
      };
    },
  );
};
