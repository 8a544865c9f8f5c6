import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Plan as StoredPlan } from '../../model/plans.ts';
import { approvalRuleOf } from '../../service/approvals.ts';
import { agreementOf, approve } from '../../work/approvals.ts';
import type { Api, Routes } from '../api.ts';
import { cancelOf } from '../cancel.ts';
import { cursorsOf } from '../cursors.ts';
import { HttpProblem } from '../errors.ts';
import { ifMatch } from '../etag.ts';
import { textFilter } from '../filters.ts';
import { maySee, visibleSyncs } from '../guard.ts';
import { idempotencyHeaders, keyOf } from '../idempotency.ts';
import { listName, listOf, pageOf, pageQuery } from '../page.ts';
import { changeOf, Plan, PlannedChange, PlanSummary, planOf, planSummaryOf } from '../shapes/plan.ts';
import { Run } from '../shapes/run.ts';
import { startRun } from '../start-run.ts';
import { typed } from '../typed.ts';
import { Values, valuesOf } from '../values.ts';

const params = z.object({
  id: z
    .string()
    .min(1)
    .max(200)
    .describe('Id of the plan')
    .meta({ examples: ['p_06dq2k8v4m7x3w'] }),
});

const conditional = z.looseObject({
  'if-match': z
    .string()
    .max(1000)
    .optional()
    .describe('Required: the ETag of the plan, or its hash in quotes')
    .meta({ examples: ['"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"'] }),
});

/** A plan that the caller may know of. */
const visiblePlan = async (api: Api, request: FastifyRequest, id: string, o: Cancel): Promise<StoredPlan> => {
  const plan = await api.store.plans.get(id, o);
  // One that the caller may not know of is as one that is not there, in every word.
  if (plan?.header.id === id && maySee(request.principal, plan.header.sync)) return plan;
  throw new LockstepError('NOT_FOUND', `There is no plan ${id}.`, { hint: 'List them: GET /api/v1/plans' });
};

/** The tag of a plan as it is shown: its hash, and what else may change about it. */
const tagOf = (plan: z.infer<typeof Plan>): string => {
  const rest = createHash('sha256').update(JSON.stringify(plan)).digest('hex').slice(0, 16);
  return `"${plan.hash}.${rest}"`;
};

/** What the caller has seen must be this plan: its hash, alone or as the first part of an ETag. */
const mustMatch = (request: FastifyRequest, plan: StoredPlan): void => {
  const hint = `GET /api/v1/plans/${plan.header.id} has it in ETag.`;
  const tags = ifMatch(request, hint);
  if (!tags.some((tag) => tag === `"${plan.hash}"` || tag.startsWith(`"${plan.hash}.`)))
    throw new HttpProblem('PRECONDITION_FAILED', `If-Match is not the hash of plan ${plan.header.id}.`, { hint });
};

/** PLAN_USED or PLAN_EXPIRED. */
const mustBeReady = (plan: StoredPlan, now: number): void => {
  const { id, expires } = plan.header;
  if (plan.usedBy !== null)
    throw new LockstepError('PLAN_USED', `Plan ${id} has been applied, by run ${plan.usedBy}.`, {
      hint: 'A plan is used once. Make a new one.',
    });
  if (expires <= now)
    throw new LockstepError('PLAN_EXPIRED', `Plan ${id} expired at ${new Date(expires).toISOString()}.`, {
      hint: 'Make a new one.',
    });
};

