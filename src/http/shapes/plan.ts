import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Approval } from '../../model/listings.ts';
import type { PlanHeader, PlanItem, Plan as StoredPlan } from '../../model/plans.ts';
import { tableLabel } from '../../model/schema.ts';
import type { Agreement } from '../../work/approvals.ts';
import { shownChange } from '../../work/shown-change.ts';
import { snakeKeys } from '../snake-keys.ts';
import { Cell, shownCells, shownReport } from '../values.ts';
import { sideOf } from './run.ts';
import { Time, timeOf, timeOrNull } from './time.ts';

export const changeOps = ['insert', 'update', 'delete'] as const;
const count = z.number().int();

const summary = {
  id: z.string(),
  sync: z.string().nullable(),
  run: z.string().nullable().describe('The run that made it'),
  mode: z.string(),
  hash: z.string().describe('SHA-256 of everything it would do; what If-Match takes'),
  counts: z.object({ insert: count, update: count, delete: count }),
  created: Time,
  expires: Time,
  state: z.enum(['ready', 'expired', 'used']),
  used_by: z.string().nullable().describe('The run that applied it'),
  used_at: Time.nullable(),
  reverts: z.string().nullable().describe('The run it undoes'),
};

const example = {
  id: 'p_06dq2k8v4m7x3w',
  sync: 'subscriptions',
  run: 'r_06dq2k8v4m7x3w',
  mode: 'mirror',
  hash: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  counts: { insert: 1, update: 3, delete: 0 },
  created: '2026-11-21T12:00:00.000Z',
  expires: '2026-11-22T12:00:00.000Z',
  state: 'ready',
  used_by: null,
  used_at: null,
  reverts: null,
} as const;

export const PlanSummary = z.object(summary).meta({ id: 'PlanSummary', examples: [example] });

const Approved = z.object({ actor: z.string(), at: Time, comment: z.string().nullable() }).meta({
  id: 'Approval',
  examples: [{ actor: 'oidc:alice', at: '2026-11-21T12:10:00.000Z', comment: 'looked at all' }],
});

const Side = z.object({ name: z.string(), engine: z.string(), version: z.string(), description: z.string() });

export const Plan = z
  .object({
    ...summary,
    source: Side.nullable(),
    target: Side.nullable(),
    tables: z.array(z.object({ pair: z.string(), table: z.string(), key: z.array(z.string()) })),
    settings: z.unknown().describe('How it is written, where `apply` of the configuration says so'),
    guards: z.unknown().describe('The limits it was made under'),
    summary: z.unknown().describe('Withheld, rows that do not fit, warnings, row counts'),
    approvals: z.array(Approved),
    approvals_required: count.describe('How many people have to agree before it is applied'),
    approvals_missing: count.describe('How many more have to'),
  })
  .meta({
    id: 'Plan',
    examples: [
      {
        ...example,
        source: { name: 'billing', engine: 'postgres', version: 'PostgreSQL 18.4', description: 'billing on db1' },
        target: { name: 'crm', engine: 'postgres', version: 'PostgreSQL 18.4', description: 'crm on db2' },
        tables: [{ pair: 'public.subscriptions', table: 'sales.subscription', key: ['external_id'] }],
        settings: { batch_size: 1000 },
        guards: { max_changes: 500, max_change_ratio: 0.01, max_deletes: 0, empty_source: 'stop' },
        summary: {},
        approvals: [],
        approvals_required: 1,
        approvals_missing: 1,
      },
    ],
  });

export const planSummaryOf = (
  { header, hash, usedBy, usedAt }: StoredPlan,
  now: number,
): z.infer<typeof PlanSummary> => ({
  id: header.id,
  sync: header.sync,
  run: header.run,
  mode: header.mode,
  hash,
  counts: { insert: header.counts.insert, update: header.counts.update, delete: header.counts.delete },
  created: timeOf(header.created),
  expires: timeOf(header.expires),
  state: usedBy !== null ? 'used' : header.expires <= now ? 'expired' : 'ready',
  used_by: usedBy,
  used_at: timeOrNull(usedAt),
  reverts: header.reverts ?? null,
});

export const planOf = (
  request: FastifyRequest,
  plan: StoredPlan,
  { approvals, agreement }: { readonly approvals: readonly Approval[]; readonly agreement: Agreement },
  now: number,
): z.infer<typeof Plan> => ({
  ...planSummaryOf(plan, now),
  source: sideOf(plan.header.source),
  target: sideOf(plan.header.target),
  tables: plan.header.tables.map(({ pair, table, key }) => ({ pair, table: tableLabel(table), key: [...key] })),
  settings: snakeKeys(plan.header.settings),
  guards: snakeKeys(plan.header.guards),
  summary: shownReport(request, plan.header.summary),
  approvals: approvals.map(({ actor, at, comment }) => ({ actor, at: timeOf(at), comment })),
  approvals_required: agreement.required,
  approvals_missing: agreement.missing,
});

const change = {
  seq: z.number().int().describe('Its place in the plan'),
  op: z.enum(changeOps),
  pair: z.string(),
  table: z.string(),
  key: z.record(z.string(), Cell),
  cells: z
    .array(z.object({ column: z.string(), before: Cell.optional(), after: Cell.optional() }))
    .describe('What is written, by column of the target: `before` is absent of an insert, `after` of a delete'),
};

const changeExample = {
  seq: 1,
  op: 'update',
  pair: 'public.subscriptions',
  table: 'sales.subscription',
  key: { external_id: '17' },
  cells: [{ column: 'state', before: 'inactive', after: 'active' }],
} as const;

export const PlannedChange = z.object(change).meta({ id: 'PlannedChange', examples: [changeExample] });

/** A planned change as the caller may see it. */
export const changeOf = (
  request: FastifyRequest,
  header: PlanHeader,
  item: PlanItem,
): z.infer<typeof PlannedChange> => {
  const shown = shownChange(header, item);
  return { ...shown, cells: shownCells(request, shown.cells) };
};

export const outcomeStatuses = ['applied', 'already', 'moved', 'rejected', 'conflict', 'skipped'] as const;

export const WrittenChange = z
  .object({
    id: z.string().describe('run.step.seq'),
    run: z.string(),
    plan: z.string(),
    step: z.number().int().describe('The transaction in the target'),
    ...change,
    status: z.enum(outcomeStatuses),
    reason: z.string().nullable().describe('The words of the database, which may quote values'),
    sql_state: z.string().nullable(),
  })
  .meta({
    id: 'Change',
    examples: [
      {
        id: 'r_06dq2k8v4m7x3w.1.1',
        run: 'r_06dq2k8v4m7x3w',
        plan: 'p_06dq2k8v4m7x3w',
        step: 1,
        ...changeExample,
        status: 'applied',
        reason: null,
        sql_state: null,
      },
    ],
  });
