import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Cancel } from '../../model/cancel.ts';
import { conflictStates, type Conflict as Kept, type Resolution } from '../../model/conflicts.ts';
import { LockstepError } from '../../model/errors.ts';
import type { JsonValue } from '../../model/json.ts';
import type { Key } from '../../model/row.ts';
import { conflictTypes } from '../../model/two-way.ts';
import { guardsWith } from '../../service/job.ts';
import { inRequest } from '../../work/revert-guard.ts';
import { mayWrite } from '../../work/two-way/context.ts';
import { deletesOf, guardDecisions } from '../../work/two-way/guard-decisions.ts';
import { pendingOf, resolveConflict, resolveConflicts } from '../../work/two-way/resolve.ts';
import type { Api, Routes } from '../api.ts';
import { cancelOf } from '../cancel.ts';
import { BulkChoice, byHand, Choice, rulesOf, writing } from '../conflict-choice.ts';
import { cursorsOf } from '../cursors.ts';
import { HttpProblem } from '../errors.ts';
import { ifMatch } from '../etag.ts';
import { equalFilter, textFilter, wordFilter } from '../filters.ts';
import { maySee, visibleSyncs } from '../guard.ts';
import { listName, listOf, pageOf, pageQuery } from '../page.ts';
import { Conflict, conflictOf } from '../shapes/conflict.ts';
import { Run } from '../shapes/run.ts';
import { typed } from '../typed.ts';
import { seesValues, Values, valuesOf } from '../values.ts';

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

const Resolved = z
  .object({ conflict: Conflict, run: Run.nullable().describe('The run that writes it; null: the next one does') })
  .meta({ id: 'ResolvedConflict' });

const BulkResolved = z
  .object({
    matched: z.number().int().describe('Pending conflicts that are meant, and can be resolved so'),
    deletes: z.number().int().describe('Of these, rows that would go on both sides'),
    impossible: z
      .number()
      .int()
      .describe('Meant, but what is to be taken is not kept, or a one-way sync would bring the row back'),
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
          'Of two people who decide, one wins, and the other is told who, what and when (409). If-Match says which rows were looked at. The same decision by the same caller again changes nothing; with `replace`, another one takes its place as long as it is not written (409 while a run of the sync is at work). Starts a run that writes it under guards (202, `Location`), unless `write` is false; if the row has moved by then, the conflict waits again.',
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
      const { take, cells, why: text, write: now, replace } = request.body;
      const choice: Resolution =
        cells === undefined || take === 'base'
          ? { take }
          : { take, cells: await byHand(api, request, seen, rules, cells, o) };
      // Of one that is decided, whoever repeats the decision has the tag that it had before.
      if (seen.state === 'pending' || replace) mustMatch(request, seen);
      else ifMatch(request, `GET /api/v1/conflicts/${seen.id} has it in ETag.`);
      const decided = await resolveConflict(
        { ...work(o), writes: mayWrite(rules), replace },
        seen,
        choice,
        chooser(request, text),
      );
      const run = now
        ? await writing(api, request, reply, {
            ...o,
            sync: seen.sync,
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
          'Those that are pending, and meant by every filter that is given. With `dry_run`, says how many they are; that number as `expect` decides these many or none. Held to `max_changes` of the sync, and to `max_deletes` for what deletes rows, before anything is decided (409, GUARD): `max_changes` and `allow_deletes` allow more.',
        tags: ['conflicts'],
        body: BulkChoice,
        response: { 200: BulkResolved, 202: BulkResolved },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply, { ms: 60_000 });
      const { sync, pair, types, column, take, why: text, write: now, dry_run, expect } = request.body;
      const { max_changes: maxChanges, allow_deletes: allowDeletes } = request.body;
      const writes = mayWrite(rulesOf(api, request, sync));
      if ((maxChanges !== undefined || allowDeletes !== undefined) && !request.principal.scopes.has('plans:apply'))
        throw new LockstepError('FORBIDDEN', `${request.principal.name} does not hold the scope plans:apply.`, {
          hint: '`max_changes` and `allow_deletes` replace guards of the sync.',
        });
      const filter = {
        sync,
        ...(pair === undefined ? {} : { pair }),
        ...(types === undefined ? {} : { types }),
        ...(column === undefined ? {} : { column }),
      };
      const { conflicts: meant, impossible } = await pendingOf(api.store, filter, { take }, { ...o, writes });
      const counts = {
        matched: meant.length,
        deletes: deletesOf(meant, { take }),
        impossible: impossible.length,
        dry_run,
      };
      if (!dry_run && expect !== undefined && expect !== meant.length) {
        throw new LockstepError(
          'CONFLICT',
          `${expect} conflicts were expected, and ${meant.length} are meant now. None was decided.`,
          { hint: 'Look at them again, with `"dry_run": true`.' },
        );
      }
      if (dry_run || meant.length === 0) return { ...counts, decided: 0, run: null };
      const said = {
        ...(maxChanges === undefined ? {} : { maxChanges }),
        ...(allowDeletes === undefined ? {} : { allowDeletes }),
      };
      guardDecisions(meant, { take }, guardsWith(api.config().syncs[sync]!.guards, said), inRequest);
      const by = { ...chooser(request, text), filter: filter as unknown as Readonly<Record<string, JsonValue>> };
      const done = await resolveConflicts(work(o), sync, meant, { take }, by);
      const run = now && done.length > 0 ? await writing(api, request, reply, { ...o, sync }) : null;
      return { ...counts, decided: done.length, run };
    },
  );
};
