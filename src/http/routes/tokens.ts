import { z } from 'zod';
import { makeToken, type TokenWish } from '../../access/make-token.ts';
import { roleNames } from '../../access/roles.ts';
import { scopes } from '../../access/scopes.ts';
import { parseDuration } from '../../config/units.ts';
import { LockstepError } from '../../model/errors.ts';
import type { JsonValue } from '../../model/json.ts';
import type { Token as StoredToken } from '../../model/tokens.ts';
import type { Routes } from '../api.ts';
import { audited } from '../audited.ts';
import { cancelOf } from '../cancel.ts';
import { HttpProblem } from '../errors.ts';
import { Time, timeOf } from '../shapes/time.ts';
import { typed } from '../typed.ts';

const Token = z
  .object({
    id: z.string(),
    name: z.string(),
    role: z.string().nullable(),
    scopes: z.array(z.string()),
    only: z
      .object({ syncs: z.array(z.string()), records: z.array(z.string()) })
      .nullable()
      .describe('What the scopes are good for; null: all'),
    claims: z.record(z.string(), z.string()).describe('What row filters know of the holder'),
    created_by: z.string(),
    created: Time,
    expires: Time.nullable(),
    last_used: Time.nullable().describe('To the minute'),
    revoked: Time.nullable(),
  })
  .meta({
    id: 'Token',
    examples: [
      {
        id: 't_06dq2k8v4m7x3w',
        name: 'ci',
        role: null,
        scopes: ['runs:read', 'runs:create'],
        only: { syncs: ['subscriptions'], records: [] },
        claims: {},
        created_by: 'me@laptop',
        created: '2026-11-21T12:00:00.000Z',
        expires: '2026-12-21T12:00:00.000Z',
        last_used: null,
        revoked: null,
      },
    ],
  });

const name = z.string().min(1).max(200);
const names = z.array(name).max(1000);
const Wish = z
  .strictObject({
    name: z.string().min(1).max(100),
    role: z.enum(roleNames).optional().describe('Instead of scopes'),
    scopes: z.array(z.enum(scopes)).min(1).optional(),
    syncs: names.optional().describe('It is good for these syncs only'),
    records: names.optional().describe('It is good for these entities of records only'),
    claims: z.record(name, z.string().max(1000)).optional().describe('What row filters know of the holder'),
    expires_in: z.string().max(20).optional().describe('e.g. 30d; absent: it does not expire'),
  })
  .meta({
    id: 'TokenRequest',
    examples: [{ name: 'ci', scopes: ['runs:read', 'runs:create'], syncs: ['subscriptions'], expires_in: '30d' }],
  });

const tokenOf = (t: StoredToken): z.infer<typeof Token> => ({
  id: t.id,
  name: t.name,
  role: t.role,
  scopes: [...t.scopes],
  only: t.only && { syncs: [...(t.only.syncs ?? [])], records: [...(t.only.records ?? [])] },
  claims: { ...t.claims },
  created_by: t.createdBy,
  created: timeOf(t.created),
  expires: t.expires === null ? null : timeOf(t.expires),
  last_used: t.lastUsed === null ? null : timeOf(t.lastUsed),
  revoked: t.revoked === null ? null : timeOf(t.revoked),
});

const wishOf = (body: z.infer<typeof Wish>): TokenWish => {
  const expiresIn = body.expires_in === undefined ? undefined : parseDuration(body.expires_in);
  if (body.expires_in !== undefined && expiresIn === undefined)
    throw new HttpProblem('BODY', `${body.expires_in} is no duration.`, {
      hint: 'Write for example 30d or 12h.',
      errors: [{ pointer: '/expires_in', detail: 'is no duration' }],
    });
  return {
    name: body.name,
    ...(body.role === undefined ? {} : { role: body.role }),
    ...(body.scopes === undefined ? {} : { scopes: body.scopes }),
    ...(body.syncs === undefined ? {} : { syncs: body.syncs }),
    ...(body.records === undefined ? {} : { records: body.records }),
    ...(body.claims === undefined ? {} : { claims: body.claims }),
    ...(expiresIn === undefined ? {} : { expiresIn }),
  };
};

const params = z.object({
  id: name.describe('Id of the token').meta({ examples: ['t_06dq2k8v4m7x3w'] }),
});

export const tokens: Routes = (app, api) => {
  const routes = typed(app);
  const store = () => api.store.tokens;
  routes.get(
    '/api/v1/tokens',
    {
      config: { scope: 'tokens:manage' },
      schema: {
        operationId: 'listTokens',
        summary: 'All tokens, newest first; never their secrets',
        tags: ['tokens'],
        querystring: z.strictObject({}),
        response: { 200: z.object({ data: z.array(Token) }) },
      },
    },
    async (request, reply) => ({ data: (await store().list(cancelOf(request, reply))).map(tokenOf) }),
  );
  routes.post(
    '/api/v1/tokens',
    {
      config: { scope: 'tokens:manage', problems: [409] },
      schema: {
        operationId: 'createToken',
        summary: 'Make a token',
        description: 'Its secret is in this answer and kept nowhere. Nobody can hand out more than he has.',
        tags: ['tokens'],
        body: Wish,
        response: {
          201: z.object({ token: Token, secret: z.string().describe('Sent as `Authorization: Bearer lsk_…`') }),
        },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      const wish = wishOf(request.body);
      const by = { actor: request.principal.name, principal: request.principal };
      const made = await audited(
        api,
        request,
        { action: 'token.create', object: `tokens/${wish.name}`, after: { ...request.body } as JsonValue },
        o,
        () => makeToken(store(), wish, by, api.clock, o),
      );
      reply.code(201).header('location', `/api/v1/tokens/${made.token.id}`).header('cache-control', 'no-store');
      return { token: tokenOf(made.token), secret: made.secret };
    },
  );
  routes.get(
    '/api/v1/tokens/:id',
    {
      config: { scope: 'tokens:manage', problems: [404] },
      schema: {
        operationId: 'getToken',
        summary: 'One token; never its secret',
        tags: ['tokens'],
        params,
        response: { 200: Token },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const found = (await store().list(cancelOf(request, reply))).find((token) => token.id === id);
      if (!found) throw new LockstepError('NOT_FOUND', `There is no token ${id}.`);
      return tokenOf(found);
    },
  );
  routes.post(
    '/api/v1/tokens/:id/revoke',
    {
      config: { scope: 'tokens:manage', problems: [404] },
      schema: {
        operationId: 'revokeToken',
        summary: 'Revoke a token: every server refuses it within a second',
        tags: ['tokens'],
        params,
        response: { 200: Token },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply);
      const { id } = request.params;
      const revoked = await audited(api, request, { action: 'token.revoke', object: `tokens/${id}` }, o, () =>
        store().revoke(id, api.clock.now(), o),
      );
      return tokenOf(revoked);
    },
  );
};
