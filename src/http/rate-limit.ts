import rateLimit, { normalizeIP } from '@fastify/rate-limit';
import type { FastifyInstance } from 'fastify';
import { grouped } from '../lib/grouped.ts';
import { tooMany } from './refusal.ts';

/**
 * So many requests per caller, and per address where anybody may ask; counted by this process alone. A route that must
 * always answer says `config: { rateLimit: false }`.
 */
export const addRateLimit = async (
  app: FastifyInstance,
  limit: () => { readonly requests: number; readonly perMs: number } | undefined,
): Promise<void> => {
  await app.register(rateLimit, {
    global: false,
    enableDraftSpec: true,
    keyGenerator: (request) => request.principal?.name ?? `address ${normalizeIP(request.ip)}`,
    max: () => limit()?.requests ?? 0,
    timeWindow: () => limit()?.perMs ?? 1000,
    errorResponseBuilder: (request, { max, ttl }) =>
      tooMany(
        `${request.principal?.name ?? 'this address'} has made its ${grouped(max)} requests for now`,
        ttl,
      ) as unknown as object,
  });
  const count = app.rateLimit();
  app.addHook('onRequest', (request, reply, done) => {
    if (limit() === undefined || request.is404 || request.routeOptions.config.rateLimit === false) return done();
    count.call(app, request, reply).then(() => done(), done);
  });
};
