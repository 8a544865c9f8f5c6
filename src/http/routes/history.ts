import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Cancel } from '../../model/cancel.ts';
import { shownCell } from '../../model/canon/show.ts';
import type { Key } from '../../model/row.ts';
import type { Trace } from '../../model/store.ts';
import { twoWayRulesOf } from '../../service/two-way.ts';
import { explain } from '../../work/explain.ts';
import { shownDifference } from '../../work/shown-difference.ts';
import { shownWrite } from '../../work/shown-write.ts';
import type { Api, Routes } from '../api.ts';
import { cancelOf } from '../cancel.ts';
import { means, onePair, openSync } from '../open-sync.ts';
import { differenceKinds } from '../shapes/difference.ts';
import { changeOf, changeOps, outcomeStatuses } from '../shapes/plan.ts';
import { Time, timeOf } from '../shapes/time.ts';
import { BothWays, bothWaysOf } from '../shapes/two-way.ts';
import { syncNamed } from '../sync-named.ts';
import { typed } from '../typed.ts';
import { Cell, seesValues, shownCells, Values, valuesOf } from '../values.ts';

const Happened = z
  .object({
    at: Time,
    what: z.enum(['compared', 'planned', 'written']),
    pair: z.string(),
    run: z.string().nullable(),
    plan: z.string().nullable(),
    kind: z.enum(differenceKinds).nullable().describe('compared: how it differed'),
    op: z.enum(changeOps).nullable().describe('planned, written: the change'),
    status: z
      .enum([...outcomeStatuses, 'rolled_back', 'open'])
      .nullable()
      .describe(
        'written: what became of it; rolled_back: its transaction was; open: not settled, `reason` is how its run failed',
      ),
    reason: z.string().nullable(),
    cells: z.array(
      z.object({
        column: z.string(),
        source: Cell.optional(),
        target: Cell.optional(),
        before: Cell.optional(),
        after: Cell.optional(),
      }),
    ),
  })
  .meta({
    id: 'Happened',
    examples: [
      {
        at: '2026-11-21T12:00:04.120Z',
        what: 'compared',
        pair: 'public.subscriptions',
        run: 'r_06dq2k8v4m7x3w',
        plan: null,
        kind: 'different',
        op: null,
        status: null,
        reason: null,
        cells: [{ column: 'status', source: 'active', target: 'inactive' }],
      },
    ],
  });

type Event = z.infer<typeof Happened>;

/** What is recorded of a row in runs of this sync, newest first. */
const eventsOf = (request: FastifyRequest, sync: string, pair: string, trace: Trace): readonly Event[] => {
  const none = { pair, kind: null, op: null, status: null, reason: null } as const;
  const compared = trace.differences
    .filter(({ run }) => run.sync === sync)
    .map(({ run, stored, pair: of }): Event => {
      const shown = shownDifference({ ...of, targetTable: { name: of.target } }, stored.difference);
      const cells = shownCells(request, shown.cells);
      const at = timeOf(run.finished ?? run.started);
      return { ...none, at, what: 'compared', run: run.id, plan: null, kind: shown.kind, cells };
    });
  const planned = trace.planned
    .filter(({ plan }) => plan.header.sync === sync)
    .map(({ plan, item }): Event => {
      const { op, cells } = changeOf(request, plan.header, item);
      const { id, run, created } = plan.header;
      return { ...none, at: timeOf(created), what: 'planned', run, plan: id, op, cells };
    });
  const written = trace.written
    .filter(({ plan }) => plan.header.sync === sync)
    .map((write): Event => {
      const { run, plan, item } = write;
      const { status, reason } = shownWrite(write);
      const { op, cells } = changeOf(request, plan.header, item);
      return {
        ...none,
        at: timeOf(Math.max(run.started, plan.header.created)),
        what: 'written',
        run: run.id,
        plan: plan.header.id,
        op,
        status,
        reason: seesValues(request) ? (reason ?? null) : null,
        cells,
      };
    });
  // Within one moment: written after planned after compared.
  return [...written, ...planned, ...compared].sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : 0));
};

/** Names of the sync's pairs, as its runs have recorded them. */
const recordedPairs = async (api: Api, sync: string, o: Cancel): Promise<readonly string[]> => {
  const names = new Set<string>();
  for (const run of await api.store.runs.list({ sync, limit: 20 }, o)) {
    const pairs = (run.report as { readonly pairs?: unknown } | null)?.pairs;
    if (!Array.isArray(pairs)) continue;
    for (const pair of pairs as readonly { readonly source?: unknown }[])
      if (typeof pair?.source === 'string') names.add(pair.source);
  }
  for (const pair of api.config().syncs[sync]?.pairs ?? []) names.add(pair.source);
  return [...names];
};

