import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { conflictStates, type Conflict as Kept, type Resolution } from '../../model/conflicts.ts';
import type { Cancel } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Key } from '../../model/row.ts';
import type { RunRequest } from '../../model/service.ts';
import type { Json } from '../../model/store.ts';
import { conflictTypes } from '../../model/two-way.ts';
import { twoWayRulesOf } from '../../service/two-way.ts';
import { mayWrite, type TwoWayRules } from '../../work/two-way/context.ts';
import { cellsByHand, chosenRow, pendingOf, resolveConflict, resolveConflicts } from '../../work/two-way/resolve.ts';
import type { Api, Routes } from '../api.ts';
import { cancelOf } from '../cancel.ts';
import { cursorsOf } from '../cursors.ts';
import { HttpProblem } from '../errors.ts';
import { ifMatch } from '../etag.ts';
import { equalFilter, textFilter, wordFilter } from '../filters.ts';
import { maySee, visibleSyncs } from '../guard.ts';
import { askedBy } from '../idempotency.ts';
import { means, openSync } from '../open-sync.ts';
import { listName, listOf, pageOf, pageQuery } from '../page.ts';
import { Conflict, conflictOf } from '../shapes/conflict.ts';
import { Run, runOf } from '../shapes/run.ts';
import { syncNamed } from '../sync-named.ts';
import { typed } from '../typed.ts';
import { Cell, seesValues, Values, valuesOf } from '../values.ts';

const params = z.object({
  id: z
    .string()
    .min(1)
    .max(200)
    .describe('Id of the conflict')
    .meta({ examples: ['c_06dq2k8v4m7x3w9pq'] }),
});

const conditional = z.looseObject({
  'if-match': z
    .string()
    .max(1000)
    .optional()
    .describe('Required: the ETag of the conflict, or its version in quotes')
    .meta({ examples: ['"1"'] }),
});

const why = z.string().max(2000).optional().describe('The reason, kept with the decision');
const write = z
  .boolean()
  .default(true)
  .describe('Start a run that writes it, and nothing else; false: the next run of the sync writes it');

const Choice = z
  .strictObject({
    take: z.enum(['source', 'target', 'base']).describe('Whose row counts; base: what both last agreed on'),
    cells: z
      .record(z.string().min(1).max(500), Cell)
      .refine((cells) => Object.keys(cells).length > 0, { error: 'leave it out, or name a column' })
      .optional()
      .describe('Values by hand, by source column, in place of those of the taken row'),
    why,
    write,
  })
  .refine((c) => c.cells === undefined || c.take !== 'base', {
    error: 'values by hand go with take: source or take: target',
    path: ['cells'],
  })
  .meta({ id: 'ConflictChoice', examples: [{ take: 'source', cells: { plan: 'team' }, why: 'they called' }] });

const BulkChoice = z
  .strictObject({
    sync: z.string().min(1).max(200),
    pair: z.string().min(1).max(500).optional(),
    types: z.array(z.enum(conflictTypes)).min(1).optional(),
    column: z.string().min(1).max(500).optional().describe('A source column that is disputed'),
    take: z.enum(['source', 'target', 'base']),
    why,
    write,
    dry_run: z.boolean().default(false).describe('Only say what is meant'),
  })
  .meta({
    id: 'ConflictBulkChoice',
    examples: [{ sync: 'subscriptions', column: 'price', take: 'source', why: 'billing sets prices', dry_run: true }],
  });

const Resolved = z
  .object({ conflict: Conflict, run: Run.nullable().describe('The run that writes it; null: the next one does') })
  .meta({ id: 'ResolvedConflict' });

const BulkResolved = z
  .object({
    matched: z.number().int().describe('Pending conflicts that are meant, and can be resolved so'),
    deletes: z.number().int().describe('Of these, rows that would go on both sides'),
    impossible: z.number().int().describe('Meant, but what is to be taken is not kept'),
    decided: z.number().int().describe('Less than `matched`: others had chosen, or the row had moved'),
    dry_run: z.boolean(),
    run: Run.nullable(),
  })
  .meta({ id: 'ResolvedConflicts' });

/** A conflict that the caller may know of. */
const visibleConflict = async (api: Api, request: FastifyRequest, id: string, o: Cancel): Promise<Kept> => {
  const found = await api.store.conflicts.get(id, o);
  if (found !== undefined && maySee(request.principal, found.sync)) return found;
  throw new LockstepError('NOT_FOUND', `There is no conflict ${id}.`, { hint: 'List them: GET /api/v1/conflicts' });
};

/** The version first; and what else may change about what is shown. */
const tagOf = (request: FastifyRequest, c: Kept): string =>
  `"${c.version}.${c.seen}${seesValues(request) ? '' : '.m'}"`;

