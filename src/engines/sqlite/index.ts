import type { Engine } from '../../model/endpoint.ts';
import { SqliteEndpoint } from './endpoint.ts';
import { parseSqlite, type SqliteConfig } from './url.ts';

/** SQLite database files, read and written by processes of our own (see docs/engines/sqlite.md). */
export const sqlite: Engine<SqliteConfig> = {
  name: 'sqlite',
  schemes: ['sqlite'],
  parse: parseSqlite,
  describe: (config) => `sqlite:${config.path}${config.immutable ? '?immutable=1' : config.readOnly ? '?mode=ro' : ''}`,
  connect: (config, o) => SqliteEndpoint.connect(config, o),
};
