import { z } from 'zod';
import type { AuditEntry, AuditHead } from '../../model/audit.ts';
import type { Routes } from '../api.ts';
import { cancelOf } from '../cancel.ts';
import { cursorsOf } from '../cursors.ts';
import { equalFilter, timeFilter } from '../filters.ts';
import { listName, listOf, pageOf, pageQuery } from '../page.ts';
import { Time, timeOf } from '../shapes/time.ts';
import { typed } from '../typed.ts';

const Entry = z
  .object({
    seq: z.number().int().describe('1, 2, 3, … without a gap'),
    at: Time,
    actor: z.string(),
    action: z.string(),
    object: z.string(),
    before: z.unknown(),
    after: z.unknown(),
    outcome: z.enum(['intended', 'done', 'failed', 'refused']).describe('intended: written before the effect'),
    correlation: z.string(),
    hash: z.string().describe('Chains it to the entry before'),
  })
  .meta({
    id: 'AuditEntry',
    examples: [
      {
        seq: 17,
        at: '2026-11-21T12:00:04.120Z',
        actor: 'token:ci',
        action: 'run.sync',
        object: 'syncs/subscriptions',
        before: null,
        after: { kind: 'sync', sync: 'subscriptions' },
        outcome: 'done',
        correlation: 'c_06dq2k8v4m7x3w',
        hash: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
      },
    ],
  });

const head = { seq: z.number().int(), hash: z.string(), key: z.string(), mac: z.string() };
const example = { seq: 17, hash: '9f86d081', key: 'k1', mac: '60303ae2' };
const Head = z.object(head).meta({ id: 'AuditHead', examples: [example] });

const Verdict = z
  .object({
    entries: z.number().int(),
    head: Head,
    checkpoints: z.number().int().describe('Heads that were given and hold'),
    problems: z
      .array(z.object({ seq: z.number().int(), what: z.string() }))
      .describe('Empty: the log is what was written'),
  })
  .meta({ id: 'AuditVerdict', examples: [{ entries: 17, head: example, checkpoints: 0, problems: [] }] });

const entryOf = (e: AuditEntry): z.infer<typeof Entry> => ({
  seq: e.seq,
  at: timeOf(e.at),
  actor: e.actor,
  action: e.action,
  object: e.object,
  before: e.before ?? null,
  after: e.after ?? null,
  outcome: e.outcome,
  correlation: e.correlation,
  hash: e.hash,
});

const headOf = ({ seq, hash, key, mac }: AuditHead): z.infer<typeof Head> => ({ seq, hash, key, mac });

/** How long the whole chain may take to be looked at, milliseconds. */
const verifyMs = 600_000;

export const audit: Routes = (app, api) => {
  const cursors = cursorsOf(api);
  const routes = typed(app);
  routes.get(
    '/api/v1/audit',
    {
      config: { scope: 'audit:read' },
      schema: {
        operationId: 'listAudit',
        summary: 'Who did what, newest first',
        tags: ['audit'],
        querystring: z.strictObject({
          ...pageQuery,
          actor: equalFilter.optional().describe('e.g. eq.token:ci'),
          action: equalFilter.optional().describe('e.g. eq.plan.apply'),
          object: equalFilter.optional().describe('This and what is below it: eq.records/subscriptions'),
          correlation: equalFilter.optional(),
          at: timeFilter.optional().describe('e.g. gte.2026-01-01'),
        }),
        response: { 200: listOf(Entry) },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      const { limit, cursor, at, actor, action, object, correlation } = request.query;
      const sealed = await cursors(o);
      const found = await api.store.audit.list(
        {
          limit: limit + 1,
          ...(cursor === undefined ? {} : { before: sealed.open(listName(request), cursor, z.number().int()) }),
          ...(actor === undefined ? {} : { actor }),
          ...(action === undefined ? {} : { action }),
          ...(object === undefined ? {} : { object }),
          ...(correlation === undefined ? {} : { correlation }),
          ...(at?.from === undefined ? {} : { from: at.from }),
          ...(at?.until === undefined ? {} : { to: at.until }),
        },
        o,
      );
      const { items, page } = pageOf(request, reply, { items: found, limit, cursors: sealed, position: (e) => e.seq });
      return { data: items.map(entryOf), page };
    },
  );
  routes.get(
    '/api/v1/audit/head',
    {
      config: { scope: 'audit:read' },
      schema: {
        operationId: 'getAuditHead',
        summary: 'The end of the audit log now',
        description: 'Kept elsewhere it proves later that nothing up to it was changed or cut off.',
        tags: ['audit'],
        response: { 200: Head },
      },
    },
    async (request, reply) => headOf(await api.store.audit.head(cancelOf(request, reply))),
  );
  routes.post(
    '/api/v1/audit/verify',
    {
      config: { scope: 'audit:read', problems: [504] },
      schema: {
        operationId: 'verifyAudit',
        summary: 'Look at every entry: was the log edited, cut or written anew?',
        tags: ['audit'],
        body: z
          .strictObject({ checkpoints: z.array(z.strictObject(head)).max(1000).optional() })
          .nullish()
          .meta({ examples: [{ checkpoints: [] }] }),
        response: { 200: Verdict },
      },
    },
    async (request, reply) => {
      const checkpoints = (request.body?.checkpoints ?? []) as readonly AuditHead[];
      const v = await api.store.audit.verify(checkpoints, cancelOf(request, reply, { ms: verifyMs }));
      return {
        entries: v.entries,
        head: headOf(v.head),
        checkpoints: v.checkpoints,
        problems: v.problems.map(({ seq, what }) => ({ seq, what })),
      };
    },
  );
};
