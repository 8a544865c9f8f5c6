import type { Clock } from '../lib/clock.ts';
import type { Cancel } from '../model/cancel.ts';
import { LockstepError } from '../model/errors.ts';
import type { Token, Tokens } from '../model/tokens.ts';
import { isScope } from './roles.ts';
import type { Principal } from './scopes.ts';
import { looksLikeToken, tokenHash, tokenHashText } from './token-secret.ts';

/** A token that was found good is good so long without a look: a revoked one is refused everywhere after it. */
const freshMs = 1000;
/** Used after this, it is looked at before its time is over, so that nobody waits for it. */
const lookAgainMs = 500;
/** The same while the control store cannot be reached. */
const staleMs = 60_000;
const mostKept = 10_000;

/** Says who holds a bearer token. UNAUTHENTICATED when nobody does, in words that may be shown to the caller. */
export interface Authenticator {
  principal(bearer: string, o: Cancel): Promise<Principal>;
  /**
   * The same of the token with this hash (text) when it was found good within the last second, without waiting for
   * anything; undefined: it must be looked at.
   */
  fresh(hash: string, o: Cancel): Principal | undefined;
  /** Was it found good a moment ago? Without asking anything. */
  knows(bearer: string): boolean;
}

const refused = (why: string): LockstepError =>
  new LockstepError('UNAUTHENTICATED', why, { hint: 'Make a token: lockstep token create NAME --role viewer' });

/** A token that nobody was ever given: it may be a guess. One that is revoked or expired is none. */
export class UnknownToken extends LockstepError {
  constructor(why: string, hint = 'Make a token: lockstep token create NAME --role viewer') {
    super('UNAUTHENTICATED', why, { hint });
  }
}

const day = (ms: number): string => `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;

const principalOf = (token: Token): Principal => ({
  name: `token:${token.name}`,
  // One of a later version is not known here, and gives nothing.
  scopes: new Set(token.scopes.filter(isScope)),
  ...(token.only === null ? {} : { only: token.only }),
  claims: token.claims,
});

const unreachable = (error: unknown): boolean =>
  error instanceof LockstepError && ['CONNECT', 'CONNECTION_LOST', 'STORE', 'CIRCUIT_OPEN'].includes(error.code);

interface Kept {
  readonly token: Token;
  readonly principal: Principal;
  /** When it was found, by the clock that only goes forward. */
  readonly at: number;
}

const judged = ({ token, principal }: Kept, now: number): Principal => {
  if (token.revoked !== null) throw refused(`this token (${token.name}) was revoked on ${day(token.revoked)}`);
  if (token.expires !== null && token.expires <= now)
    throw refused(`this token (${token.name}) expired on ${day(token.expires)}`);
  return principal;
};

/** Tokens of the control store, and beside them what `jwt` accepts. */
export const authenticator = (o: {
  readonly tokens: Tokens;
  readonly clock: Clock;
  /** Verifies what is not one of our tokens. */
  readonly jwt?: (bearer: string, o: Cancel) => Promise<Principal>;
}): Authenticator => {
  const kept = new Map<string, Kept>();
  const asked = new Map<string, Promise<Kept>>();

  const look = async (hash: Buffer, key: string, c: Cancel): Promise<Kept> => {
    let token: Token | undefined;
    try {
      token = await o.tokens.byHash(hash, c);
    } catch (error) {
      const last = kept.get(key);
      if (last && unreachable(error) && o.clock.elapsed() - last.at < staleMs) return last;
      throw error;
    }
    kept.delete(key);
    if (!token) throw new UnknownToken('this token is not known here');
    const found: Kept = { token, principal: principalOf(token), at: o.clock.elapsed() };
    if (token.revoked === null) {
      // The oldest goes: a Map keeps the order in which they came.
      if (kept.size >= mostKept) kept.delete(kept.keys().next().value!);
      kept.set(key, found);
      if (token.lastUsed === null || token.lastUsed < o.clock.now() - 60_000)
        // A control store that is read only for now must not keep anybody out.
        o.tokens.used(token.id, o.clock.now(), c).catch(() => {});
    }
    return found;
  };

  /** One look for all who want to know at once. */
  const lookOnce = (hash: Buffer, key: string, c: Cancel): Promise<Kept> => {
    const known = asked.get(key);
    if (known) return known;
    const mine = look(hash, key, c).finally(() => asked.delete(key));
    asked.set(key, mine);
    return mine;
  };

  return {
    fresh: (key, c) => {
      const last = kept.get(key);
      if (last === undefined) return undefined;
      const age = o.clock.elapsed() - last.at;
      if (age >= freshMs) return undefined;
      // what is wrong with it is told to who asks next
      if (age >= lookAgainMs && !asked.has(key)) lookOnce(Buffer.from(key, 'base64'), key, c).catch(() => {});
      const { expires } = last.token;
      return expires === null || expires > o.clock.now() ? last.principal : undefined;
    },
    knows: (bearer) => {
      const key = tokenHashText(bearer);
      const last = key === undefined ? undefined : kept.get(key);
      return last !== undefined && o.clock.elapsed() - last.at < staleMs;
    },
    principal: async (bearer, c) => {
      if (!looksLikeToken(bearer)) {
        if (o.jwt && bearer.split('.').length === 3) return o.jwt(bearer, c);
        throw new UnknownToken('this is no token of Lockstep');
      }
      const hash = tokenHash(bearer);
      const key = hash.toString('base64');
      const last = kept.get(key);
      if (last && o.clock.elapsed() - last.at < freshMs) return judged(last, o.clock.now());
      return judged(await lookOnce(hash, key, c), o.clock.now());
    },
  };
};
