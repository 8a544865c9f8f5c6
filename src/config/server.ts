import { isIP } from 'node:net';
import type { JwtSettings } from '../model/jwt.ts';
import type { WrittenAudit, WrittenServer } from './server-schema.ts';

export interface ServerSettings {
  readonly host: string;
  readonly port: number;
  /** Worker processes that serve starts. */
  readonly workers: number;
  /** PEM texts; looked up when called. */
  readonly tls: (() => { readonly cert: string; readonly key: string }) | undefined;
  /** Addresses and networks whose X-Forwarded-* are believed; empty: no proxy is declared. */
  readonly trustedProxies: readonly string[];
  /** Undefined: nothing is said of it. */
  readonly auth: { readonly mode: 'tokens' | 'none'; readonly jwt: JwtSettings | undefined } | undefined;
  /** Undefined: no limit. */
  readonly rateLimit: { readonly requests: number; readonly perMs: number } | undefined;
}

export interface AuditSettings {
  /** Undefined: the environment's, else a file beside the control store. */
  readonly key: string | undefined;
  readonly oldKeys: readonly string[];
  /** Ids of keys that are lost. */
  readonly lostKeys: readonly string[];
}

/** What reading a section needs; paths are below `server` or `audit`. */
export interface ReadSection {
  text(value: string, path: readonly PropertyKey[]): string;
  number(value: number | string, path: readonly PropertyKey[], least: number): number;
  duration(value: string, path: readonly PropertyKey[]): number;
  flag(value: boolean | string, path: readonly PropertyKey[]): boolean;
  /** An absolute path. */
  file(value: string, path: readonly PropertyKey[]): string;
  wrong(path: readonly PropertyKey[], what: string, hint: string): Error;
}

const defaultAlgorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'];
const named = ['loopback', 'linklocal', 'uniquelocal'];

const network = (value: string): boolean => {
  const [address = '', bits, ...rest] = value.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return named.includes(value);
  return (
    bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) >= 1 && Number(bits) <= (family === 4 ? 32 : 128))
  );
};

const jwtOf = (written: NonNullable<NonNullable<WrittenServer['auth']>['jwt']>, read: ReadSection): JwtSettings => {
  const at = (key: string): readonly PropertyKey[] => ['auth', 'jwt', key];
  if ((written.jwks_url === undefined) === (written.jwks_file === undefined))
    throw read.wrong(
      ['auth', 'jwt'],
      written.jwks_url === undefined ? 'the keys of the issuer are missing' : 'keys by address and by file',
      'Give either jwks_url or jwks_file.',
    );
  const url = written.jwks_url === undefined ? undefined : read.text(written.jwks_url, at('jwks_url'));
  const allowPrivate =
    written.allow_private === undefined ? false : read.flag(written.allow_private, at('allow_private'));
  if (url !== undefined && !URL.canParse(url))
    throw read.wrong(at('jwks_url'), `${url} is no address`, 'Write https://…');
  if (url !== undefined && !/^https:/i.test(url) && !(allowPrivate && /^http:/i.test(url)))
    throw read.wrong(
      at('jwks_url'),
      'keys that say who may ask must come by https',
      'With allow_private: true, http is taken too, for a provider on this machine.',
    );
  return {
    issuer: read.text(written.issuer, at('issuer')),
    audience: [written.audience].flat().map((name) => read.text(name, at('audience'))),
    jwks: url === undefined ? { file: read.file(written.jwks_file!, at('jwks_file')) } : { url, allowPrivate },
    algorithms: written.algorithms ?? defaultAlgorithms,
    rolesClaim: written.roles_claim ?? 'roles',
    roles: written.roles,
    scopesClaim: written.scopes_claim,
    nameClaim: written.name_claim ?? 'sub',
    syncsClaim: written.syncs_claim,
    recordsClaim: written.records_claim,
  };
};

/** What is written, with its defaults. */
export const serverOf = (written: WrittenServer | undefined, read: ReadSection): ServerSettings => {
  const { tls, auth, rate_limit: limit } = written ?? {};
  const trusted = written?.proxy?.trusted.map((value, i) => read.text(value, ['proxy', 'trusted', i])) ?? [];
  for (const [i, value] of trusted.entries())
    if (!network(value))
      throw read.wrong(
        ['proxy', 'trusted', i],
        `${value} is no address of a proxy`,
        'Write an address, a network such as 10.0.0.0/8, or loopback. A proxy at any address is none.',
      );
  if (auth?.mode === 'none' && auth.jwt !== undefined)
    throw read.wrong(['auth', 'mode'], 'mode: none and jwt', 'Leave one of them out.');
  return {
    host: written?.host === undefined ? '127.0.0.1' : read.text(written.host, ['host']),
    port: written?.port === undefined ? 8000 : read.number(written.port, ['port'], 0),
    workers: written?.workers === undefined ? 1 : read.number(written.workers, ['workers'], 0),
    tls: tls && (() => ({ cert: read.text(tls.cert, ['tls', 'cert']), key: read.text(tls.key, ['tls', 'key']) })),
    trustedProxies: trusted,
    auth: auth && { mode: auth.mode ?? 'tokens', jwt: auth.jwt && jwtOf(auth.jwt, read) },
    rateLimit:
      limit === false
        ? undefined
        : {
            requests: limit?.requests === undefined ? 600 : read.number(limit.requests, ['rate_limit', 'requests'], 1),
            perMs: limit?.per === undefined ? 60_000 : read.duration(limit.per, ['rate_limit', 'per']),
          },
  };
};

/** Keys of the audit log, looked up now; `secret` is told each. */
export const auditKeysOf = (
  written: WrittenAudit | undefined,
  read: ReadSection,
  secret: (value: string) => void,
): AuditSettings => {
  const key = written?.key === undefined ? undefined : read.text(written.key, ['key']);
  const oldKeys = written?.old_keys?.map((value, i) => read.text(value, ['old_keys', i])) ?? [];
  for (const value of [key, ...oldKeys]) if (value !== undefined) secret(value);
  return { key, oldKeys, lostKeys: written?.lost_keys ?? [] };
};

/** Milliseconds between the ends of the audit log that `serve` writes into its own log. */
export const checkpointEvery = (written: WrittenAudit | undefined, read: ReadSection): number =>
  written?.checkpoint_every === undefined ? 3_600_000 : read.duration(written.checkpoint_every, ['checkpoint_every']);
