import { z } from 'zod';
import { parseDuration } from '../../config/units.ts';
import { newId } from '../../lib/ids.ts';
import type { Alert, Silence } from '../../model/alerts.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Api, Routes } from '../api.ts';
import { audited } from '../audited.ts';
import { cancelOf } from '../cancel.ts';
import { cursorsOf } from '../cursors.ts';
import { equalFilter, wordFilter } from '../filters.ts';
import { maySee, mustSee, visibleSyncs } from '../guard.ts';
import { listName, listOf, pageOf, pageQuery } from '../page.ts';
import { Time, timeOf, timeOrNull } from '../shapes/time.ts';
import { typed } from '../typed.ts';

const id = (example: string) =>
  z
    .string()
    .min(1)
    .max(100)
    .meta({ examples: [example] });

const AlertShape = z
  .object({
    id: z.string(),
    rule: z.string(),
    state: z.enum(['pending', 'firing', 'resolved']).describe('pending: not for long enough yet'),
    severity: z.enum(['info', 'warning', 'critical']),
    subject: z.string(),
    sync: z.string().nullable(),
    summary: z.string(),
    detail: z.string(),
    command: z.string().describe('What to run to see more'),
    value: z.number().nullable(),
    since: Time,
    fired_at: Time.nullable(),
    resolved_at: Time.nullable(),
    notified_at: Time.nullable().describe('When channels were told last; null: never'),
    acknowledged: z.object({ by: z.string(), at: Time, note: z.string().nullable() }).nullable(),
  })
  .meta({
    id: 'Alert',
    examples: [
      {
        id: 'al_06dq2k8v4m7x3w',
        rule: 'sync_failed',
        state: 'firing',
        severity: 'critical',
        subject: 'syncs/subscriptions',
        sync: 'subscriptions',
        summary: 'subscriptions: the last sync failed (CONNECT).',
        detail: 'Run r_06dq2k8v4m7x3w ended at 2026-11-21T12:00:04Z: crm: nothing listens at db:5432.',
        command: 'lockstep show r_06dq2k8v4m7x3w',
        value: 1,
        since: '2026-11-21T12:00:04.120Z',
        fired_at: '2026-11-21T12:00:09.000Z',
        resolved_at: null,
        notified_at: null,
        acknowledged: null,
      },
    ],
  });

const SilenceShape = z
  .object({
    id: z.string(),
    rule: z.string().nullable().describe('null: every rule'),
    sync: z.string().nullable().describe('null: every sync, and what belongs to none'),
    subject: z.string().nullable(),
    until: Time,
    reason: z.string(),
    by: z.string(),
    at: Time,
  })
  .meta({
    id: 'Silence',
    examples: [
      {
        id: 'si_06dq2k8v4m7x3w',
        rule: null,
        sync: 'subscriptions',
        subject: null,
        until: '2026-11-21T14:00:00.000Z',
        reason: 'maintenance of crm',
        by: 'token:ci',
        at: '2026-11-21T12:00:00.000Z',
      },
    ],
  });

const alertOf = (api: Api, a: Alert): z.infer<typeof AlertShape> => ({
  id: a.id,
  rule: a.rule,
  state: a.state,
  severity: a.severity,
  subject: a.subject,
  sync: a.sync,
  summary: api.redactor.redact(a.summary),
  detail: api.redactor.redact(a.detail),
  command: a.command,
  value: a.value,
  since: timeOf(a.since),
  fired_at: timeOrNull(a.fired),
  resolved_at: timeOrNull(a.resolved),
  notified_at: timeOrNull(a.notified),
  acknowledged: a.acked && { by: a.acked.by, at: timeOf(a.acked.at), note: a.acked.note },
});

const silenceOf = (s: Silence): z.infer<typeof SilenceShape> => ({
  id: s.id,
  rule: s.rule,
  sync: s.sync,
  subject: s.subject,
  until: timeOf(s.until),
  reason: s.reason,
  by: s.by,
  at: timeOf(s.at),
});

const longestMs = 366 * 86_400_000;

