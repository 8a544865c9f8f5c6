import { isIP } from 'node:net';
import { LockstepError } from '../../model/errors.ts';
import type { TlsParts } from './parts.ts';

/** How engines that are reached over the network read where that is: a URL, parts of a config entry, or both. */

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

export const wrongConfig = (message: string, hint: string): LockstepError =>
  new LockstepError('CONFIG', message, { hint });

/** A host that only this machine can be: traffic to it leaves no wire to listen on. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));

export const readSeconds = (text: string): number => {
  const n = Number(text);
  if (!Number.isFinite(n) || n <= 0) {
    throw wrongConfig(`connect_timeout=${text} is not a number of seconds`, 'Write for example connect_timeout=10.');
  }
  return n * 1000;
};

/** `usual`: e.g. `PostgreSQL usually listens on 5432`. */
export const readPort = (text: string, usual: string): number => {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 1 || n > 65_535)
    throw wrongConfig(`${text} is not a port`, `Ports are 1 to 65535; ${usual}.`);
  return n;
};

/** One name, names with commas between them, or a list of names. */
export const readNames = (names: string | readonly string[] | undefined): readonly string[] =>
  typeof names === 'object'
    ? names
    : (names ?? '')
        .split(',')
        .map((s) => s.trim())
        .filter((s) => s !== '');

const tlsMode = (text: string): TlsMode => {
  // libpq's opportunistic modes promise nothing: whoever asks for encryption gets it for certain
  const mode = text === 'prefer' || text === 'allow' ? 'require' : text;
  if (!(tlsModes as readonly string[]).includes(mode)) {
    throw wrongConfig(`sslmode=${text} is not known`, `Use one of ${tlsModes.join(', ')}.`);
  }
  return mode as TlsMode;
};

/** Without a mode: a CA is there to be checked; else what leaves this machine is, and what stays on it is not. */
export const readTls = (tls: TlsParts, local: boolean): TlsConfig => ({
  mode: tls.mode === undefined ? (tls.ca || tls.ca_file || !local ? 'verify-full' : 'disable') : tlsMode(tls.mode),
  ...(tls.ca === undefined ? {} : { ca: tls.ca }),
  // the word for what is trusted without a file
  ...(tls.ca_file === undefined || tls.ca_file === 'system' ? {} : { caFile: tls.ca_file }),
  ...(tls.server_name === undefined ? {} : { serverName: tls.server_name }),
  ...(tls.cert === undefined ? {} : { cert: tls.cert }),
  ...(tls.key === undefined ? {} : { key: tls.key }),
});

/** What a URL says, each as text; its own options by their names. */
export type UrlParts<O extends string> = Readonly<Partial<Record<O | 'user' | 'password' | 'database', string>>> & {
  readonly host?: string;
  readonly port?: string;
  readonly tls?: TlsParts;
};

const tlsOptions = ['sslmode', 'sslrootcert', 'sslcert', 'sslkey'] as const;

/** Reads URLs of an engine that is called `title`; `form` shows one, `options` are known beside those of TLS. */
export const urlReader =
  <const O extends string>(x: { readonly title: string; readonly form: string; readonly options: readonly O[] }) =>
  (text: string): UrlParts<O> => {
    const decode = (part: string, what: string): string => {
      try {
        return decodeURIComponent(part);
      } catch {
        throw wrongConfig(
          `the ${what} in the ${x.title} URL is not valid percent-encoding`,
          'Write % as %25, or give the connection by parts (host, user, password, database), where nothing is escaped.',
        );
      }
    };
    let url: URL | undefined;
    try {
      url = new URL(text);
    } catch {
      // said below
    }
    const authority = /^[a-z]+:\/\/([^/?#]*)/i.exec(text)?.[1] ?? '';
    const several = authority.split('@').at(-1)!.includes(',');
    if (url === undefined || several) {
      throw wrongConfig(
        several ? `a ${x.title} URL names one host` : `this is not a ${x.title} URL`,
        `The form is ${x.form}. Characters such as @ : / ? # % in a password are percent-encoded, or the connection is given by parts.`,
      );
    }
    if (!/^[a-z]+:\/\//i.test(text)) {
      throw wrongConfig(
        `the ${x.title} URL has one slash where two belong, so it names no host`,
        `The form is ${x.form}.`,
      );
    }
    const known: readonly string[] = [...x.options, ...tlsOptions];
    const found: Record<string, string> = {};
    for (const [name, value] of url.searchParams) {
      if (!known.includes(name)) {
        throw wrongConfig(
          `the ${x.title} URL has an unknown option ${JSON.stringify(name)}`,
          `Known are ${known.join(', ')}.`,
        );
      }
      found[name] ??= value;
    }
    const { sslmode: mode, sslrootcert: ca_file, sslcert: cert, sslkey: key, ...options } = found;
    const tls = { mode, ca_file, cert, key };
    const parts: Record<string, string> = {
      host: decode(url.hostname, 'host').replace(/^\[|\]$/g, ''),
      port: url.port,
      user: decode(url.username, 'user'),
      password: decode(url.password, 'password'),
      database: decode(url.pathname.replace(/^\//, ''), 'database'),
    };
    const given = (fields: object): object =>
      Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== ''));
    return {
      ...options,
      ...given(parts),
      ...(Object.values(tls).some((value) => value !== undefined) ? { tls: given(tls) as TlsParts } : {}),
    } as UrlParts<O>;
  };
