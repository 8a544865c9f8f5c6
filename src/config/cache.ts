import type { WrittenCache } from './cache-schema.ts';
import type { ReadSection } from './server.ts';

/** Where a Redis is. */
export interface RedisAddress {
  /** `redis://host:port`; `rediss:` by TLS. */
  readonly url: string;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: number | undefined;
}

export interface CacheSettings {
  readonly ttlMs: number;
  /** Of memory, in each process. */
  readonly maxBytes: number;
  /** Undefined: memory only. */
  readonly redis: RedisAddress | undefined;
}

export const defaultTtlMs = 60_000;
const defaultBytes = 64 * 1024 * 1024;
const units: Readonly<Record<string, number>> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

const bytesOf = (written: number | string | undefined, read: ReadSection): number => {
  if (written === undefined) return defaultBytes;
  const [, digits, unit] = /^(\d+)(KiB|MiB|GiB)?$/.exec(read.text(String(written), ['max_bytes'])) ?? [];
  if (digits === undefined) throw read.wrong(['max_bytes'], 'expected a size', 'Write 64MiB, or a number of bytes.');
  return Number(digits) * (unit === undefined ? 1 : units[unit]!);
};

const ofUrl = (written: string, path: readonly string[], read: ReadSection): RedisAddress => {
  const text = read.text(written, path);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^rediss?:$/.test(url.protocol) || url.hostname === '' || !/^\/?\d*$/.test(url.pathname))
    throw read.wrong(path, 'is no address of a Redis', 'Write redis://host:6379, or rediss://… for TLS.');
  const decoded = (part: string): string | undefined => (part === '' ? undefined : decodeURIComponent(part));
  const database = url.pathname.slice(1);
  return {
    url: `${url.protocol}//${url.host}`,
    user: decoded(url.username),
    password: decoded(url.password),
    database: database === '' ? undefined : Number(database),
  };
};

const redisOf = (written: NonNullable<WrittenCache['redis']>, read: ReadSection): RedisAddress => {
  if (typeof written === 'string') return ofUrl(written, ['redis'], read);
  const at = (key: string): readonly string[] => ['redis', key];
  if (written.url !== undefined) {
    const odd = Object.keys(written).find((key) => key !== 'url');
    if (odd !== undefined) throw read.wrong(at(odd), 'stands beside url', 'Use a url, or host and parts; not both.');
    return ofUrl(written.url, at('url'), read);
  }
  if (written.host === undefined)
    throw read.wrong(['redis'], 'has neither url nor host', 'Write { host: …, port: 6379 }.');
  const host = read.text(written.host, at('host'));
  const port = written.port === undefined ? 6379 : read.number(written.port, at('port'), 1);
  const tls = written.tls === undefined ? false : read.flag(written.tls, at('tls'));
  return {
    url: `redis${tls ? 's' : ''}://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}`,
    user: written.user === undefined ? undefined : read.text(written.user, at('user')),
    password: written.password === undefined ? undefined : read.text(written.password, at('password')),
    database: written.database === undefined ? undefined : read.number(written.database, at('database'), 0),
  };
};

/** What is written, with its defaults; `secret` is told what must not be shown. */
export const cacheOf = (
  written: WrittenCache | undefined,
  read: ReadSection,
  secret: (value: string) => void,
): CacheSettings => {
  const redis = written?.redis === undefined ? undefined : redisOf(written.redis, read);
  if (redis?.password !== undefined) secret(redis.password);
  return {
    ttlMs: written?.ttl === undefined ? defaultTtlMs : read.duration(written.ttl, ['ttl']),
    maxBytes: bytesOf(written?.max_bytes, read),
    redis,
  };
};