export const alerts: Routes = (app, api) => {
  const cursors = cursorsOf(api);
  const routes = typed(app);
  routes.get(
    '/api/v1/alerts',
    {
      config: { scope: 'alerts:read', objects: 'checked' },
      schema: {
        operationId: 'listAlerts',
        summary: 'What is or was wrong, newest first',
        tags: ['alerts'],
        querystring: z.strictObject({
          ...pageQuery,
          state: wordFilter(['pending', 'firing', 'resolved']).optional().describe('e.g. eq.firing'),
          sync: equalFilter.optional().describe('e.g. eq.subscriptions'),
          rule: equalFilter.optional().describe('e.g. eq.drift'),
        }),
        response: { 200: listOf(AlertShape) },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      const { limit, cursor, state, sync, rule } = request.query;
      const sealed = await cursors(o);
      const only = visibleSyncs(request);
      const found = await api.store.alerts.list(
        {
          limit: limit + 1,
          ...(cursor === undefined ? {} : { before: sealed.open(listName(request), cursor, z.string()) }),
          ...(state === undefined ? {} : { states: state }),
          ...(sync === undefined ? {} : { sync }),
          ...(only === undefined ? {} : { syncs: only }),
          ...(rule === undefined ? {} : { rule }),
        },
        o,
      );
      const { items, page } = pageOf(request, reply, { items: found, limit, cursors: sealed, position: (a) => a.id });
      return { data: items.map((a) => alertOf(api, a)), page };
    },
  );
  routes.get(
    '/api/v1/alerts/:id',
    {
      config: { scope: 'alerts:read', objects: 'checked', problems: [404] },
      schema: {
        operationId: 'getAlert',
        summary: 'One alert',
        tags: ['alerts'],
        params: z.object({ id: id('al_06dq2k8v4m7x3w') }),
        response: { 200: AlertShape },
      },
    },
    async (request, reply) => {
      const found = await api.store.alerts.get(request.params.id, cancelOf(request, reply));
      if (found === undefined) throw new LockstepError('NOT_FOUND', `There is no alert ${request.params.id}.`);
      mustSee(request, found.sync, `alert ${request.params.id}`);
      return alertOf(api, found);
    },
  );
  routes.post(
    '/api/v1/alerts/:id/acknowledge',
    {
      config: { scope: 'alerts:ack', objects: 'checked', problems: [404, 409] },
      schema: {
        operationId: 'acknowledgeAlert',
        summary: 'Say that somebody looks after it: no reminders',
        tags: ['alerts'],
        params: z.object({ id: id('al_06dq2k8v4m7x3w') }),
        body: z
          .strictObject({ note: z.string().max(1000).optional() })
          .nullish()
          .meta({ examples: [{ note: 'on it' }] }),
        response: { 200: AlertShape },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      const found = await api.store.alerts.get(request.params.id, o);
      if (found === undefined) throw new LockstepError('NOT_FOUND', `There is no alert ${request.params.id}.`);
      mustSee(request, found.sync, `alert ${request.params.id}`);
      const note = request.body?.note ?? null;
      const what = { action: 'alert.acknowledge', object: `alerts/${found.id}`, after: { note } };
      const by = request.principal.name;
      return alertOf(
        api,
        await audited(api, request, what, o, () =>
          api.store.alerts.acknowledge(found.id, { by, at: api.clock.now(), note }, o),
        ),
      );
    },
  );
  routes.get(
    '/api/v1/silences',
    {
      config: { scope: 'alerts:read', objects: 'checked' },
      schema: {
        operationId: 'listSilences',
        summary: 'Silences that stand',
        description: 'While one stands, alerts that it fits are seen and not sent.',
        tags: ['alerts'],
        querystring: z.strictObject({}),
        response: { 200: z.object({ data: z.array(SilenceShape) }) },
      },
    },
    async (request, reply) => {
      const found = await api.store.alerts.silences(api.clock.now(), cancelOf(request, reply));
      return { data: found.filter((s) => maySee(request.principal, s.sync)).map(silenceOf) };
    },
  );
  routes.post(
    '/api/v1/silences',
    {
      config: { scope: 'alerts:ack', objects: 'checked', problems: [404] },
      schema: {
        operationId: 'addSilence',
        summary: 'Keep alerts quiet for a while',
        tags: ['alerts'],
        body: z
          .strictObject({
            for: z
              .string()
              .regex(/^\d+(\.\d+)?(s|m|h|d)$/, { error: 'expected a time such as 2h' })
              .refine((text) => (parseDuration(text) ?? Number.POSITIVE_INFINITY) <= longestMs, {
                error: 'at most 366d',
              }),
            reason: z.string().min(1).max(1000),
            rule: z.string().min(1).max(100).optional(),
            sync: z.string().min(1).max(200).optional(),
            subject: z.string().min(1).max(1000).optional(),
          })
          .meta({ examples: [{ sync: 'subscriptions', for: '2h', reason: 'maintenance of crm' }] }),
        response: { 201: SilenceShape },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      const { for: long, reason, rule = null, sync = null, subject = null } = request.body;
      mustSee(request, sync, sync === null ? 'silence for all syncs' : `sync ${sync}`);
      const at = api.clock.now();
      const silence: Silence = {
        id: newId('si', at),
        rule,
        sync,
        subject,
        until: at + parseDuration(long)!,
        reason,
        by: request.principal.name,
        at,
      };
      const what = {
        action: 'alert.silence',
        object: `silences/${silence.id}`,
        after: { rule, sync, subject, for: long },
      };
      await audited(api, request, what, o, () => api.store.alerts.silence(silence, o));
      return reply.code(201).send(silenceOf(silence));
    },
  );
  routes.delete(
    '/api/v1/silences/:id',
    {
      config: { scope: 'alerts:ack', objects: 'checked', problems: [404] },
      schema: {
        operationId: 'endSilence',
        summary: 'End a silence',
        tags: ['alerts'],
        params: z.object({ id: id('si_06dq2k8v4m7x3w') }),
        response: { 204: z.null() },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      const found = (await api.store.alerts.silences(api.clock.now(), o)).find((s) => s.id === request.params.id);
      if (found === undefined || !maySee(request.principal, found.sync))
        throw new LockstepError('NOT_FOUND', `There is no silence ${request.params.id}.`);
      const what = { action: 'alert.unsilence', object: `silences/${found.id}` };
      await audited(api, request, what, o, () => api.store.alerts.unsilence(found.id, o));
      return reply.code(204).send(null);
    },
  );
};
