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

export interface MysqlConfig {
  readonly host: string;
  readonly port: number;
  /** A Unix socket, instead of host and port. */
  readonly socket?: string;
  readonly user: string;
  readonly password?: string;
  readonly database: string;
  /** Databases shown besides `database`. */
  readonly schemas: readonly string[];
  readonly connectTimeoutMs: number;
  readonly tls: TlsConfig;
}

const defaults = { port: 3306, connectTimeoutMs: 10_000 } as const;

/** A host that only this machine can be: traffic to it leaves no wire to listen on. */
export const isLocal = (c: Pick<MysqlConfig, 'host' | 'socket'>): boolean =>
  c.socket !== undefined ||
  c.host === 'localhost' ||
  c.host === '::1' ||
  (isIP(c.host) === 4 && c.host.startsWith('127.'));

const wrong = (message: string, hint: string): LockstepError => new LockstepError('CONFIG', message, { hint });

const decode = (part: string, what: string): string => {
  try {
    return decodeURIComponent(part);
  } catch {
    throw wrong(
      `the ${what} in the MySQL URL is not valid percent-encoding`,
      'Write % as %25, or give the connection by parts (host, user, password, database), where nothing is escaped.',
    );
  }
};

const urlOptions = ['schema', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'connect_timeout', 'socket'] as const;

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
    throw wrong(`${text} is not a port`, 'Ports are 1 to 65535; MySQL and MariaDB usually listen on 3306.');
  return n;
};

const tlsMode = (text: string): TlsMode => {
  if (!(tlsModes as readonly string[]).includes(text)) {
    throw wrong(`sslmode=${text} is not known`, `Use one of ${tlsModes.join(', ')}.`);
  }
  return text as TlsMode;
};

const defaultTls = (c: Pick<MysqlConfig, 'host' | 'socket'>): TlsMode => (isLocal(c) ? 'disable' : 'verify-full');

const list = (text: string | undefined): string[] =>
  (text ?? '')
    .split(',')
    .map((s) => s.trim())
    .filter((s) => s !== '');

const noDatabase = (): LockstepError =>
  wrong(
    'the MySQL endpoint names no database',
    'Add it to the URL, mysql://host/database, or `database: …` to the endpoint.',
  );

const parseUrl = (text: string): MysqlConfig => {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw wrong(
      'this is not a MySQL URL',
      'The form is mysql://user:password@host:3306/database?schema=a,b&sslmode=verify-full. Characters such as @ : / ? # % in a password are percent-encoded, or the connection is given by parts.',
    );
  }
  const option = (name: (typeof urlOptions)[number]): string | undefined => url.searchParams.get(name) ?? undefined;
  for (const name of url.searchParams.keys()) {
    if (!(urlOptions as readonly string[]).includes(name)) {
      throw wrong(`the MySQL URL has an unknown option ${JSON.stringify(name)}`, `Known are ${urlOptions.join(', ')}.`);
    }
  }
  const named = decode(url.hostname, 'host').replace(/^\[|\]$/g, '');
  const socket = option('socket');
  const at = { host: named === '' ? 'localhost' : named, ...(socket === undefined ? {} : { socket }) };
  const database = decode(url.pathname.replace(/^\//, ''), 'database');
  if (database === '') throw noDatabase();
  const password = url.password === '' ? undefined : decode(url.password, 'password');
  const caFile = option('sslrootcert');
  const cert = option('sslcert');
  const key = option('sslkey');
  const mode = option('sslmode');
  const timeout = option('connect_timeout');
  return {
    ...at,
    port: url.port === '' ? defaults.port : portNumber(url.port),
    user: url.username === '' ? (process.env['USER'] ?? 'root') : decode(url.username, 'user'),
    ...(password === undefined ? {} : { password }),
    database,
    schemas: list(option('schema')),
    connectTimeoutMs: timeout === undefined ? defaults.connectTimeoutMs : seconds(timeout),
    tls: {
      mode: mode === undefined ? (caFile === undefined ? defaultTls(at) : 'verify-full') : tlsMode(mode),
      ...(caFile === undefined || caFile === 'system' ? {} : { caFile }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    },
  };
};

const parseParts = (parts: Readonly<Record<string, unknown>>): MysqlConfig => {
  const p = readParts(parts);
  const at = { host: p.host ?? 'localhost', ...(p.socket === undefined ? {} : { socket: p.socket }) };
  if (p.database === undefined || p.database === '') throw noDatabase();
  const tls = p.tls ?? {};
  return {
    ...at,
    port: portNumber(p.port ?? String(defaults.port)),
    user: p.user ?? process.env['USER'] ?? 'root',
    ...(p.password === undefined ? {} : { password: p.password }),
    database: p.database,
    schemas: typeof p.schema === 'string' ? list(p.schema) : (p.schema ?? []),
    connectTimeoutMs: p.connect_timeout === undefined ? defaults.connectTimeoutMs : seconds(p.connect_timeout),
    tls: {
      mode: tls.mode === undefined ? (tls.ca || tls.ca_file ? 'verify-full' : defaultTls(at)) : tlsMode(tls.mode),
      ...(tls.ca === undefined ? {} : { ca: tls.ca }),
      ...(tls.ca_file === undefined ? {} : { caFile: tls.ca_file }),
      ...(tls.server_name === undefined ? {} : { serverName: tls.server_name }),
      ...(tls.cert === undefined ? {} : { cert: tls.cert }),
      ...(tls.key === undefined ? {} : { key: tls.key }),
    },
  };
};

/** Reads a `mysql://` or `mariadb://` URL or the parts of a config entry. Throws CONFIG; no message repeats a password. */
export const parseConfig = (config: string | Readonly<Record<string, unknown>>): MysqlConfig => {
  if (typeof config === 'string') return parseUrl(config);
  if (typeof config['url'] !== 'string') return parseParts(config);
  const { url, ...rest } = config;
  const { engine: _e, writable: _w, replicas: _r, limits: _l, retry: _t, breaker: _b, pool: _p, ...parts } = rest;
  const base = parseUrl(url as string);
  if (Object.keys(parts).length === 0) return base;
  const { host, database, user, port } = base;
  const over = parseParts({ host, database, user, port, ...parts });
  return {
    ...base,
    ...over,
    ...(over.password === undefined && base.password !== undefined ? { password: base.password } : {}),
    schemas: parts['schema'] === undefined ? base.schemas : over.schemas,
    tls: parts['tls'] === undefined ? base.tls : over.tls,
  };
};

/** `host:port`, or the socket. */
export const addressOf = (c: MysqlConfig): string =>
  c.socket ?? `${c.host.includes(':') ? `[${c.host}]` : c.host}:${c.port}`;

/** `mysql://user@host:port/database`: for people, without the password. */
export const describeConfig = (c: MysqlConfig): string => `mysql://${c.user}@${addressOf(c)}/${c.database}`;
