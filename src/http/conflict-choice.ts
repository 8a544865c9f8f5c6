import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Cancel } from '../model/cancel.ts';
import type { Conflict as Kept } from '../model/conflicts.ts';
import { LockstepError } from '../model/errors.ts';
import type { RunRequest } from '../model/service.ts';
import { conflictTypes } from '../model/two-way.ts';
import { twoWayRulesOf } from '../service/two-way.ts';
import { mayWrite, type TwoWayRules } from '../work/two-way/context.ts';
import { cellsByHand } from '../work/two-way/resolve.ts';
import type { Api } from './api.ts';
import { askedBy } from './idempotency.ts';
import { means, openSync } from './open-sync.ts';
import { type Run, runOf } from './shapes/run.ts';
import { syncNamed } from './sync-named.ts';
import { Cell } from './values.ts';

const why = z.string().max(2000).optional().describe('The reason, kept with the decision');
const write = z
  .boolean()
  .default(true)
  .describe('Start a run that writes it, and nothing else; false: the next run of the sync writes it');

const whole = z.number().int().min(0);

export const Choice = z
  .strictObject({
    take: z.enum(['source', 'target', 'base']).describe('Whose row counts; base: what both last agreed on'),
    cells: z
      .record(z.string().min(1).max(500), Cell)
      .refine((cells) => Object.keys(cells).length > 0, { error: 'leave it out, or name a column' })
      .optional()
      .describe('Values by hand, by source column, in place of those of the taken row'),
    why,
    write,
    replace: z.boolean().default(false).describe('Also in place of a decision that is not written yet'),
  })
  .refine((c) => c.cells === undefined || c.take !== 'base', {
    error: 'values by hand go with take: source or take: target',
    path: ['cells'],
  })
  .meta({ id: 'ConflictChoice', examples: [{ take: 'source', cells: { plan: 'team' }, why: 'they called' }] });

export const BulkChoice = z
  .strictObject({
    sync: z.string().min(1).max(200),
    pair: z.string().min(1).max(500).optional(),
    types: z.array(z.enum(conflictTypes)).min(1).optional(),
    column: z.string().min(1).max(500).optional().describe('A source column that is disputed'),
    take: z.enum(['source', 'target', 'base']),
    why,
    write,
    allow_deletes: whole.optional().describe('In place of `max_deletes` of the sync; needs the scope plans:apply'),
    max_changes: whole.optional().describe('In place of `max_changes` of the sync; needs the scope plans:apply'),
    dry_run: z.boolean().default(false).describe('Only say what is meant'),
    expect: whole
      .optional()
      .describe('How many were seen, `matched` of a dry run: of any other number none is decided (409)'),
  })
  .meta({
    id: 'ConflictBulkChoice',
    examples: [{ sync: 'subscriptions', column: 'price', take: 'source', why: 'billing sets prices', dry_run: true }],
  });

/** How the sync settles conflicts now; CONFLICT where it keeps no archive. */
export const rulesOf = (api: Api, request: FastifyRequest, name: string): TwoWayRules => {
  const sync = syncNamed(api, request, name);
  const rules = twoWayRulesOf(sync, sync.mode);
  if (rules !== undefined) return rules;
  throw new LockstepError('CONFLICT', `Sync ${name} keeps no archive now, so nothing is written for its conflicts.`, {
    hint: 'Set mode: two_way, or say how its conflicts are settled.',
  });
};

/** A run that writes what was decided; one that has not begun yet will do. */
export const writing = async (
  api: Api,
  request: FastifyRequest,
  reply: FastifyReply,
  /** `decision`: names it, so that the same one asks for one run. */
  o: Cancel & { readonly sync: string; readonly decision?: string },
): Promise<z.infer<typeof Run>> => {
  const wanted: RunRequest = { kind: 'sync', sync: o.sync, onlyDecided: true };
  const queued = await api.store.runs.list({ sync: o.sync, kinds: ['sync'], states: ['queued'], limit: 20 }, o);
  const same = queued.find((run) => {
    const asked = run.asked?.request as RunRequest | undefined;
    return asked?.kind === 'sync' && asked.onlyDecided === true;
  });
  const { idempotencyKey: _, ...asked } = askedBy(request);
  const key = o.decision === undefined ? {} : { idempotencyKey: o.decision };
  const run = same ?? (await api.desk.request(wanted, { ...asked, ...key }, o)).run;
  reply.code(202).header('location', `/api/v1/runs/${run.id}`);
  return runOf(request, run);
};

/** Values by hand, checked against both sides as they are now. */
export const byHand = async (
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
