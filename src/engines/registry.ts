import type { Engine } from '../model/endpoint.ts';

/** The only list of engines. Loaded when asked for, so that an unused driver costs nothing. */
const engines: Readonly<Record<string, () => Promise<Engine>>> = {
  postgres: async () => (await import('./postgres/index.ts')).postgres as Engine,
  mysql: async () => (await import('./mysql/index.ts')).mysql as Engine,
  firebird: async () => (await import('./firebird/index.ts')).firebird as Engine,
  sqlite: async () => (await import('./sqlite/index.ts')).sqlite as Engine,
  http: async () => (await import('./http/index.ts')).http as Engine,
};

/** URL scheme -> engine name. */
const schemes: Readonly<Record<string, string>> = {
  postgres: 'postgres',
  postgresql: 'postgres',
  mysql: 'mysql',
  mariadb: 'mysql',
  firebird: 'firebird',
  sqlite: 'sqlite',
  http: 'http',
  https: 'http',
};

export const engineNames = Object.keys(engines);
export const engineOfUrl = (url: string): string | undefined =>
  schemes[url.slice(0, Math.max(0, url.indexOf(':'))).toLowerCase()];
export const loadEngine = (name: string): Promise<Engine> | undefined => engines[name]?.();
