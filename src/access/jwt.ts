import { readFileSync, statSync } from 'node:fs';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose';
import type { Clock } from '../lib/clock.ts';
import { guardedRequest } from '../lib/net/guarded-request.ts';
import type { Cancel } from '../model/cancel.ts';
import { LockstepError } from '../model/errors.ts';
import type { JwtSettings } from '../model/jwt.ts';
import { UnknownToken } from './authenticate.ts';
import { claimAt } from './claims.ts';
import { isRole, isScope, roles } from './roles.ts';
import type { Principal, Scope } from './scopes.ts';

/** How far the clocks of the issuer and of this machine may be apart, seconds. */
const skew = 60;
const timeoutMs = 5000;
const mostBytes = 1024 * 1024;
/** A key that is not known lets the keys be fetched again, so often at most. */
const againMs = 5000;
/** Keys that the issuer has withdrawn are good no longer than this. */
const longestMs = 600_000;

const noKeys = (from: string, cause: unknown): LockstepError =>
  new LockstepError(
    'CONNECT',
    `the keys of the identity provider (${from}) cannot be had: ${(cause as Error).message}`,
    {
      hint: 'See server.auth.jwt in the configuration; tokens of lockstep token create work without it.',
      cause,
    },
  );

const remoteKeys = (url: URL, allowPrivate: boolean, signal: AbortSignal): JWTVerifyGetKey => {
  const keys = createRemoteJWKSet(url, {
    cooldownDuration: againMs,
    cacheMaxAge: longestMs,
    timeoutDuration: timeoutMs,
    [customFetch]: async () => {
      const reply = await guardedRequest({ url, method: 'GET', allowPrivate, timeoutMs, maxBytes: mostBytes, signal });
      return new Response(new Uint8Array(reply.body), { status: reply.status });
    },
  });
  return async (header, token) => {
    try {
      return await keys(header, token);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) throw error;
      throw noKeys(url.host, error);
    }
  };
};

const fileKeys = (file: string, clock: Pick<Clock, 'elapsed'>): JWTVerifyGetKey => {
  let keys: ReturnType<typeof createLocalJWKSet> | undefined;
  let version = '';
  let looked = Number.NEGATIVE_INFINITY;
  return async (header, token) => {
    // Rotated by writing the file anew.
    if (clock.elapsed() - looked >= againMs) {
      try {
        const { mtimeMs, size, ino } = statSync(file);
        const now = `${mtimeMs} ${size} ${ino}`;
        if (now !== version) keys = createLocalJWKSet(JSON.parse(readFileSync(file, 'utf8')));
        version = now;
        looked = clock.elapsed();
      } catch (error) {
        throw noKeys(file, error);
      }
    }
    return keys!(header, token);
  };
};

/** The texts of a claim: a list, or one text with blanks between them as `scope` has them. */
const listOf = (claim: unknown): readonly string[] => {
  if (typeof claim === 'string') return claim.split(' ').filter((text) => text !== '');
  return Array.isArray(claim) ? claim.filter((text): text is string => typeof text === 'string') : [];
};

const boundsOf = (rules: JwtSettings, payload: JWTPayload): Pick<Principal, 'only'> => {
  if (rules.syncsClaim === undefined && rules.recordsClaim === undefined) return {};
  const of = (claim: string | undefined): readonly string[] | undefined =>
    claim === undefined ? undefined : listOf(claimAt(payload, claim));
  const [syncs, records] = [of(rules.syncsClaim), of(rules.recordsClaim)];
  if ([syncs, records].every((list) => list === undefined || list.includes('*'))) return {};
  return { only: { ...(syncs ? { syncs } : {}), ...(records ? { records } : {}) } };
};

const principalOf = (rules: JwtSettings, payload: JWTPayload): Principal => {
  const name = claimAt(payload, rules.nameClaim);
  if (typeof name !== 'string' || name === '')
    throw new LockstepError('UNAUTHENTICATED', `this token does not say who it is for (${rules.nameClaim})`);
  const values = listOf(claimAt(payload, rules.rolesClaim));
  const held = new Set<Scope>();
  for (const value of values) {
    const role = rules.roles === undefined ? value : Object.hasOwn(rules.roles, value) ? rules.roles[value]! : '';
    if (isRole(role)) for (const scope of roles[role]) held.add(scope);
  }
  if (rules.scopesClaim !== undefined)
    for (const scope of listOf(claimAt(payload, rules.scopesClaim))) if (isScope(scope)) held.add(scope);
  return { name: `oidc:${name.slice(0, 200)}`, scopes: held, ...boundsOf(rules, payload), claims: payload };
};

const refused = (error: unknown): LockstepError => {
  if (error instanceof LockstepError) return error;
  const hint = 'Get a new one from the identity provider.';
  const why =
    error instanceof errors.JWTExpired
      ? 'this token has expired'
      : error instanceof errors.JWTClaimValidationFailed
        ? `this token is not for this server: ${error.claim} is ${error.reason === 'missing' ? 'missing' : 'not right'}`
        : error instanceof errors.JWKSNoMatchingKey
          ? 'this token was signed with a key that its issuer does not show'
          : undefined;
  if (why === undefined)
    return new UnknownToken(
      error instanceof errors.JOSEAlgNotAllowed
        ? 'this token is signed in a way that is not accepted here'
        : 'this token is not valid',
      hint,
    );
  return new LockstepError('UNAUTHENTICATED', why, { hint });
};

/**
 * Verifies tokens of an identity provider: signed with one of its keys in an accepted way, from this issuer, for this
 * audience, with an expiry that is not past; clocks may be a minute apart. UNAUTHENTICATED; CONNECT when the keys cannot
 * be had.
 */
export const jwtVerifier = (
  rules: JwtSettings,
  clock: Pick<Clock, 'now' | 'elapsed'>,
  o: Cancel,
): ((bearer: string) => Promise<Principal>) => {
  const keys =
    'file' in rules.jwks
      ? fileKeys(rules.jwks.file, clock)
      : remoteKeys(new URL(rules.jwks.url), rules.jwks.allowPrivate, o.signal);
  return async (bearer) => {
    try {
      const { payload } = await jwtVerify(bearer, keys, {
        issuer: rules.issuer,
        audience: [...rules.audience],
        algorithms: [...rules.algorithms],
        clockTolerance: skew,
        currentDate: new Date(clock.now()),
        requiredClaims: ['exp'],
      });
      return principalOf(rules, payload);
    } catch (error) {
      throw refused(error);
    }
  };
};
