import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type Authenticator, UnknownToken } from '../access/authenticate.ts';
import { failedLogins } from '../access/failed-logins.ts';
import { type Principal, type Scope, scopes } from '../access/scopes.ts';
import { tokenHashText } from '../access/token-secret.ts';
import type { Clock } from '../lib/clock.ts';
import type { Cancel } from '../model/cancel.ts';
import { LockstepError } from '../model/errors.ts';
import { begunEarly } from './begun-early.ts';
import { refuseForeignPages } from './foreign-page.ts';
import { addRateLimit, type RateLimit } from './rate-limit.ts';
import { lacksScope, tooMany, tooNarrow, unauthenticated } from './refusal.ts';
import { addSafetyHeaders } from './safety-headers.ts';

/** `server.auth.mode: none`, on loopback only: anybody may do everything. */
const anybody = (request: FastifyRequest): Principal => {
  refuseForeignPages(request);
  return { name: 'anybody', scopes: new Set(scopes), claims: {} };
};

/** The bearer token of a request: from its header only, never a cookie or the URL, which others see. */
const bearerOf = (request: FastifyRequest): string => {
  const header = request.headers.authorization;
  if (header === undefined) throw unauthenticated('this needs a token');
  const bearer = /^Bearer +([\w.~+/=-]+) *$/i.exec(header)?.[1];
  if (bearer === undefined) throw unauthenticated('the Authorization header holds no bearer token', 'invalid_request');
  return bearer;
};

/**
 * Finds out who asks. Rejects with a Refusal: UNAUTHENTICATED, or RATE_LIMITED after ten unknown tokens from the caller's
 * address within a minute; tokens that were good a moment ago go on, for others may be behind the same address.
 */
const authenticateBy = (
  authenticator: Authenticator,
  o: { readonly clock: Clock; readonly signal: AbortSignal },
): ((request: FastifyRequest) => Promise<Principal>) => {
  const failures = failedLogins(o.clock);
  return async (request) => {
    const bearer = bearerOf(request);
    const wait = failures.wait(request.ip);
    if (wait > 0 && !authenticator.knows(bearer)) throw tooMany('too many failed logins from this address', wait);
    try {
      return await authenticator.principal(bearer, { signal: o.signal });
    } catch (error) {
      if (!(error instanceof LockstepError) || error.code !== 'UNAUTHENTICATED') throw error;
      if (error instanceof UnknownToken) failures.failed(request.ip);
      throw unauthenticated(error.message, 'invalid_token', error.hint);
    }
  };
};

/** The hash of the token that these fields hold, where it may be one of ours. */
const tokenIn = ({ authorization }: IncomingHttpHeaders): string | undefined =>
  authorization?.startsWith('Bearer lsk_') ? tokenHashText(authorization.slice(7)) : undefined;

/** Who has shown that they are who they are a moment ago: no promise is needed for them. */
const knownFrom = (
  authenticator: Authenticator | undefined,
  headers: IncomingHttpHeaders,
  o: Cancel,
): Principal | undefined => {
  const token = tokenIn(headers);
  return token === undefined ? undefined : authenticator?.fresh(token, o);
};

/** The caller of a request must hold this scope too, beyond the route's own. FORBIDDEN names it. */
export const demand = ({ principal }: Pick<FastifyRequest, 'principal'>, scope: Scope): void => {
  if (!principal.scopes.has(scope)) throw lacksScope(principal.name, scope);
};

export interface AccessOptions {
  /** Undefined: `server.auth.mode: none`, on loopback only. */
  readonly authenticator: Authenticator | undefined;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Asked for each request, so that a reload of the configuration counts. Undefined: no limit. */
  readonly rateLimit: () => RateLimit | undefined;
}

/**
 * What every request meets before anything else of it is read: headers of safety, who asks (`request.principal`, or
 * 401), may they (403), and not too often (429). For the root of the app, before its routes.
 */
export const addAccess = (app: FastifyInstance, o: AccessOptions): void => {
  addSafetyHeaders(app);
  const authenticate = o.authenticator ? authenticateBy(o.authenticator, o) : anybody;
  /** Who sends no token, or none that is good, is nobody here. */
  const recognise = async (request: FastifyRequest): Promise<void> => {
    if (o.authenticator && request.headers.authorization === undefined) return;
    try {
      request.principal = await authenticate(request);
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error;
    }
  };
  app.tokenEarly = tokenIn;
  app.knownEarly = (token) => o.authenticator?.fresh(token, o);
  app.decorateRequest('principal', undefined as unknown as Principal);
  /** May this caller use the route? Throws a Refusal. */
  const admit = (request: FastifyRequest, principal: Principal): void => {
    const { scope, objects } = request.routeOptions.config;
    request.principal = principal;
    if (scope === undefined)
      throw new LockstepError('INTERNAL', `the route ${request.routeOptions.url ?? ''} names no scope`);
    if (scope !== 'any') demand(request, scope as Scope);
    if (principal.only !== undefined && objects !== 'checked' && scope !== 'any') throw tooNarrow(principal.name);
  };
  app.addHook('onRequest', (request, _reply, done) => {
    const { scope, caller } = request.routeOptions.config;
    if (request.is404) return done();
    if (scope === 'public') {
      if (caller !== 'optional') return done();
      recognise(request).then(() => done(), done);
      return undefined;
    }
    const known = begunEarly(request.raw)?.principal ?? knownFrom(o.authenticator, request.headers, o);
    if (known !== undefined) {
      admit(request, known);
      return done();
    }
    Promise.resolve(authenticate(request))
      .then((principal) => admit(request, principal))
      .then(() => done(), done);
    return undefined;
  });
  app.turnEarly = addRateLimit(app, o.rateLimit, o.clock);
};
