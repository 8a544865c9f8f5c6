import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { freePort } from '../../src/store/embedded/cluster.ts';
import { type MariadbBinaries, mariadbBinaries } from './mariadb-binaries.ts';

export interface MariadbServer extends AsyncDisposable {
  /** `mysql://user:password@127.0.0.1:port/mysql` of a user who may do everything. */
  readonly url: string;
  readonly port: number;
  readonly dir: string;
}

const login = { user: 'tester', password: 'tester' };

const environment = (b: MariadbBinaries): NodeJS.ProcessEnv =>
  b.libraries.length === 0 ? process.env : { ...process.env, LD_LIBRARY_PATH: b.libraries.join(':') };

/** Options of every start: nobody's configuration files, messages of this version, root only when told so. */
const basics = (b: MariadbBinaries, dir: string): string[] => [
  '--no-defaults',
  `--datadir=${join(dir, 'data')}`,
  `--tmpdir=${join(dir, 'tmp')}`,
  `--lc-messages-dir=${b.share}`,
  `--character-sets-dir=${join(b.share, 'charsets')}`,
  ...(process.getuid?.() === 0 ? ['--user=root'] : []),
];

const exit = (child: ReturnType<typeof spawn>): Promise<number | null> =>
  new Promise((resolve) => child.once('exit', (code) => resolve(code)));

const systemTables = (b: MariadbBinaries): string => {
  const read = (part: string): string => {
    for (const name of ['mariadb', 'mysql']) {
      try {
        return readFileSync(join(b.share, `${name}_${part}.sql`), 'utf8');
      } catch {
        // The other name, then.
      }
    }
    throw new Error(`there is no ${part}.sql in ${b.share}`);
  };
  return [
    'create database mysql;',
    'use mysql;',
    read('system_tables'),
    read('system_tables_data'),
    'flush privileges;',
    `create user '${login.user}'@'%' identified by '${login.password}';`,
    `grant all privileges on *.* to '${login.user}'@'%' with grant option;`,
    '',
  ].join('\n');
};

/** The bootstrap mode reads statements line by line; a failure ends it with another code than 0. */
const makeDatabase = async (b: MariadbBinaries, dir: string): Promise<void> => {
  const log = openSync(join(dir, 'bootstrap.log'), 'w');
  const child = spawn(
    b.mariadbd,
    [
      ...basics(b, dir),
      '--bootstrap',
      '--skip-log-bin',
      '--innodb-log-file-size=32M',
      '--innodb-flush-log-at-trx-commit=0',
    ],
    { env: environment(b), cwd: dir, stdio: ['pipe', log, log] },
  );
  child.stdin!.on('error', () => {});
  child.stdin!.end(systemTables(b));
  const code = await exit(child);
  if (code !== 0)
    throw new Error(`MariaDB made no data directory (exit code ${code}): ${tail(join(dir, 'bootstrap.log'))}`);
};

const tail = (file: string): string => readFileSync(file, 'utf8').split('\n').slice(-15).join('\n');

/** Waits until the server lets the tester in; a server that ends meanwhile is an error. */
const untilReady = async (port: number, child: ReturnType<typeof spawn>, log: string): Promise<void> => {
  const until = Date.now() + 60_000;
  for (;;) {
    try {
      const connection = await mysql.createConnection({ host: '127.0.0.1', port, ...login, connectTimeout: 5000 });
      await connection.end();
      return;
    } catch (error) {
      if (child.exitCode !== null || Date.now() > until)
        throw new Error(`MariaDB did not start (exit code ${child.exitCode}): ${tail(log)}`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
};

/** Starts a server of its own in a temporary folder, on a free port of this machine only. */
export const startMariadb = async (settings: Readonly<Record<string, string>> = {}): Promise<MariadbServer> => {
  const binaries = await mariadbBinaries();
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-maria-'));
  for (const folder of ['data', 'tmp']) mkdirSync(join(dir, folder));
  await makeDatabase(binaries, dir);
  const port = await freePort();
  const log = join(dir, 'server.log');
  const options: Readonly<Record<string, string>> = {
    port: String(port),
    'bind-address': '127.0.0.1',
    socket: join(dir, 's'),
    'pid-file': join(dir, 'pid'),
    'max-connections': '300',
    'innodb-buffer-pool-size': '256M',
    'innodb-log-file-size': '96M',
    'innodb-flush-log-at-trx-commit': '0',
    'innodb-flush-method': 'nosync',
    'skip-name-resolve': 'on',
    'character-set-server': 'utf8mb4',
    ...settings,
  };
  const out = openSync(log, 'w');
  const child = spawn(
    binaries.mariadbd,
    [...basics(binaries, dir), ...Object.entries(options).map(([name, value]) => `--${name}=${value}`)],
    { env: environment(binaries), cwd: dir, stdio: ['ignore', out, out] },
  );
  const ended = exit(child);
  const killed = (): void => {
    child.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  };
  process.once('exit', killed);
  try {
    await untilReady(port, child, log);
  } catch (error) {
    killed();
    throw error;
  }
  // who forgets it may end all the same; the server then goes with the process
  child.unref();
  return {
    url: `mysql://${login.user}:${login.password}@127.0.0.1:${port}/mysql`,
    port,
    dir,
    [Symbol.asyncDispose]: async () => {
      child.ref();
      child.kill('SIGKILL');
      await ended;
      process.removeListener('exit', killed);
      rmSync(dir, { recursive: true, force: true });
    },
  };
};

/** URL of a server for tests; `none`: there is none, and `npm test` has said so. */
export const mariadbVariable = 'LOCKSTEP_TEST_MARIADB_URL';

/** No server can be had: what needs one is left out. */
export const isMariadbMissing = process.env[mariadbVariable] === 'none';

let own: Promise<MariadbServer> | undefined;

/** URL of the tests' server: the variable's (as `npm test` sets it), else that of a server started for this file. */
const mariadbUrl = async (): Promise<string> => {
  const given = process.env[mariadbVariable];
  if (given) return given;
  own ??= startMariadb();
  return (await own).url;
};

let counter = 0;

export interface MariadbDatabase extends AsyncDisposable {
  readonly url: string;
  readonly name: string;
  /** Runs a statement, or several, on a connection of its own; rows as objects. */
  query(sql: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>;
  /** The same with rows as arrays. */
  rows(sql: string): Promise<readonly (readonly unknown[])[]>;
}

/** A fresh empty database on the tests' server; dropped when disposed. */
export const mariadbDatabase = async (): Promise<MariadbDatabase> => {
  const url = new URL(await mariadbUrl());
  const name = `t_${process.pid}_${Date.now().toString(36)}_${counter++}`;
  const connection = await mysql.createConnection({
    uri: url.href,
    charset: 'utf8mb4_bin',
    timezone: 'Z',
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    multipleStatements: true,
  });
  await connection.query(`create database ${name} character set utf8mb4`);
  await connection.query(`use ${name}`);
  await connection.query("set time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO'");
  url.pathname = `/${name}`;
  return {
    url: url.href,
    name,
    query: async (sql, values) => (await connection.query(sql, values && [...values]))[0] as Record<string, unknown>[],
    rows: async (sql) => (await connection.query({ sql, rowsAsArray: true }))[0] as unknown[][],
    [Symbol.asyncDispose]: async () => {
      await connection.query(`drop database if exists ${name}`);
      await connection.end();
    },
  };
};
