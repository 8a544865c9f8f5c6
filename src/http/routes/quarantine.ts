import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { QuarantinedRow, QuarantineFilter } from '../../model/quarantine.ts';
import type { Key } from '../../model/row.ts';
import { retryQuarantine } from '../../work/quarantine.ts';
import type { Routes } from '../api.ts';
import { audited } from '../audited.ts';
import { cancelOf } from '../cancel.ts';
import { cursorsOf } from '../cursors.ts';
import { equalFilter, textFilter } from '../filters.ts';
import { visibleSyncs } from '../guard.ts';
import { means, openSync } from '../open-sync.ts';
import { listName, listOf, pageOf, pageQuery } from '../page.ts';
import { Time, timeOf } from '../shapes/time.ts';
import { syncNamed } from '../sync-named.ts';
import { typed } from '../typed.ts';
import { Cell, seesValues, Values, valuesOf } from '../values.ts';

const Row = z
  .object({
    sync: z.string(),
    pair: z.string(),
    key: z.record(z.string(), Cell),
    reasons: z
      .array(z.string())
      .describe('The rules it breaks; they quote values, so only with differences:read_values'),
    row: z
      .record(z.string(), Cell)
      .nullable()
      .describe('Source column and stored value, when it was last looked at; null without differences:read_values'),
    first_run: z.string(),
    first_seen: Time,
    last_run: z.string(),
    last_seen: Time,
    attempts: z.number().int(),
  })
  .meta({
    id: 'QuarantinedRow',
    examples: [
      {
        sync: 'subscriptions',
        pair: 'public.subscriptions',
        key: { id: '17' },
        reasons: ['status: unknown is not one of active, trialing'],
        row: { id: '17', status: 'unknown' },
        first_run: 'r_06dq2k8v4m7x3w',
        first_seen: '2026-11-21T12:00:04.120Z',
        last_run: 'r_06dq2k8v4m7x3w',
        last_seen: '2026-11-21T12:00:04.120Z',
        attempts: 1,
      },
    ],
  });

const rowOf = (request: FastifyRequest, q: QuarantinedRow): z.infer<typeof Row> => ({
  sync: q.sync,
  pair: q.pair,
  key: Object.fromEntries(q.columns.map((name, i) => [name, q.key[i] ?? null])),
  reasons: seesValues(request) ? [...q.reasons] : [],
  row: seesValues(request) ? { ...q.row } : null,
  first_run: q.firstRun,
  first_seen: timeOf(q.firstSeen),
  last_run: q.lastRun,
  last_seen: timeOf(q.lastSeen),
  attempts: q.attempts,
});

const Which = z
  .strictObject({
    sync: z.string().min(1).max(200),
    pair: z.string().min(1).max(500).optional().describe('Absent: every pair of the sync'),
    keys: z
      .array(z.array(Cell).min(1).max(50))
      .min(1)
      .max(500)
      .optional()
      .describe('Cells of each key, in the order of its columns; needs `pair`. Absent: every row'),
  })
  .refine((which) => which.keys === undefined || which.pair !== undefined, {
    error: 'a key is of one pair: name it',
    path: ['pair'],
  })
  .meta({
    id: 'QuarantineSelection',
    examples: [{ sync: 'subscriptions', pair: 'public.subscriptions', keys: [['17']] }],
  });

const Retried = z
  .object({
    valid: z.number().int().describe('Valid now: the next run compares and writes them'),
    still_invalid: z.number().int(),
    gone: z.number().int().describe('No longer in the source'),
  })
  .meta({ id: 'Retried', examples: [{ valid: 1, still_invalid: 0, gone: 0 }] });

const Dropped = z.object({ dropped: z.number().int() }).meta({ id: 'Dropped', examples: [{ dropped: 1 }] });

const Position = z.object({ sync: z.string(), pair: z.string(), seq: z.string().regex(/^\d{1,19}$/) });

/** How long rows may be looked at again, milliseconds. */
const retryMs = 120_000;

