import { LockstepError } from '../../model/errors.ts';
import { type Resource, readResource } from './resource.ts';
import type { ResourceEntry } from './resource-entry.ts';

export type Auth =
  | { readonly kind: 'bearer'; readonly token: string }
  | { readonly kind: 'basic'; readonly user: string; readonly password: string }
  | { readonly kind: 'header'; readonly name: string; readonly value: string }
  | {
      readonly kind: 'oauth2';
      readonly tokenUrl: URL;
      readonly clientId: string;
      readonly clientSecret: string;
      readonly scope?: string;
      readonly audience?: string;
      readonly inBody: boolean;
    };

export interface HttpConfig {
  /** Without a slash at its end, user, query and fragment. */
  readonly base: URL;
  readonly auth?: Auth;
  readonly headers: Readonly<Record<string, string>>;
  readonly allowPrivate: boolean;
  readonly perSecond?: number;
  readonly concurrency: number;
  readonly maxBytes: number;
  readonly retry: { readonly attempts: number; readonly baseMs: number; readonly maxMs: number };
  readonly resources: readonly Resource[];
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string; readonly serverName?: string };
}

/** `http` of an endpoint as it is written, references looked up. */
interface HttpEntry {
  readonly auth?: {
    readonly bearer?: string;
    readonly basic?: { readonly user: string; readonly password: string };
    readonly header?: { readonly name: string; readonly value: string };
    readonly oauth2?: {
      readonly token_url: string;
      readonly client_id: string;
      readonly client_secret: string;
      readonly scope?: string;
      readonly audience?: string;
      readonly send?: 'header' | 'body';
    };
  };
  readonly headers?: Readonly<Record<string, string>>;
  readonly allow_private?: boolean;
  readonly requests_per_second?: number;
  readonly concurrency?: number;
  readonly max_bytes?: number;
  readonly resources?: Readonly<Record<string, ResourceEntry>>;
  /** Put here by the config: `retry` of the endpoint. */
  readonly retry?: { readonly attempts: number; readonly baseMs: number; readonly maxMs: number };
}

const wrong = (message: string, hint: string): LockstepError => new LockstepError('CONFIG', message, { hint });

const defaultRetry = { attempts: 5, baseMs: 200, maxMs: 30_000 };
const usage =
  'The form is https://api.example.com/v2, with the shape of the API under `http` of the endpoint (docs/engines/http.md).';

const urlOf = (text: string, what: string): URL => {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw wrong(`${what} is not a URL`, usage);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw wrong(`${what} is not an http or https address`, usage);
  return url;
};

const authOf = (auth: HttpEntry['auth'], url: URL): Auth | undefined => {
  const inUrl = url.username !== '' || url.password !== '';
  const kinds = Object.keys(auth ?? {}).filter((k) => auth![k as keyof typeof auth] !== undefined);
  if (kinds.length + (inUrl ? 1 : 0) > 1)
    throw wrong(
      `the API is told to sign in by ${[...kinds, ...(inUrl ? ['user and password in the URL'] : [])].join(' and by ')}`,
      'Keep one of them.',
    );
  if (inUrl)
    return {
      kind: 'basic',
      user: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
    };
  if (auth?.bearer !== undefined) return { kind: 'bearer', token: auth.bearer };
  if (auth?.basic !== undefined) return { kind: 'basic', ...auth.basic };
  if (auth?.header !== undefined) return { kind: 'header', ...auth.header };
  if (auth?.oauth2 === undefined) return undefined;
  const o = auth.oauth2;
  return {
    kind: 'oauth2',
    tokenUrl: urlOf(o.token_url, 'http.auth.oauth2.token_url'),
    clientId: o.client_id,
    clientSecret: o.client_secret,
    inBody: o.send === 'body',
    ...(o.scope === undefined ? {} : { scope: o.scope }),
    ...(o.audience === undefined ? {} : { audience: o.audience }),
  };
};

/** Headers that say who asks or how the message is framed are ours to set. */
const ownHeaders =
  /^(host|connection|content-length|transfer-encoding|content-type|accept-encoding|if-match|if-none-match|proxy-.*)$/i;

const headersOf = (headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> => {
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) || /[\r\n\0]/.test(value))
      throw wrong(`http.headers: ${JSON.stringify(name)} is not a header`, 'Write a name and a value of one line.');
    if (ownHeaders.test(name)) throw wrong(`http.headers: ${name} cannot be set`, 'Lockstep sets it itself.');
  }
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
};

