import { isIP } from 'node:net';
import { LockstepError } from '../../model/errors.ts';
import { readParts } from './parts.ts';

export const tlsModes = ['disable', 'require', 'verify-ca', 'verify-full'] as const;
export type TlsMode = (typeof tlsModes)[number];

export interface TlsConfig {
  readonly mode: TlsMode;
  /** PEM text of the certificates to trust instead of the system's. */
  readonly ca?: string;
  /** File with the same, read at connect. */
  readonly caFile?: string;
  /** The name the certificate must carry, when it is not the host's. */
  readonly serverName?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface PostgresConfig {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string;
  readonly database: string;
  /** Schemas shown besides the default one. */
  readonly schemas: readonly string[];
  readonly applicationName: string;
  readonly connectTimeoutMs: number;
  readonly tls: TlsConfig;
  /** Most sessions held open at a time. */
  readonly poolMax: number;
}

const defaults = { port: 5432, connectTimeoutMs: 10_000, poolMax: 8, applicationName: 'lockstep' } as const;

/** A host that only this machine can be: traffic to it leaves no wire to listen on. */
export const isLocal = (host: string): boolean =>
  host.startsWith('/') || host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));

const wrong = (message: string, hint: string): LockstepError => new LockstepError('CONFIG', message, { hint });

const decode = (part: string, what: string): string => {
  try {
    return decodeURIComponent(part);
  } catch {
    throw wrong(
      `the ${what} in the PostgreSQL URL is not valid percent-encoding`,
      'Write % as %25, or give the connection by parts (host, user, password, database), where nothing is escaped.',
    );
  }
};

const urlOptions = [
  'schema',
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'application_name',
  'connect_timeout',
  'host',
  'port',
  'user',
  'password',
  'dbname',
] as const;

const seconds = (text: string): number => {
  const n = Number(text);
  if (!Number.isFinite(n) || n <= 0) {
    throw wrong(`connect_timeout=${text} is not a number of seconds`, 'Write for example connect_timeout=10.');
  }
  return n * 1000;
};

const portNumber = (text: string): number => {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 1 || n > 65_535)
    throw wrong(`${text} is not a port`, 'Ports are 1 to 65535; PostgreSQL usually listens on 5432.');
  return n;
};

const tlsMode = (text: string): TlsMode => {
  // libpq's opportunistic modes promise nothing: whoever asks for encryption gets it for certain
  const mode = text === 'prefer' || text === 'allow' ? 'require' : text;
  if (!(tlsModes as readonly string[]).includes(mode)) {
    throw wrong(`sslmode=${text} is not known`, `Use one of ${tlsModes.join(', ')}.`);
  }
  return mode as TlsMode;
};

const defaultTls = (host: string): TlsMode => (isLocal(host) ? 'disable' : 'verify-full');

const list = (text: string | undefined): string[] =>
  (text ?? '')
    .split(',')
    .map((s) => s.trim())
    .filter((s) => s !== '');

