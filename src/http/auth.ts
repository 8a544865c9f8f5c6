import type { FastifyRequest } from 'fastify';
import type { Authenticator } from '../access/authenticate.ts';
import { failedLogins } from '../access/failed-logins.ts';
import { type Principal, scopes } from '../access/scopes.ts';
import type { Clock } from '../lib/clock.ts';
import { LockstepError } from '../model/errors.ts';
import { tooMany, unauthenticated } from './refusal.ts';

/** `server.auth.mode: none`, on loopback only: anybody may do everything. */
export const anybody = (): Principal => ({ name: 'anybody', scopes: new Set(scopes), claims: {} });

/** The bearer token of a request: from its header only, never a cookie or the URL, which others see. */
const bearerOf = (request: FastifyRequest): string => {
  const header = request.headers.authorization;
  if (header === undefined) throw unauthenticated('this needs a token');
  const bearer = /^Bearer +([\w.~+/=-]+) *$/i.exec(header)?.[1];
  if (bearer === undefined) throw unauthenticated('the Authorization header holds no bearer token', 'invalid_request');
  return bearer;
};

/**
 * Finds out who asks. Rejects with a Refusal: UNAUTHENTICATED, or RATE_LIMITED after ten failed logins from the caller's
 * address within a minute; tokens that were good a moment ago go on, for others may be behind the same address.
 */
export const authenticateBy = (
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
      failures.failed(request.ip);
      throw unauthenticated(error.message, 'invalid_token', error.hint);
    }
  };
};
