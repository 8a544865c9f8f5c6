import type { FastifyInstance } from 'fastify';

/**
 * Pages of ours load only from here and are framed by nobody; an answer is never taken for another kind of content. One
 * year of TLS is asked of browsers that came by TLS. No CORS: pages of others cannot read what is answered here.
 * Constant texts, set by a hook of our own: a middleware would put them together anew for each request.
 */
export const safetyHeaders: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'self'; script-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

const strict = { ...safetyHeaders, 'strict-transport-security': 'max-age=31536000' };

/** Sets them on every answer; a route may replace one. */
export const addSafetyHeaders = (app: FastifyInstance): void => {
  app.addHook('onRequest', (request, reply, done) => {
    // By TLS of ours, or by that of a proxy that is believed.
    reply.headers(request.protocol === 'https' ? strict : safetyHeaders);
    done();
  });
};