const parseUrl = (text: string): PostgresConfig => {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    const authority = /^[a-z]+:\/\/([^/]*)/i.exec(text)?.[1] ?? '';
    throw wrong(
      authority.includes(',') ? 'a PostgreSQL URL names one host' : 'this is not a PostgreSQL URL',
      'The form is postgres://user:password@host:5432/database?schema=a,b&sslmode=verify-full. Characters such as @ : / ? # % in a password are percent-encoded, or the connection is given by parts.',
    );
  }
  if (!/^[a-z]+:\/\//i.test(text)) {
    throw wrong(
      'the PostgreSQL URL has one slash where two belong, so it names no host',
      'The form is postgres://user:password@host:5432/database.',
    );
  }
  const option = (name: (typeof urlOptions)[number]): string | undefined => url.searchParams.get(name) ?? undefined;
  for (const name of url.searchParams.keys()) {
    if (!(urlOptions as readonly string[]).includes(name)) {
      throw wrong(
        `the PostgreSQL URL has an unknown option ${JSON.stringify(name)}`,
        `Known are ${urlOptions.join(', ')}.`,
      );
    }
  }
  const named = decode(url.hostname, 'host').replace(/^\[|\]$/g, '');
  const host = named === '' ? (option('host') ?? 'localhost') : named;
  const user = url.username === '' ? option('user') : decode(url.username, 'user');
  const password = url.password === '' ? option('password') : decode(url.password, 'password');
  const path = decode(url.pathname.replace(/^\//, ''), 'database');
  const name = user ?? process.env['PGUSER'] ?? process.env['USER'] ?? 'postgres';
  const caFile = option('sslrootcert');
  const cert = option('sslcert');
  const key = option('sslkey');
  const mode = option('sslmode');
  return {
    host,
    port: url.port === '' ? portNumber(option('port') ?? String(defaults.port)) : portNumber(url.port),
    user: name,
    ...(password === undefined ? {} : { password }),
    database: path === '' ? (option('dbname') ?? name) : path,
    schemas: list(option('schema')),
    applicationName: option('application_name') ?? defaults.applicationName,
    connectTimeoutMs:
      option('connect_timeout') === undefined ? defaults.connectTimeoutMs : seconds(option('connect_timeout')!),
    tls: {
      mode: mode === undefined ? (caFile === undefined ? defaultTls(host) : 'verify-full') : tlsMode(mode),
      ...(caFile === undefined || caFile === 'system' ? {} : { caFile }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    },
    poolMax: defaults.poolMax,
  };
};

const parseParts = (parts: Readonly<Record<string, unknown>>): PostgresConfig => {
  const p = readParts(parts);
  const host = p.host ?? 'localhost';
  if (p.database === undefined || p.database === '') {
    throw wrong('the PostgreSQL endpoint names no database', 'Add `database: …`.');
  }
  const user = p.user ?? process.env['PGUSER'] ?? process.env['USER'] ?? 'postgres';
  const tls = p.tls ?? {};
  return {
    host,
    port: portNumber(p.port ?? String(defaults.port)),
    user,
    ...(p.password === undefined ? {} : { password: p.password }),
    database: p.database,
    schemas: typeof p.schema === 'string' ? list(p.schema) : (p.schema ?? []),
    applicationName: p.application_name ?? defaults.applicationName,
    connectTimeoutMs: p.connect_timeout === undefined ? defaults.connectTimeoutMs : seconds(p.connect_timeout),
    tls: {
      mode: tls.mode === undefined ? (tls.ca || tls.ca_file ? 'verify-full' : defaultTls(host)) : tlsMode(tls.mode),
      ...(tls.ca === undefined ? {} : { ca: tls.ca }),
      ...(tls.ca_file === undefined ? {} : { caFile: tls.ca_file }),
      ...(tls.server_name === undefined ? {} : { serverName: tls.server_name }),
      ...(tls.cert === undefined ? {} : { cert: tls.cert }),
      ...(tls.key === undefined ? {} : { key: tls.key }),
    },
    poolMax: p.pool?.max ?? defaults.poolMax,
  };
};

/** Reads a `postgres://` URL or the parts of a config entry. Throws CONFIG; no message repeats a password. */
export const parseConfig = (config: string | Readonly<Record<string, unknown>>): PostgresConfig => {
  if (typeof config === 'string') return parseUrl(config);
  if (typeof config['url'] === 'string') {
    const { url, ...rest } = config;
    const { engine: _e, writable: _w, replicas: _r, limits: _l, retry: _t, breaker: _b, ...parts } = rest;
    const base = parseUrl(url as string);
    if (Object.keys(parts).length === 0) return base;
    const over = parseParts({ host: base.host, database: base.database, user: base.user, port: base.port, ...parts });
    return {
      ...base,
      ...over,
      ...(over.password === undefined && base.password !== undefined ? { password: base.password } : {}),
      schemas: parts['schema'] === undefined ? base.schemas : over.schemas,
      tls: parts['tls'] === undefined ? base.tls : over.tls,
    };
  }
  return parseParts(config);
};

/** `postgres://user@host:port/database`: for people, without the password. */
export const describeConfig = (c: PostgresConfig): string =>
  `postgres://${c.user}@${c.host.includes(':') ? `[${c.host}]` : c.host}:${c.port}/${c.database}`;