export const plans: Routes = (app, api) => {
  const cursors = cursorsOf(api);
  const routes = typed(app);
  const ruleOf = ({ header }: StoredPlan) => approvalRuleOf(api.config(), header.sync);
  const shown = async (
    request: FastifyRequest,
    plan: StoredPlan,
    reply: FastifyReply,
    o: Cancel,
  ): Promise<z.infer<typeof Plan>> => {
    const approvals = await api.store.approvals.of(plan.header.id, o);
    const agreement = await agreementOf(api.store, plan, ruleOf(plan), o);
    const body = planOf(request, plan, { approvals, agreement }, api.clock.now());
    reply.header('etag', tagOf(body));
    return body;
  };
  routes.get(
    '/api/v1/plans',
    {
      config: { scope: 'plans:read', objects: 'checked' },
      schema: {
        operationId: 'listPlans',
        summary: 'Plans, newest first',
        tags: ['plans'],
        querystring: z.strictObject({ ...pageQuery, sync: textFilter.optional().describe('e.g. eq.subscriptions') }),
        response: { 200: listOf(PlanSummary) },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      const { limit, cursor, sync } = request.query;
      const sealed = await cursors(o);
      const only = visibleSyncs(request);
      const syncs = sync && only ? sync.filter((s) => only.includes(s)) : (sync ?? only);
      const found = await api.store.plans.list(
        {
          limit: limit + 1,
          ...(cursor === undefined ? {} : { before: sealed.open(listName(request), cursor, z.string()) }),
          ...(syncs === undefined ? {} : { syncs }),
        },
        o,
      );
      const { items, page } = pageOf(request, reply, {
        items: found,
        limit,
        cursors: sealed,
        position: (p) => p.header.id,
      });
      return { data: items.map((plan) => planSummaryOf(plan, api.clock.now())), page };
    },
  );
  routes.get(
    '/api/v1/plans/:id',
    {
      config: { scope: 'plans:read', objects: 'checked', etag: true, problems: [404] },
      schema: {
        operationId: 'getPlan',
        summary: 'One plan: what it would write, where, and who agreed',
        tags: ['plans'],
        params,
        response: { 200: Plan },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      return shown(request, await visiblePlan(api, request, request.params.id, o), reply, o);
    },
  );
  routes.get(
    '/api/v1/plans/:id/items',
    {
      config: { scope: 'plans:read', objects: 'checked', problems: [404] },
      schema: {
        operationId: 'listPlanItems',
        summary: 'Every change of a plan, in the order of application',
        tags: ['plans'],
        params,
        querystring: z.strictObject(pageQuery),
        response: { 200: listOf(PlannedChange, { values: Values }) },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      const plan = await visiblePlan(api, request, request.params.id, o);
      const { limit, cursor } = request.query;
      const sealed = await cursors(o);
      const after = cursor === undefined ? 0 : sealed.open(listName(request), cursor, z.number().int());
      const found: z.infer<typeof PlannedChange>[] = [];
      for await (const batch of api.store.plans.items(plan.header.id, { ...o, after })) {
        for (const item of batch.slice(0, limit + 1 - found.length)) found.push(changeOf(request, plan.header, item));
        if (found.length > limit) break;
      }
      const { items, page } = pageOf(request, reply, { items: found, limit, cursors: sealed, position: (c) => c.seq });
      return { data: [...items], page, values: valuesOf(request) };
    },
  );
  routes.post(
    '/api/v1/plans/:id/approve',
    {
      config: { scope: 'plans:approve', objects: 'checked', problems: [404, 409, 410, 412, 428] },
      schema: {
        operationId: 'approvePlan',
        summary: 'Agree to a plan, as it was seen',
        description:
          'Recorded with the plan; one per person. If-Match says which plan was looked at. 403 where the agreement would not count (`approvals` of the sync). A plan that waits is applied as soon as enough have agreed.',
        tags: ['plans'],
        params,
        headers: conditional,
        body: z
          .strictObject({ comment: z.string().max(2000).optional() })
          .nullish()
          .meta({ examples: [{ comment: 'looked at every delete' }] }),
        response: { 200: Plan },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      const plan = await visiblePlan(api, request, request.params.id, o);
      mustMatch(request, plan);
      const by = { actor: request.principal.name, correlation: request.id, at: api.clock.now() };
      const comment = request.body?.comment ?? null;
      await approve(api.store, plan, { ...by, comment }, ruleOf(plan), o);
      return shown(request, plan, reply, o);
    },
  );
  routes.post(
    '/api/v1/plans/:id/apply',
    {
      config: { scope: 'plans:apply', objects: 'checked', problems: [400, 404, 409, 410, 412, 422, 428] },
      schema: {
        operationId: 'applyPlan',
        summary: 'Apply a plan, as it was seen',
        description:
          'Starts a run: follow `Location`. Needs If-Match with the hash of the plan, and an Idempotency-Key.',
        tags: ['plans'],
        params,
        headers: z.looseObject({ ...conditional.shape, ...idempotencyHeaders.shape }),
        response: { 200: Run, 202: Run },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      const plan = await visiblePlan(api, request, request.params.id, o);
      mustMatch(request, plan);
      const { id } = plan.header;
      const key = keyOf(request);
      const before = key === undefined ? undefined : await api.desk.known(request.principal.name, key, o);
      if (before === undefined) mustBeReady(plan, api.clock.now());
      return startRun(api, request, reply, {
        ...o,
        run: { kind: 'apply', plan: id },
        object: `plans/${id}`,
        writes: true,
      });
    },
  );
};