const tlsOf = (tls: unknown): HttpConfig['tls'] => {
  const t = (tls ?? {}) as Record<string, string | undefined>;
  if (t['mode'] !== undefined && t['mode'] !== 'verify-full')
    throw wrong(
      `tls.mode: ${t['mode']} is not for APIs: a server's certificate is always checked`,
      'Leave `mode` out; give the `ca` of a private certificate authority.',
    );
  const found = {
    ...(t['ca'] === undefined ? {} : { ca: t['ca'] }),
    ...(t['cert'] === undefined ? {} : { cert: t['cert'] }),
    ...(t['key'] === undefined ? {} : { key: t['key'] }),
    ...(t['server_name'] === undefined ? {} : { serverName: t['server_name'] }),
  };
  return Object.keys(found).length === 0 ? undefined : found;
};

/**
 * A single list without a declared shape: `https://host/v2/licenses`. What must be known stands behind `#`, which is
 * never sent: `#items=/data&key=id&table=licenses&allow_private=true`.
 */
const bareResource = (url: URL): { readonly base: URL; readonly entry: HttpEntry } => {
  const base = new URL('/', url);
  const options = new URLSearchParams(url.hash.slice(1));
  const known = ['items', 'key', 'table', 'allow_private'];
  for (const name of options.keys())
    if (!known.includes(name))
      throw wrong(
        `the API's URL has an unknown option ${JSON.stringify(name)} behind #`,
        `Known are ${known.join(', ')}.`,
      );
  const name =
    options.get('table') ??
    decodeURIComponent(
      url.pathname
        .split('/')
        .filter((s) => s !== '')
        .at(-1) ?? '',
    );
  if (name === '')
    throw wrong('the URL of an API without `http.resources` must name a list, as in …/v2/licenses', usage);
  const items = options.get('items');
  const key = options.get('key');
  return {
    base,
    entry: {
      ...(options.get('allow_private') === 'true' ? { allow_private: true } : {}),
      resources: {
        [name]: {
          list: { path: url.pathname + url.search, ...(items === null ? {} : { items }) },
          ...(key === null ? {} : { key: key.split(',') }),
        },
      },
    },
  };
};

/** Reads an http(s) URL or the parts of a config entry. Throws CONFIG; no message repeats a secret. */
export const parseConfig = (config: string | Readonly<Record<string, unknown>>): HttpConfig => {
  const parts: Readonly<Record<string, unknown>> = typeof config === 'string' ? { url: config } : config;
  if (typeof parts['url'] !== 'string') throw wrong('the API has no url', `${usage} Give it as \`url:\`.`);
  for (const name of ['host', 'port', 'path', 'database', 'user', 'password'])
    if (parts[name] !== undefined)
      throw wrong(
        `the API is not written right at ${name}`,
        'Give the whole address as `url:`, and logins under `http.auth`.',
      );
  const url = urlOf(parts['url'], "the API's url");
  const declared = parts['http'] as HttpEntry | undefined;
  const bare = declared?.resources === undefined ? bareResource(url) : undefined;
  if (bare === undefined && (url.search !== '' || url.hash !== ''))
    throw wrong("the API's url has a query", 'Write it into the paths, or under `list.query` of each resource.');
  const entry: HttpEntry = { ...bare?.entry, ...declared, ...(bare ? { resources: bare.entry.resources! } : {}) };
  const base = new URL(bare?.base ?? url);
  const auth = authOf(entry.auth, url);
  base.username = '';
  base.password = '';
  base.pathname = base.pathname.replace(/\/+$/, '');
  const tls = tlsOf(parts['tls']);
  const resources = Object.entries(entry.resources ?? {}).map(([name, r]) => readResource(name, r));
  if (resources.length === 0) throw wrong('the API declares no resource', 'Name at least one under `http.resources`.');
  return {
    base,
    ...(auth === undefined ? {} : { auth }),
    headers: headersOf(entry.headers ?? {}),
    allowPrivate: entry.allow_private === true || bare?.entry.allow_private === true,
    ...(entry.requests_per_second === undefined ? {} : { perSecond: entry.requests_per_second }),
    concurrency: entry.concurrency ?? 4,
    maxBytes: entry.max_bytes ?? 64 * 2 ** 20,
    retry: entry.retry ?? defaultRetry,
    resources,
    ...(tls === undefined ? {} : { tls }),
  };
};

/** For people, without login and query. */
export const describeConfig = (c: HttpConfig): string =>
  `${c.base.origin}${c.base.pathname === '/' ? '' : c.base.pathname}`;
