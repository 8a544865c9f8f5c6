import type { Engine } from '../../model/endpoint.ts';
import { describeConfig, type MysqlConfig, parseConfig } from './config.ts';
import { connectMysql } from './endpoint.ts';

/** MySQL and MariaDB. */
export const mysql: Engine<MysqlConfig> = {
  name: 'mysql',
  schemes: ['mysql', 'mariadb'],
  parse: parseConfig,
  describe: describeConfig,
  connect: (config, o) => connectMysql(config, o),
};
