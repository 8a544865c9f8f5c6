import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Settled } from '../../model/journal.ts';
import type { Plan } from '../../model/plans.ts';
import { refusePart } from '../../work/two-way/revert.ts';
import type { Api, Routes } from '../api.ts';
import { cancelOf } from '../cancel.ts';
import { cursorsOf } from '../cursors.ts';
import { equalFilter, wordFilter } from '../filters.ts';
import { idempotencyHeaders } from '../idempotency.ts';
import { listName, listOf, pageOf, pageQuery } from '../page.ts';
import { changeOf, outcomeStatuses, WrittenChange } from '../shapes/plan.ts';
import { Run } from '../shapes/run.ts';
import { startRun } from '../start-run.ts';
import { typed } from '../typed.ts';
import { seesValues, Values, valuesOf } from '../values.ts';
import { visibleRun } from './runs.ts';

const writtenOf = (
  request: FastifyRequest,
  run: string,
  plan: Plan,
  { step, item, outcome }: Settled,
): z.infer<typeof WrittenChange> => ({
  id: `${run}.${step}.${item.seq}`,
  run,
  plan: plan.header.id,
  step,
  ...changeOf(request, plan.header, item),
  status: outcome.status,
  reason: seesValues(request) ? (outcome.reason ?? null) : null,
  sql_state: outcome.sqlState ?? null,
});

/** The plan that a run carried out; undefined: it wrote nothing. */
const planOfRun = async (api: Api, plan: string | null, o: Cancel): Promise<Plan | undefined> =>
  plan === null ? undefined : api.store.plans.get(plan, o);

const noChange = (id: string): LockstepError => new LockstepError('NOT_FOUND', `There is no change ${id}.`);

const Position = z.object({ step: z.number().int(), seq: z.number().int() });

export const changes: Routes = (app, api) => {
  const cursors = cursorsOf(api);
  const routes = typed(app);
  routes.get(
    '/api/v1/changes',
    {
      config: { scope: 'changes:read', objects: 'checked', problems: [404] },
      schema: {
        operationId: 'listChanges',
        summary: 'Every write of a run, with the row before and after',
        description: 'In the order of its transactions, with what became of each.',
        tags: ['changes'],
        querystring: z.strictObject({
          ...pageQuery,
          run: equalFilter.describe('Required: eq.r_…').meta({ examples: ['eq.r_06dq2k8v4m7x3w'] }),
          status: wordFilter(outcomeStatuses).optional().describe('e.g. in.(rejected,moved)'),
        }),
        response: { 200: listOf(WrittenChange, { values: Values }) },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      const { limit, cursor, status, run: id } = request.query;
      const run = await visibleRun(api, request, id, o);
      const sealed = await cursors(o);
      const after = cursor === undefined ? undefined : sealed.open(listName(request), cursor, Position);
      const plan = await planOfRun(api, run.plan, o);
      const found: z.infer<typeof WrittenChange>[] = [];
      const wanted = { ...o, ...(status ? { statuses: status } : {}), ...(after ? { after } : {}) };
      if (plan !== undefined)
        for await (const batch of api.store.journal.outcomes(run.id, wanted)) {
          for (const one of batch.slice(0, limit + 1 - found.length)) found.push(writtenOf(request, run.id, plan, one));
          if (found.length > limit) break;
        }
      const { items, page } = pageOf(request, reply, {
        items: found,
        limit,
        cursors: sealed,
        position: ({ step, seq }) => ({ step, seq }),
      });
      return { data: [...items], page, values: valuesOf(request) };
    },
  );
  routes.get(
    '/api/v1/changes/:id',
    {
      config: { scope: 'changes:read', objects: 'checked', etag: true, problems: [404] },
      schema: {
        operationId: 'getChange',
        summary: 'One write of a run',
        tags: ['changes'],
        params: z.object({
          id: z
            .string()
            .min(1)
            .max(200)
            .describe('run.step.seq')
            .meta({ examples: ['r_06dq2k8v4m7x3w.1.1'] }),
        }),
        response: { 200: WrittenChange },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      const { id } = request.params;
      const [, of, at, number] = /^(r_\w+)\.(\d{1,15})\.(\d{1,15})$/.exec(id) ?? [];
      if (of === undefined) throw noChange(id);
      const run = await visibleRun(api, request, of, o);
      const plan = await planOfRun(api, run.plan, o);
      const [step, seq] = [Number(at), Number(number)];
      if (plan === undefined || step < 1 || seq < 1) throw noChange(id);
      for await (const [one] of api.store.journal.outcomes(run.id, { ...o, after: { step, seq: seq - 1 } })) {
        if (one?.step === step && one.item.seq === seq) return writtenOf(request, run.id, plan, one);
        break;
      }
      throw noChange(id);
    },
  );
  routes.post(
    '/api/v1/changes/revert',
    {
      config: { scope: 'changes:revert', objects: 'checked', problems: [404, 409] },
      schema: {
        operationId: 'revertRun',
        summary: 'Undo what a run wrote',
        description:
          'Starts a run that applies the inverse plan. Cells that others have changed since are kept. It fails (GUARD), and nothing is written, where it would have more than 500 changes, or delete rows that the run had inserted, unless `max_changes` and `allow_deletes` allow it. Needs an Idempotency-Key.',
        tags: ['changes'],
        headers: idempotencyHeaders,
        body: z
          .strictObject({
            run: z.string().min(1).max(200).describe('The run whose changes are undone'),
            max_changes: z.number().int().min(0).optional().describe('In place of 500'),
            allow_deletes: z.number().int().min(0).optional().describe('In place of 0: rows that the run inserted'),
          })
          .meta({ id: 'RevertRequest', examples: [{ run: 'r_06dq2k8v4m7x3w' }] }),
        response: { 200: Run, 202: Run },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      const { run: id, max_changes: maxChanges, allow_deletes: allowDeletes } = request.body;
      const run = await visibleRun(api, request, id, o);
      await refusePart(api.store, run, o);
      return startRun(api, request, reply, {
        ...o,
        run: {
          kind: 'revert',
          run: run.id,
          ...(maxChanges === undefined ? {} : { maxChanges }),
          ...(allowDeletes === undefined ? {} : { allowDeletes }),
        },
        object: `runs/${run.id}`,
        writes: true,
      });
    },
  );
};
