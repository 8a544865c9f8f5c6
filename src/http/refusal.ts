import type { Scope } from '../access/scopes.ts';
import { LockstepError } from '../model/errors.ts';

// Header values are ours, but for messages that may hold a token's name.
const quoted = (text: string): string => `"${text.replaceAll(/[^\x20-\x7e]|["\\]/g, '?')}"`;

const challenge = (o: Readonly<Record<string, string>>): string =>
  `Bearer ${Object.entries({ realm: 'lockstep', ...o })
    .map(([name, value]) => `${name}=${quoted(value)}`)
    .join(', ')}`;

/** The server does not do what is asked because of who asks; with the headers of its answer (RFC 6750). */
export class Refusal extends LockstepError {
  readonly headers: Readonly<Record<string, string>>;
  constructor(
    code: 'UNAUTHENTICATED' | 'FORBIDDEN' | 'RATE_LIMITED',
    message: string,
    o: {
      readonly hint: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly retryAfterMs?: number;
    },
  ) {
    super(code, message, o);
    this.headers = o.headers ?? {};
  }
}

/** Who asks is not known. `error`: of RFC 6750, when a token was sent. */
export const unauthenticated = (
  message: string,
  error?: 'invalid_request' | 'invalid_token',
  hint = 'Send it as a header: Authorization: Bearer lsk_…',
): Refusal =>
  new Refusal('UNAUTHENTICATED', message, {
    hint,
    headers: {
      'www-authenticate': challenge(
        error === undefined ? {} : { error, ...(error === 'invalid_token' ? { error_description: message } : {}) },
      ),
    },
  });

/** Who asks is known, and lacks this scope. */
export const lacksScope = (name: string, scope: Scope): Refusal =>
  new Refusal('FORBIDDEN', `${name} does not hold the scope ${scope}`, {
    hint: `Use a token with ${scope}.`,
    headers: { 'www-authenticate': challenge({ error: 'insufficient_scope', scope }) },
  });

/** Who asks is bound to some syncs or entities, and the route is about all of them. */
export const tooNarrow = (name: string): Refusal =>
  new Refusal('FORBIDDEN', `${name} is bound to some syncs or record entities, and this is about all of them`, {
    hint: 'Use a token that was made without --sync and --entity.',
    headers: { 'www-authenticate': challenge({ error: 'insufficient_scope' }) },
  });

export const tooMany = (message: string, waitMs: number): Refusal =>
  new Refusal('RATE_LIMITED', message, {
    hint: `Try again in ${Math.max(1, Math.ceil(waitMs / 1000))} s.`,
    retryAfterMs: waitMs,
  });
