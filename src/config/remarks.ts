import { secretsOf } from './http-entry.ts';
import { hasReference } from './references.ts';
import type { ConfigFile } from './schema.ts';

/** What a valid config file makes us say of it. */

type Path = readonly PropertyKey[];

const laterSections = ['cache'] as const;
const laterOfSync = ['sample'] as const;
const laterOfPair = ['conflict'] as const;

/** Paths of settings that this version accepts and does not use. */
export const withoutEffect = (file: ConfigFile): readonly Path[] => {
  const found: Path[] = laterSections.filter((k) => file[k] !== undefined).map((k) => [k]);
  for (const [name, sync] of Object.entries(file.syncs ?? {})) {
    for (const key of laterOfSync) if (sync[key] !== undefined) found.push(['syncs', name, key]);
    if (sync.mode === 'two_way' || sync.mode === 'migrate') found.push(['syncs', name, 'mode']);
    for (const [i, pair] of (sync.pairs ?? []).entries()) {
      if (typeof pair !== 'object') continue;
      const fields = pair as Record<string, unknown>;
      for (const key of laterOfPair) if (fields[key] !== undefined) found.push(['syncs', name, 'pairs', i, key]);
    }
  }
  return found;
};

/** Paths of secrets that are written into the file. */
export const inlineSecrets = (file: ConfigFile): readonly Path[] => [
  ...(file.server?.tls && !hasReference(file.server.tls.key) ? [['server', 'tls', 'key']] : []),
  ...(file.backups?.key !== undefined && !hasReference(file.backups.key) ? [['backups', 'key']] : []),
  ...(file.audit?.key !== undefined && !hasReference(file.audit.key) ? [['audit', 'key']] : []),
  ...Object.entries(file.endpoints ?? {}).flatMap(([name, e]): Path[] => [
    ...(e.password !== undefined && !hasReference(e.password) ? [['endpoints', name, 'password']] : []),
    ...(e.url !== undefined && /^[a-z][a-z0-9+.-]*:\/\/[^/:@]*:(?!\$\{)[^@]+@/i.test(e.url)
      ? [['endpoints', name, 'url']]
      : []),
    ...(e.replicas ?? []).flatMap((url, i) =>
      /^[a-z][a-z0-9+.-]*:\/\/[^/:@]*:(?!\$\{)[^@]+@/i.test(url) ? [['endpoints', name, 'replicas', i]] : [],
    ),
    ...(e.tls?.key !== undefined && !hasReference(e.tls.key) ? [['endpoints', name, 'tls', 'key']] : []),
    ...secretsOf(e.http).flatMap((s) => (hasReference(s.value) ? [] : [['endpoints', name, ...s.path]])),
  ]),
];
