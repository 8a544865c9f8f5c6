import type { FastifyInstance } from 'fastify';
import { authenticator } from '../access/authenticate.ts';
import { jwtVerifier } from '../access/jwt.ts';
import { firstToken, firstTokenName } from '../access/make-token.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../lib/clock.ts';
import { newId } from '../lib/ids.ts';
import type { Redactor } from '../lib/redact.ts';
import type { Store } from '../model/store.ts';
import { audited } from '../work/audited.ts';
import { addAccess } from './auth.ts';
import { isLoopback, mayListen } from './listening.ts';

/** What `startHttp` takes of it, and what is to be said. */
export interface PreparedAccess {
  readonly host: string;
  readonly port: number;
  readonly tls?: { readonly key: string; readonly cert: string };
  readonly trustedProxies: readonly string[];
  readonly access: (app: FastifyInstance) => void;
  /** For people; undefined: nothing. */
  readonly warning: string | undefined;
  /**
   * Once it listens: text for the terminal, with the one token of a first start in it. To be written to stderr as it is,
   * and never to a log. Undefined: nothing is to be said.
   */
  welcome(url: string): Promise<string | undefined>;
}

/**
 * Where the API listens and who may come in, by the configuration and the flags that stand above it. CONFIG (exit 20)
 * when it would be open to whom it should not.
 */
export const prepareAccess = async (o: {
  readonly store: Store;
  /** As it is now: a reload changes the rate limit at once; addresses and identity providers at the next start. */
  readonly config: () => Config | undefined;
  readonly host?: string;
  readonly port?: number;
  readonly clock: Clock;
  readonly redactor: Redactor;
  readonly signal: AbortSignal;
}): Promise<PreparedAccess> => {
  const settings = o.config()?.server();
  const host = o.host ?? settings?.host ?? '127.0.0.1';
  const open = settings?.auth?.mode === 'none';
  const { tokens } = o.store;
  if (!isLoopback(host)) {
    const made = (await tokens.list(o)).some((token) => token.name !== firstTokenName && token.revoked === null);
    mayListen(host, { auth: settings?.auth, tls: settings?.tls, trustedProxies: settings?.trustedProxies ?? [] }, made);
  }
  const jwt = settings?.auth?.jwt;
  const tls = settings?.tls?.();
  const standard = { requests: 600, perMs: 60_000 };
  return {
    host,
    port: o.port ?? settings?.port ?? 8000,
    ...(tls ? { tls } : {}),
    trustedProxies: settings?.trustedProxies ?? [],
    access: (app) =>
      addAccess(app, {
        authenticator: open
          ? undefined
          : authenticator({ tokens, clock: o.clock, ...(jwt ? { jwt: jwtVerifier(jwt, o.clock, o) } : {}) }),
        clock: o.clock,
        signal: o.signal,
        rateLimit: memo(o.config, (config) => (config ? config.server().rateLimit : standard)),
      }),
    warning: open
      ? '`server.auth.mode: none`: every program on this machine may do everything here. For trying it out only.'
      : undefined,
    welcome: async (url) => {
      if (open || jwt) return undefined;
      if ((await tokens.list(o)).length > 0) return undefined;
      const entry = { actor: 'first start', action: 'token.create', object: `tokens/${firstTokenName}` };
      const secret = await audited(
        o.store.audit,
        { ...entry, after: { role: 'admin' }, correlation: newId('c', o.clock.now()) },
        o,
        () => firstToken(tokens, o.clock, o),
        (made) => ({ made: made !== undefined }),
      );
      if (secret === undefined) return undefined;
      o.redactor.add(secret);
      return [
        'First start. This token of an admin is shown once and good for 24 hours:',
        '',
        `  ${secret}`,
        '',
        `  curl -H "Authorization: Bearer $TOKEN" ${url}/api/v1/me`,
        '',
        'Make lasting ones with: lockstep token create NAME --role viewer|operator|approver|admin',
        '',
      ].join('\n');
    },
  };
};

/** The same answer as long as the question is about the same thing; the one before where there is none to the new. */
const memo = <K, V>(key: () => K, make: (key: K) => V): (() => V) => {
  let last = { key: key(), value: make(key()) };
  return () => {
    const now = key();
    if (last.key !== now) {
      try {
        last = { key: now, value: make(now) };
      } catch {
        last = { ...last, key: now };
      }
    }
    return last.value;
  };
};
