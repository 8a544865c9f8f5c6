import type { Engine } from '../../model/endpoint.ts';
import { describeConfig, type PostgresConfig, parseConfig } from './config.ts';
import { connectPostgres } from './endpoint.ts';

/** PostgreSQL 14 to 18. */
export const postgres: Engine<PostgresConfig> = {
  name: 'postgres',
  schemes: ['postgres', 'postgresql'],
  parse: parseConfig,
  describe: describeConfig,
  dumps: true,
  connect: (config, o) => connectPostgres(config, o),
};