const filterOf = (which: z.infer<typeof Which>, pair: string | undefined): QuarantineFilter => ({
  sync: which.sync,
  ...(pair === undefined ? {} : { pair }),
  ...(which.keys === undefined ? {} : { keys: which.keys as unknown as readonly Key[] }),
});

export const quarantine: Routes = (app, api) => {
  const cursors = cursorsOf(api);
  const routes = typed(app);
  routes.get(
    '/api/v1/quarantine',
    {
      config: { scope: 'quarantine:read', objects: 'checked' },
      schema: {
        operationId: 'listQuarantine',
        summary: 'Source rows that break the rules of their pair',
        tags: ['quarantine'],
        querystring: z.strictObject({
          ...pageQuery,
          sync: textFilter.optional().describe('e.g. eq.subscriptions'),
          pair: equalFilter.optional().describe('e.g. eq.public.subscriptions'),
        }),
        response: { 200: listOf(Row, { values: Values }) },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      const { limit, cursor, sync, pair } = request.query;
      const sealed = await cursors(o);
      const only = visibleSyncs(request);
      const syncs = sync && only ? sync.filter((s) => only.includes(s)) : (sync ?? only);
      const found = await api.store.listings.quarantined(
        {
          limit: limit + 1,
          ...(cursor === undefined ? {} : { after: sealed.open(listName(request), cursor, Position) }),
          ...(syncs === undefined ? {} : { syncs }),
          ...(pair === undefined ? {} : { pair }),
        },
        o,
      );
      const { items, page } = pageOf(request, reply, {
        items: found,
        limit,
        cursors: sealed,
        position: ({ sync, pair, seq }) => ({ sync, pair, seq }),
      });
      return { data: items.map((row) => rowOf(request, row)), page, values: valuesOf(request) };
    },
  );
  routes.post(
    '/api/v1/quarantine/retry',
    {
      config: { scope: 'quarantine:retry', objects: 'checked', problems: [404, 502, 504] },
      schema: {
        operationId: 'retryQuarantine',
        summary: 'Look at quarantined rows again, now',
        description: 'Those that are valid or gone leave the quarantine. Writes to no database of yours.',
        tags: ['quarantine'],
        body: Which,
        response: { 200: Retried },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply, { ms: retryMs });
      const { sync: name, pair: named, keys } = request.body;
      const sync = syncNamed(api, request, name);
      const total = { valid: 0, still_invalid: 0, gone: 0 };
      await audited(
        api,
        request,
        { action: 'quarantine.retry', object: `syncs/${name}`, after: { pair: named ?? null } },
        o,
        async () => {
          await using open = await openSync(api, sync, o);
          for (const pair of open.pairs.filter((p) => named === undefined || means(named, p.name))) {
            const wanted = keys === undefined ? {} : { keys: keys as unknown as readonly Key[] };
            const { source, target } = open;
            const one = await retryQuarantine({
              ...{ store: api.store, clock: api.clock, sync: name, pair, source, target, ...o },
              ...wanted,
            });
            total.valid += one.valid;
            total.still_invalid += one.stillInvalid;
            total.gone += one.gone;
          }
        },
      );
      return total;
    },
  );
  routes.post(
    '/api/v1/quarantine/drop',
    {
      config: { scope: 'quarantine:retry', objects: 'checked', problems: [404] },
      schema: {
        operationId: 'dropQuarantine',
        summary: 'Forget quarantined rows',
        description: 'Rows that are still invalid come back with the next run.',
        tags: ['quarantine'],
        body: Which,
        response: { 200: Dropped },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      const { sync, pair } = request.body;
      syncNamed(api, request, sync);
      const what = { action: 'quarantine.drop', object: `syncs/${sync}`, after: { pair: pair ?? null } };
      const dropped = await audited(api, request, what, o, () =>
        api.store.quarantine.drop(filterOf(request.body, pair), o),
      );
      return { dropped };
    },
  );
};
