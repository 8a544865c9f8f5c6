import type { Clock } from '../lib/clock.ts';
import { newId } from '../lib/ids.ts';
import { closest } from '../lib/suggest.ts';
import type { Cancel } from '../model/cancel.ts';
import { LockstepError } from '../model/errors.ts';
import type { NewToken, Token, Tokens } from '../model/tokens.ts';
import { claimAt } from './claims.ts';
import { isRole, isScope, roleNames, roles } from './roles.ts';
import { type Principal, type Scope, scopes } from './scopes.ts';
import { newTokenSecret, tokenHash } from './token-secret.ts';

/** What is asked of a new token. A role or scopes, not both. */
export interface TokenWish {
  readonly name: string;
  readonly role?: string;
  readonly scopes?: readonly string[];
  readonly syncs?: readonly string[];
  readonly records?: readonly string[];
  readonly claims?: Readonly<Record<string, string>>;
  /** Milliseconds from now; absent: it does not expire. */
  readonly expiresIn?: number;
}

/** Of the token that a first start makes. */
export const firstTokenName = 'first-start';
const firstLifeMs = 24 * 3_600_000;

// Not like an id, so that either names one token.
const namePattern = /^(?!t_)[A-Za-z0-9][\w.@-]{0,99}$/;

const usage = (message: string, hint: string): LockstepError => new LockstepError('USAGE', message, { hint });

const scopesOf = (wish: TokenWish): readonly Scope[] => {
  if ((wish.role === undefined) === (wish.scopes === undefined))
    throw usage(
      wish.role === undefined ? 'what may the token do?' : 'a token has a role or scopes, not both',
      `Give a role (${roleNames.join(', ')}) or scopes such as runs:read.`,
    );
  if (wish.role !== undefined) {
    if (isRole(wish.role)) return roles[wish.role];
    const meant = closest(wish.role, roleNames);
    throw usage(
      `there is no role ${wish.role}`,
      `${meant === undefined ? '' : `Did you mean ${meant}? `}Roles: ${roleNames.join(', ')}.`,
    );
  }
  const wished = [...new Set(wish.scopes!)];
  for (const scope of wished) {
    if (isScope(scope)) continue;
    const meant = closest(scope, scopes);
    throw usage(
      `there is no scope ${scope}`,
      `${meant === undefined ? '' : `Did you mean ${meant}? `}Scopes: ${scopes.join(', ')}.`,
    );
  }
  if (wished.length === 0) throw usage('a token without any scope can do nothing', `Scopes: ${scopes.join(', ')}.`);
  return wished as readonly Scope[];
};

const newToken = (wish: TokenWish, by: string, now: number): NewToken & { readonly secret: string } => {
  if (!namePattern.test(wish.name))
    throw usage(
      `${JSON.stringify(wish.name)} is no name for a token`,
      'Use up to 100 letters, digits and _ . @ -, beginning with a letter or digit, and not with t_.',
    );
  if (wish.expiresIn !== undefined && !(wish.expiresIn > 0 && wish.expiresIn <= 100 * 365 * 86_400_000))
    throw usage('a token must expire later than now, and within a hundred years', 'Write for example 30d.');
  const secret = newTokenSecret();
  return {
    id: newId('t', now),
    name: wish.name,
    hash: tokenHash(secret),
    role: wish.role ?? null,
    scopes: scopesOf(wish),
    only:
      wish.syncs === undefined && wish.records === undefined
        ? null
        : {
            ...(wish.syncs === undefined ? {} : { syncs: wish.syncs }),
            ...(wish.records === undefined ? {} : { records: wish.records }),
          },
    claims: wish.claims ?? {},
    createdBy: by,
    created: now,
    expires: wish.expiresIn === undefined ? null : now + wish.expiresIn,
    secret,
  };
};

/** Nobody hands out more than he has. FORBIDDEN. */
const within = (token: NewToken, by: Principal): void => {
  const more = token.scopes.filter((scope) => !by.scopes.has(scope as Scope));
  const wider =
    by.only !== undefined &&
    (token.only === null ||
      token.only.syncs?.some((sync) => !by.only?.syncs?.includes(sync)) === true ||
      token.only.records?.some((entity) => !by.only?.records?.includes(entity)) === true);
  // Without a claim a filtered row is not shown, so leaving one out gives nothing; one that the maker lacks, or another
  // value of it, would show rows that the maker does not see.
  const other = Object.entries(token.claims).find(([name, value]) => {
    const own = claimAt(by.claims, name);
    return own === undefined || own === null || typeof own === 'object' || String(own) !== value;
  });
  if (more.length === 0 && !wider && other === undefined) return;
  throw new LockstepError(
    'FORBIDDEN',
    more.length > 0
      ? `a token cannot be given what its maker lacks: ${more.join(', ')}`
      : wider
        ? 'a token cannot reach further than its maker'
        : `a token cannot be given a claim that its maker lacks: ${other![0]}`,
    {
      hint: other
        ? 'Make it beside the control store: lockstep token create NAME --claim NAME=VALUE'
        : 'Ask for less, or let somebody make it who has it.',
    },
  );
};

/** Makes a token; its secret is in the answer and nowhere else. `by.principal` absent: whoever holds the control store. */
export const makeToken = async (
  tokens: Tokens,
  wish: TokenWish,
  by: { readonly actor: string; readonly principal?: Principal },
  clock: Clock,
  o: Cancel,
): Promise<{ readonly token: Token; readonly secret: string }> => {
  const { secret, ...token } = newToken(wish, by.actor, clock.now());
  if (by.principal) within(token, by.principal);
  return { token: await tokens.create(token, o), secret };
};

/**
 * The token of a first start: an admin for 24 hours, made once in the life of a control store, so that there is no
 * default password. Undefined when there has been a token. Print it on the terminal and nowhere else.
 */
export const firstToken = async (tokens: Tokens, clock: Clock, o: Cancel): Promise<string | undefined> => {
  const wish: TokenWish = { name: firstTokenName, role: 'admin', expiresIn: firstLifeMs };
  const { secret, ...token } = newToken(wish, 'first start', clock.now());
  return (await tokens.createFirst(token, o)) === undefined ? undefined : secret;
};
