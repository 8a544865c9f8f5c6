import { secretsOf } from './http-entry.ts';
import { hasReference } from './references.ts';
import type { ConfigFile } from './schema.ts';

/** What a valid config file makes us say of it. */

type Path = readonly PropertyKey[];

/** In a URL a password stands before the host. */
const withPassword = /^[a-z][a-z0-9+.-]*:\/\/[^/:@]*:(?!\$\{)[^@]+@/i;

const redisSecrets = (redis: NonNullable<ConfigFile['cache']>['redis']): readonly Path[] => {
  if (typeof redis === 'string') return withPassword.test(redis) ? [['cache', 'redis']] : [];
  return [
    ...(redis?.url !== undefined && withPassword.test(redis.url) ? [['cache', 'redis', 'url']] : []),
    ...(redis?.password !== undefined && !hasReference(redis.password) ? [['cache', 'redis', 'password']] : []),
  ];
};

/** Paths of secrets that are written into the file. */
export const inlineSecrets = (file: ConfigFile): readonly Path[] => [
  ...(file.server?.tls && !hasReference(file.server.tls.key) ? [['server', 'tls', 'key']] : []),
  ...(file.backups?.key !== undefined && !hasReference(file.backups.key) ? [['backups', 'key']] : []),
  ...redisSecrets(file.cache?.redis),
  ...(file.audit?.key !== undefined && !hasReference(file.audit.key) ? [['audit', 'key']] : []),
  ...(file.stored?.key !== undefined && !hasReference(file.stored.key) ? [['stored', 'key']] : []),
  ...Object.entries(file.endpoints ?? {}).flatMap(([name, e]): Path[] => [
    ...(e.password !== undefined && !hasReference(e.password) ? [['endpoints', name, 'password']] : []),
    ...(e.url !== undefined && withPassword.test(e.url) ? [['endpoints', name, 'url']] : []),
    ...(e.replicas ?? []).flatMap((url, i) => (withPassword.test(url) ? [['endpoints', name, 'replicas', i]] : [])),
    ...(e.tls?.key !== undefined && !hasReference(e.tls.key) ? [['endpoints', name, 'tls', 'key']] : []),
    ...secretsOf(e.http).flatMap((s) => (hasReference(s.value) ? [] : [['endpoints', name, ...s.path]])),
  ]),
];
