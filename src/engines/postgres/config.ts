import {
  isLoopback,
  readNames,
  readPort,
  readSeconds,
  readTls,
  type TlsConfig,
  urlReader,
  wrongConfig,
} from '../sql/address.ts';
import { partsReader } from '../sql/parts.ts';

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

/** A host that only this machine can be. */
export const isLocal = (host: string): boolean => host.startsWith('/') || isLoopback(host);

const readUrl = urlReader({
  title: 'PostgreSQL',
  form: 'postgres://user:password@host:5432/database?schema=a,b&sslmode=verify-full',
  options: ['schema', 'application_name', 'connect_timeout', 'host', 'port', 'user', 'password', 'dbname'],
});

const readParts = partsReader({
  title: 'PostgreSQL',
  texts: ['host', 'port', 'user', 'password', 'database', 'application_name', 'connect_timeout'],
  schemaIs: 'a name or a list of names',
});

const userOf = (user: string | undefined): string => user ?? process.env['PGUSER'] ?? process.env['USER'] ?? 'postgres';

/** A URL as parts; where it names no database, that of the user's name is meant. */
const partsOfUrl = (text: string): Readonly<Record<string, unknown>> => {
  const { dbname, ...parts } = readUrl(text);
  return { ...parts, database: parts.database ?? dbname ?? userOf(parts.user) };
};

const fromParts = (parts: Readonly<Record<string, unknown>>): PostgresConfig => {
  const p = readParts(parts);
  const host = p.host ?? 'localhost';
  if (p.database === undefined || p.database === '') {
    throw wrongConfig('the PostgreSQL endpoint names no database', 'Add `database: …`.');
  }
  return {
    host,
    port: readPort(p.port ?? '5432', 'PostgreSQL usually listens on 5432'),
    user: userOf(p.user),
    ...(p.password === undefined ? {} : { password: p.password }),
    database: p.database,
    schemas: readNames(p.schema),
    applicationName: p.application_name ?? 'lockstep',
    connectTimeoutMs: readSeconds(p.connect_timeout ?? '10'),
    tls: readTls(p.tls ?? {}, isLocal(host)),
    poolMax: p.poolMax ?? 8,
  };
};

/** Reads a `postgres://` URL, the parts of a config entry, or a URL with parts over it. Throws CONFIG; no message repeats a password. */
export const parseConfig = (config: string | Readonly<Record<string, unknown>>): PostgresConfig => {
  if (typeof config === 'string') return fromParts(partsOfUrl(config));
  const { url, ...parts } = config;
  return fromParts(typeof url === 'string' ? { ...partsOfUrl(url), ...parts } : parts);
};

/** `postgres://user@host:port/database`: for people, without the password. */
export const describeConfig = (c: PostgresConfig): string =>
  `postgres://${c.user}@${c.host.includes(':') ? `[${c.host}]` : c.host}:${c.port}/${c.database}`;
