import { LockstepError } from '../../model/errors.ts';

export interface FirebirdConfig {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string;
  /** A path on the server, or an alias of its databases.conf. */
  readonly database: string;
  readonly role?: string;
  /** What texts of columns without a character set (NONE) are in; UTF8 unless told. */
  readonly noneCharset: string;
  readonly connectTimeoutMs: number;
  /** Encrypt the connection or do not connect. */
  readonly encrypt: 'required' | 'enabled' | 'disabled';
}

const usage =
  'The form is firebird://user:password@host:3050/path-or-alias?charset=UTF8. A second slash makes the path absolute: //data/shop.fdb. Characters such as @ : / ? # % in a password are percent-encoded, or the connection is given by parts.';

const wrong = (message: string, hint: string): LockstepError => new LockstepError('CONFIG', message, { hint });

const decode = (part: string, what: string): string => {
  try {
    return decodeURIComponent(part);
  } catch {
    throw wrong(`the ${what} in the Firebird URL is not valid percent-encoding`, 'Write % as %25.');
  }
};

const settings = [
  'host',
  'port',
  'user',
  'password',
  'database',
  'role',
  'charset',
  'none_charset',
  'connect_timeout',
  'encrypt',
] as const;
type Settings = Partial<Record<(typeof settings)[number], string>>;

const portNumber = (text: string): number => {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 1 || n > 65_535)
    throw wrong(`${text} is not a port`, 'Ports are 1 to 65535; Firebird usually listens on 3050.');
  return n;
};

const seconds = (text: string): number => {
  const n = Number(text);
  if (!Number.isFinite(n) || n <= 0)
    throw wrong(`connect_timeout=${text} is not a number of seconds`, 'Write for example connect_timeout=10.');
  return n * 1000;
};

const isLocal = (host: string): boolean => host === 'localhost' || host === '::1' || /^127\./.test(host);

const read = (s: Settings): FirebirdConfig => {
  const host = s.host === undefined || s.host === '' ? 'localhost' : s.host;
  if (s.database === undefined || s.database === '') throw wrong('the Firebird endpoint names no database', usage);
  if (s.charset !== undefined && !/^(utf8|none)$/i.test(s.charset) && s.none_charset === undefined)
    // A connection of ours is always UTF8: what people mean by another one is what their NONE columns hold.
    return read({ ...s, charset: 'UTF8', none_charset: s.charset });
  const encrypt = s.encrypt ?? (isLocal(host) ? 'enabled' : 'required');
  if (encrypt !== 'required' && encrypt !== 'enabled' && encrypt !== 'disabled')
    throw wrong(`encrypt=${encrypt} is not known`, 'Use required, enabled or disabled.');
  return {
    host,
    port: portNumber(s.port ?? '3050'),
    user: s.user ?? 'SYSDBA',
    ...(s.password === undefined ? {} : { password: s.password }),
    database: s.database,
    ...(s.role === undefined ? {} : { role: s.role }),
    noneCharset: (s.none_charset ?? 'UTF8').toUpperCase(),
    connectTimeoutMs: s.connect_timeout === undefined ? 10_000 : seconds(s.connect_timeout),
    encrypt,
  };
};

const fromUrl = (text: string): Settings => {
  let url: URL;
  try {
    // The host is parsed as in http, which knows brackets and ports.
    url = new URL(text.replace(/^firebird:/i, 'http:'));
  } catch {
    throw wrong('this is not a Firebird URL', usage);
  }
  const found: Settings = {};
  for (const [name, value] of url.searchParams) {
    if (!(settings as readonly string[]).includes(name))
      throw wrong(
        `the Firebird URL has an unknown option ${JSON.stringify(name)}`,
        `Known are ${settings.slice(5).join(', ')}.`,
      );
    found[name as keyof Settings] = value;
  }
  // http leaves out its own port.
  const port = /^[a-z]+:\/\/[^/]*?:(\d+)(?:[/?#]|$)/i.exec(text.replace(/\/\/[^/]*@/, '//'))?.[1];
  return {
    ...found,
    ...(url.hostname === '' ? {} : { host: decode(url.hostname, 'host').replace(/^\[|\]$/g, '') }),
    ...(port === undefined ? {} : { port }),
    ...(url.username === '' ? {} : { user: decode(url.username, 'user') }),
    ...(url.password === '' ? {} : { password: decode(url.password, 'password') }),
    ...(url.pathname.length > 1 ? { database: decode(url.pathname.slice(1), 'database') } : {}),
  };
};

/** Settings of every endpoint, read elsewhere. */
const others = ['engine', 'writable', 'replicas', 'limits', 'retry', 'breaker', 'url', 'pool', 'path', 'alias', 'tls'];

/** Firebird encrypts its own wire, without certificates: of `tls` only on and off mean something. */
const encryptOf = (tls: unknown): Settings => {
  const mode = (tls as { readonly mode?: unknown } | undefined)?.mode;
  return mode === undefined
    ? {}
    : { encrypt: mode === 'disable' ? 'disabled' : mode === 'prefer' ? 'enabled' : 'required' };
};

/** Reads a `firebird://` URL or the parts of a config entry. Throws CONFIG; no message repeats a password. */
export const parseConfig = (config: string | Readonly<Record<string, unknown>>): FirebirdConfig => {
  if (typeof config === 'string') return read(fromUrl(config));
  const given: Settings = typeof config['url'] === 'string' ? fromUrl(config['url']) : {};
  const parts: Settings = {};
  for (const [name, value] of Object.entries(config)) {
    if (others.includes(name)) continue;
    if (!(settings as readonly string[]).includes(name))
      throw wrong(
        `the Firebird endpoint is not written right at ${name}: this is not a known part`,
        `Known parts: ${[...settings, 'path', 'alias'].join(', ')}.`,
      );
    if (typeof value !== 'string' && typeof value !== 'number')
      throw wrong(`the Firebird endpoint is not written right at ${name}: expected text`, `${name}: …`);
    parts[name as keyof Settings] = String(value);
  }
  const database = config['path'] ?? config['alias'];
  return read({
    ...given,
    ...(typeof database === 'string' ? { database } : {}),
    ...encryptOf(config['tls']),
    ...parts,
  });
};

/** For people, without the password. */
export const describeConfig = (c: FirebirdConfig): string =>
  `firebird://${c.user}@${c.host.includes(':') ? `[${c.host}]` : c.host}:${c.port}/${c.database}`;