/** The caller has seen it as it is now. */
const mustMatch = (request: FastifyRequest, c: Kept): void => {
  const hint = `GET /api/v1/conflicts/${c.id} has it in ETag.`;
  const seen = ifMatch(request, hint).map((tag) => /^"(\d{1,9})(\.[\d.m]*)?"$/.exec(tag)?.[1]);
  if (!seen.includes(String(c.version)))
    throw new HttpProblem('PRECONDITION_FAILED', `Conflict ${c.id} has changed since it was read.`, { hint });
};

/** How the sync settles conflicts now; CONFLICT where it keeps no archive. */
const rulesOf = (api: Api, request: FastifyRequest, name: string): TwoWayRules => {
  const sync = syncNamed(api, request, name);
  const rules = twoWayRulesOf(sync, sync.mode);
  if (rules !== undefined) return rules;
  throw new LockstepError('CONFLICT', `Sync ${name} keeps no archive now, so nothing is written for its conflicts.`, {
    hint: 'Set mode: two_way, or say how its conflicts are settled.',
  });
};

/** A run that writes what was decided; one that has not begun yet will do. */
const writing = async (
  api: Api,
  request: FastifyRequest,
  reply: FastifyReply,
  /** `decision`: names it, so that the same one asks for one run. */
  o: Cancel & { readonly sync: string; readonly deletes: number; readonly decision?: string },
): Promise<z.infer<typeof Run>> => {
  const { maxDeletes } = api.config().syncs[o.sync]!.guards;
  const wanted: RunRequest = {
    kind: 'sync',
    sync: o.sync,
    onlyDecided: true,
    ...(o.deletes > maxDeletes ? { allowDeletes: o.deletes } : {}),
  };
  const queued = await api.store.runs.list({ sync: o.sync, kinds: ['sync'], states: ['queued'], limit: 20 }, o);
  const same = queued.find((run) => {
    const asked = run.asked?.request as RunRequest | undefined;
    return asked?.kind === 'sync' && asked.onlyDecided === true && asked.allowDeletes === wanted.allowDeletes;
  });
  const { idempotencyKey: _, ...asked } = askedBy(request);
  const key = o.decision === undefined ? {} : { idempotencyKey: o.decision };
  const run = same ?? (await api.desk.request(wanted, { ...asked, ...key }, o)).run;
  reply.code(202).header('location', `/api/v1/runs/${run.id}`);
  return runOf(request, run);
};

