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
  /** Most sessions held open at a time. */
  readonly poolMax: number;
}

/** A server that only this machine can be. */
export const isLocal = (c: Pick<MysqlConfig, 'host' | 'socket'>): boolean =>
  c.socket !== undefined || isLoopback(c.host);

const readUrl = urlReader({
  title: 'MySQL',
  form: 'mysql://user:password@host:3306/database?schema=a,b&sslmode=verify-full',
  options: ['schema', 'connect_timeout', 'socket'],
});

const readParts = partsReader({
  title: 'MySQL',
  texts: ['host', 'port', 'socket', 'user', 'password', 'database', 'connect_timeout'],
  schemaIs: 'the name of a database or a list of names',
});

const fromParts = (parts: Readonly<Record<string, unknown>>): MysqlConfig => {
  const p = readParts(parts);
  const at = { host: p.host ?? 'localhost', ...(p.socket === undefined ? {} : { socket: p.socket }) };
  if (p.database === undefined || p.database === '') {
    throw wrongConfig(
      'the MySQL endpoint names no database',
      'Add it to the URL, mysql://host/database, or `database: …` to the endpoint.',
    );
  }
  return {
    ...at,
    port: readPort(p.port ?? '3306', 'MySQL and MariaDB usually listen on 3306'),
    user: p.user ?? process.env['USER'] ?? 'root',
    ...(p.password === undefined ? {} : { password: p.password }),
    database: p.database,
    schemas: readNames(p.schema),
    connectTimeoutMs: readSeconds(p.connect_timeout ?? '10'),
    tls: readTls(p.tls ?? {}, isLocal(at)),
    poolMax: p.poolMax ?? 8,
  };
};

/** Reads a `mysql://` or `mariadb://` URL, the parts of a config entry, or a URL with parts over it. Throws CONFIG; no message repeats a password. */
export const parseConfig = (config: string | Readonly<Record<string, unknown>>): MysqlConfig => {
  if (typeof config === 'string') return fromParts(readUrl(config));
  const { url, ...parts } = config;
  return fromParts(typeof url === 'string' ? { ...readUrl(url), ...parts } : parts);
};

/** `host:port`, or the socket. */
export const addressOf = (c: MysqlConfig): string =>
  c.socket ?? `${c.host.includes(':') ? `[${c.host}]` : c.host}:${c.port}`;

/** `mysql://user@host:port/database`: for people, without the password. */
export const describeConfig = (c: MysqlConfig): string => `mysql://${c.user}@${addressOf(c)}/${c.database}`;