const query = z.strictObject({
  sync: z
    .string()
    .min(1)
    .max(200)
    .meta({ examples: ['subscriptions'] }),
  pair: z.string().min(1).max(500).optional().describe('The source table; may be left out where one pair has the key'),
  key: z
    .union([z.string().max(10_000), z.array(z.string().max(10_000)).min(1).max(50)])
    .transform((key) => [key].flat())
    .describe('The value of the key; of several columns one `key=` each, in their order')
    .meta({ examples: ['17'] }),
});

const Explained = z
  .object({
    pair: z.string(),
    key: z.record(z.string(), Cell),
    state: z.enum(['agrees', 'differs', 'only_in_source', 'only_in_target', 'quarantined', 'absent']),
    source: z
      .record(z.string(), Cell)
      .nullable()
      .describe('The row now, by column of the source; values only with differences:read_values'),
    target: z.record(z.string(), Cell).nullable(),
    different: z.array(z.string()),
    tolerated: z.array(z.string()),
    quarantined: z
      .array(z.string())
      .describe('Rules that the source row breaks; they quote values, so only with differences:read_values'),
    two_way: BothWays.nullable().describe('Of a sync that keeps what both sides agreed on'),
    history: z.array(Happened),
    values: Values,
  })
  .meta({
    id: 'Explained',
    examples: [
      {
        pair: 'public.subscriptions',
        key: { id: '17' },
        state: 'differs',
        source: { id: '17', status: 'active' },
        target: { id: '17', status: 'inactive' },
        different: ['status'],
        tolerated: [],
        quarantined: [],
        two_way: null,
        history: [],
        values: 'shown',
      },
    ],
  });

export const history: Routes = (app, api) => {
  const routes = typed(app);
  routes.get(
    '/api/v1/history',
    {
      config: { scope: 'differences:read', objects: 'checked', problems: [404] },
      schema: {
        operationId: 'getHistory',
        summary: 'Everything recorded of one row, newest first',
        description: 'Differences seen, changes planned and written. Asks no database but the control store.',
        tags: ['history'],
        querystring: query,
        response: { 200: z.object({ data: z.array(Happened), values: Values }) },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      const { sync, pair, key } = request.query;
      syncNamed(api, request, sync);
      const known = (await recordedPairs(api, sync, o)).filter((name) => pair === undefined || means(pair, name));
      const names = known.length > 0 ? known : pair === undefined ? [] : [pair];
      const events: Event[] = [];
      for (const name of names.slice(0, 50))
        events.push(...eventsOf(request, sync, name, await api.store.trace(name, key as unknown as Key, o)));
      return { data: events, values: valuesOf(request) };
    },
  );
  routes.get(
    '/api/v1/explain',
    {
      config: { scope: 'differences:read', objects: 'checked', problems: [404, 409, 422, 502, 504] },
      schema: {
        operationId: 'explainRow',
        summary: 'The whole story of one row: both sides now, and everything recorded of it',
        description: 'Reads the row from both databases.',
        tags: ['history'],
        querystring: query,
        response: { 200: Explained },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      const sync = syncNamed(api, request, request.query.sync);
      await using open = await openSync(api, sync, o);
      const pair = onePair(open.pairs, request.query.pair, sync.name);
      const { source, target } = open;
      const e = await explain({
        pair,
        key: request.query.key,
        source,
        target,
        sync: sync.name,
        rules: twoWayRulesOf(sync, sync.mode),
        store: api.store,
        ...o,
      });
      const row = (cells: typeof e.source): Record<string, string | null> | null =>
        cells && Object.fromEntries(pair.columns.map((c, i) => [c.source.name, shownCell(cells[i] ?? null, c.as)]));
      const shown = seesValues(request);
      const state: z.infer<typeof Explained>['state'] = e.quarantined
        ? 'quarantined'
        : e.source && e.target
          ? e.columns.length > 0
            ? 'differs'
            : 'agrees'
          : e.source
            ? 'only_in_source'
            : e.target
              ? 'only_in_target'
              : 'absent';
      return {
        pair: pair.name,
        key: Object.fromEntries(
          pair.columns.slice(0, pair.keyWidth).map((c, i) => [c.source.name, shownCell(e.key[i] ?? null, c.as)]),
        ),
        state,
        source: shown ? row(e.source) : null,
        target: shown ? row(e.target) : null,
        different: [...e.columns],
        tolerated: [...e.tolerated],
        quarantined: shown ? [...(e.quarantined ?? [])] : [],
        two_way: bothWaysOf(request, e),
        history: [...eventsOf(request, sync.name, pair.name, e.trace)],
        values: valuesOf(request),
      };
    },
  );
};