export const conflicts: Routes = (app, api) => {
  const cursors = cursorsOf(api);
  const routes = typed(app);
  const work = (o: Cancel) => ({ store: api.store, clock: api.clock, ...o });
  const chooser = (request: FastifyRequest, text: string | undefined) => ({
    actor: request.principal.name,
    correlation: request.id,
    why: text ?? null,
  });
  routes.get(
    '/api/v1/conflicts',
    {
      config: { scope: 'conflicts:read', objects: 'checked' },
      schema: {
        operationId: 'listConflicts',
        summary: 'Rows that both sides changed, newest first',
        description: 'Those that wait: `state=in.(pending,decided)`. Without `state`: also those that were settled.',
        tags: ['conflicts'],
        querystring: z.strictObject({
          ...pageQuery,
          sync: textFilter.optional().describe('e.g. eq.subscriptions'),
          pair: equalFilter.optional().describe('e.g. eq.public.subscriptions'),
          state: wordFilter(conflictStates).optional().describe('e.g. eq.pending'),
          type: wordFilter(conflictTypes).optional().describe('e.g. in.(update_update,update_delete)'),
          column: equalFilter.optional().describe('A source column that is disputed, e.g. eq.price'),
          run: equalFilter.optional().describe('The run that found it'),
          key: z
            .union([z.string().max(10_000), z.array(z.string().max(10_000)).max(50)])
            .optional()
            .describe('Cells of the key, once for each of its columns; needs `pair`'),
        }),
        response: { 200: listOf(Conflict, { values: Values }) },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      const { limit, cursor, sync, pair, state, type, column, run, key } = request.query;
      if (key !== undefined && pair === undefined)
        throw new HttpProblem('PARAMETER', 'A key is of one pair.', {
          hint: 'Name it: pair=eq.PAIR',
          errors: [{ pointer: '/query/pair', detail: 'is missing' }],
        });
      const sealed = await cursors(o);
      const only = visibleSyncs(request);
      const syncs = sync && only ? sync.filter((s) => only.includes(s)) : (sync ?? only);
      const found = await api.store.conflicts.list(
        {
          limit: limit + 1,
          ...(cursor === undefined ? {} : { before: sealed.open(listName(request), cursor, z.string()) }),
          ...(syncs === undefined ? {} : { syncs }),
          ...(pair === undefined ? {} : { pair }),
          ...(state === undefined ? {} : { states: state }),
          ...(type === undefined ? {} : { types: type }),
          ...(column === undefined ? {} : { column }),
          ...(run === undefined ? {} : { run }),
          ...(key === undefined ? {} : { keys: [[key].flat() as unknown as Key] }),
        },
        o,
      );
      const { items, page } = pageOf(request, reply, { items: found, limit, cursors: sealed, position: (c) => c.id });
      return { data: items.map((c) => conflictOf(request, c)), page, values: valuesOf(request) };
    },
  );
  routes.get(
    '/api/v1/conflicts/:id',
    {
      config: { scope: 'conflicts:read', objects: 'checked', etag: true, problems: [404] },
      schema: {
        operationId: 'getConflict',
        summary: 'One conflict: what was agreed, and what both sides show, side by side',
        tags: ['conflicts'],
        params,
        response: { 200: Conflict },
      },
    },
    async (request, reply) => {
      const found = await visibleConflict(api, request, request.params.id, cancelOf(request, reply));
      reply.header('etag', tagOf(request, found));
      return conflictOf(request, found);
    },
  );
  routes.post(
    '/api/v1/conflicts/:id/resolve',
    {
      config: { scope: 'conflicts:resolve', objects: 'checked', problems: [404, 409, 412, 422, 428, 502, 504] },
      schema: {
        operationId: 'resolveConflict',
        summary: 'Decide a conflict, as it was seen',
        description:
          'Of two people who decide, one wins, and the other is told who, what and when (409). If-Match says which rows were looked at. The same decision by the same caller again changes nothing. Starts a run that writes it under guards (202, `Location`), unless `write` is false; if the row has moved by then, the conflict waits again.',
        tags: ['conflicts'],
        params,
        headers: conditional,
        body: Choice,
        response: { 200: Resolved, 202: Resolved },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply, { ms: 60_000 });
      const seen = await visibleConflict(api, request, request.params.id, o);
      const rules = rulesOf(api, request, seen.sync);
      const { take, cells, why: text, write: now } = request.body;
      const choice: Resolution =
        cells === undefined || take === 'base'
          ? { take }
          : { take, cells: await byHand(api, request, seen, rules, cells, o) };
      // Of one that is decided, whoever repeats the decision has the tag that it had before.
      if (seen.state === 'pending') mustMatch(request, seen);
      else ifMatch(request, `GET /api/v1/conflicts/${seen.id} has it in ETag.`);
      const decided = await resolveConflict(work(o), seen, choice, chooser(request, text));
      const deletes = chosenRow(seen, choice) === null ? 1 : 0;
      const run = now
        ? await writing(api, request, reply, {
            ...o,
            sync: seen.sync,
            deletes,
            decision: `${decided.id} ${decided.version}`,
          })
        : null;
      reply.header('etag', tagOf(request, decided));
      return { conflict: conflictOf(request, decided), run };
    },
  );
  routes.post(
    '/api/v1/conflicts/resolve',
    {
      config: { scope: 'conflicts:resolve', objects: 'checked', problems: [404, 409, 422] },
      schema: {
        operationId: 'resolveConflicts',
        summary: 'Decide many conflicts of a sync at once',
        description:
          'Those that are pending, and meant by every filter that is given. With `dry_run`, says how many they are. What deletes rows needs `max_deletes` of the sync.',
        tags: ['conflicts'],
        body: BulkChoice,
        response: { 200: BulkResolved, 202: BulkResolved },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply, { ms: 60_000 });
      const { sync, pair, types, column, take, why: text, write: now, dry_run } = request.body;
      rulesOf(api, request, sync);
      const filter = {
        sync,
        ...(pair === undefined ? {} : { pair }),
        ...(types === undefined ? {} : { types }),
        ...(column === undefined ? {} : { column }),
      };
      const { conflicts: meant, impossible } = await pendingOf(api.store, filter, { take }, o);
      const counts = {
        matched: meant.length,
        deletes: meant.filter((c) => chosenRow(c, { take }) === null).length,
        impossible: impossible.length,
        dry_run,
      };
      if (dry_run || meant.length === 0) return { ...counts, decided: 0, run: null };
      const by = { ...chooser(request, text), filter: filter as unknown as Readonly<Record<string, Json>> };
      const done = await resolveConflicts(work(o), sync, meant, { take }, by);
      const run = now && done.length > 0 ? await writing(api, request, reply, { ...o, sync, deletes: 0 }) : null;
      return { ...counts, decided: done.length, run };
    },
  );
};

/** Values by hand, checked against both sides as they are now. */
const byHand = async (
  api: Api,
  request: FastifyRequest,
  conflict: Kept,
  rules: TwoWayRules,
  cells: Readonly<Record<string, string | null>>,
  o: Cancel,
) => {
  await using open = await openSync(api, syncNamed(api, request, conflict.sync), o);
  const pair = open.pairs.find((p) => p.name === conflict.pair) ?? open.pairs.find((p) => means(conflict.pair, p.name));
  if (pair !== undefined) return cellsByHand(pair, mayWrite(rules), cells);
  throw new LockstepError('NOT_FOUND', `Sync ${conflict.sync} has no pair ${conflict.pair} any more.`);
};
