/**
 * `npm test [-- FILE ...]`: starts the servers the tests need, runs every test with Node's own runner, stops them.
 * Files given narrow the run. Exits with the runner's code; 1 if no test was found.
 */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { mariadbVariable, startMariadb } from '../test/servers/mariadb.ts';
import { startPostgres } from '../test/servers/postgres.ts';

const root = join(dirname(import.meta.filename), '..');
const given = process.argv.slice(2);
const files = given.length > 0 ? given : globSync(['src/**/*.test.ts', 'test/**/*.test.ts'], { cwd: root }).sort();
if (files.length === 0) {
  console.error('no test files found');
  process.exit(1);
}

const external = process.env['LOCKSTEP_TEST_POSTGRES_URL'];
const postgres = external ? undefined : await startPostgres({ wal_level: 'logical', max_prepared_transactions: '10' });
console.error(
  `PostgreSQL for the tests: ${external ? 'LOCKSTEP_TEST_POSTGRES_URL' : 'embedded, started for this run'}`,
);

/** A server that is no npm package may be out of reach: an error where it counts, one loud line elsewhere. */
const mariadb = process.env[mariadbVariable] ? undefined : await startMariadb().catch((error: Error) => error);
if (mariadb instanceof Error) {
  console.error(`!!! NO MARIADB: its tests do NOT run. Set ${mariadbVariable}. ${mariadb.message}`);
  if (process.env['CI']) {
    await postgres?.[Symbol.asyncDispose]();
    process.exit(1);
  }
} else console.error(`MariaDB for the tests: ${mariadb ? 'started for this run' : mariadbVariable}`);

const runner = spawn(
  process.execPath,
  ['--test', '--test-concurrency=3', '--test-timeout=300000', '--test-reporter=spec', ...files],
  {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env,
      LOCKSTEP_TEST_POSTGRES_URL: external ?? postgres!.url(),
      ...(mariadb instanceof Error ? { [mariadbVariable]: 'none' } : mariadb ? { [mariadbVariable]: mariadb.url } : {}),
    },
  },
);
const code = await new Promise<number>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => runner.kill(signal));
  runner.once('exit', (exit) => resolve(exit ?? 1));
});
await postgres?.[Symbol.asyncDispose]();
if (mariadb && !(mariadb instanceof Error)) await mariadb[Symbol.asyncDispose]();
process.exit(code);
