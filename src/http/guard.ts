import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify';
import { mayAccess } from '../access/may-access.ts';
import type { Principal, Scope } from '../access/scopes.ts';
import { LockstepError } from '../model/errors.ts';

export interface KnownRoute {
  readonly method: string;
  readonly url: string;
  readonly scope: Scope | 'public' | 'any' | undefined;
}

/** May this caller know of the sync? `null`: what belongs to none is for callers that are bound to none. */
export const maySee = (principal: Principal, sync: string | null): boolean => mayAccess(principal, { sync });

/** What a caller may not know of is not there. */
export const mustSee = (request: FastifyRequest, sync: string | null, what: string): void => {
  if (!maySee(request.principal, sync)) throw new LockstepError('NOT_FOUND', `There is no ${what}.`);
};

/** Syncs that a list is narrowed to; undefined: all. */
export const visibleSyncs = ({ principal }: FastifyRequest): readonly string[] | undefined =>
  principal.only && (principal.only.syncs ?? []);

/** Deny by default: a route without a scope keeps the server from starting. The list is filled when the app is ready. */
export const addGuard = (app: FastifyInstance): readonly KnownRoute[] => {
  const routes: KnownRoute[] = [];
  const seen: RouteOptions[] = [];
  app.addHook('onRoute', (route) => void seen.push(route));
  app.addHook('onReady', async () => {
    for (const { method, url, config } of seen)
      for (const one of [method].flat()) routes.push({ method: one, url, scope: config?.scope });
    const open = routes.filter(({ scope }) => scope === undefined);
    if (open.length === 0) return;
    const names = open.map(({ method, url }) => `${method} ${url}`).join(', ');
    throw new LockstepError('INTERNAL', `these routes name no scope: ${names}`);
  });
  return routes;
};
