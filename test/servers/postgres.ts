import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import pg from 'pg';
import {
  type Cluster,
  clusterUrl,
  freePort,
  initCluster,
  startCluster,
  stopCluster,
} from '../../src/store/embedded/cluster.ts';

/** A server of its own for a test that needs special settings (TLS, logical replication, a crash). */
export const startPostgres = async (
  settings: Readonly<Record<string, string>> = {},
): Promise<Cluster & AsyncDisposable & { url(db?: string): string }> => {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-pg-'));
  const { chmodSync } = await import('node:fs');
  chmodSync(dir, 0o755);
  const dataDir = join(dir, 'data');
  const login = { user: 'tester', password: 'tester' };
  await initCluster(dataDir, { ...login, locale: ['--locale-provider=icu', '--icu-locale=en-US', '--locale=C.UTF-8'] });
  const cluster = await startCluster(dataDir, {
    ...login,
    port: await freePort(),
    settings: { fsync: 'off', full_page_writes: 'off', shared_buffers: '256MB', max_connections: '200', ...settings },
  });
  return {
    ...cluster,
    url: (db = 'postgres') => clusterUrl(cluster, db),
    [Symbol.asyncDispose]: async () => {
      await stopCluster(cluster, 'immediate');
      rmSync(dir, { recursive: true, force: true });
    },
  };
};

let own: Promise<Awaited<ReturnType<typeof startPostgres>>> | undefined;

/** URL of the tests' server: LOCKSTEP_TEST_POSTGRES_URL (as `npm test` sets it), else one started for this file. */
const serverUrl = async (): Promise<string> => {
  const given = process.env['LOCKSTEP_TEST_POSTGRES_URL'];
  if (given) return given;
  own ??= startPostgres();
  after(async () => (await own)?.[Symbol.asyncDispose]());
  return (await own).url();
};

let copying: Promise<string> | undefined;

/** To copy the files, as versions before 15 always do, takes a third of the processor time that the log takes. */
const strategy = (admin: pg.Client): Promise<string> =>
  (copying ??= admin
    .query("select current_setting('server_version_num')::int >= 150000 as chooses")
    .then(({ rows }) => (rows[0].chooses ? 'strategy file_copy' : '')));

let counter = 0;

export interface TestDatabase extends AsyncDisposable {
  readonly url: string;
  readonly name: string;
  /** Runs statements on a connection of its own; rows as objects. */
  query(sql: string, values?: unknown[]): Promise<pg.QueryResult>;
}

/** A fresh database with the tables of a control store in it, where `npm test` has made one to copy: the store makes what is missing. */
export const storeDatabase = (): Promise<TestDatabase> => {
  const template = process.env['LOCKSTEP_TEST_STORE_TEMPLATE'];
  return testDatabase(template ? `template ${template}` : '');
};

/** A fresh empty database on the tests' server (ICU en-US collation unless told otherwise); dropped when disposed. */
export const testDatabase = async (options = ''): Promise<TestDatabase> => {
  const base = await serverUrl();
  const name = `t_${process.pid}_${Date.now().toString(36)}_${counter++}`;
  const admin = new pg.Client({ connectionString: base });
  await admin.connect();
  await admin.query(`create database ${name} ${options} ${await strategy(admin)}`);
  await admin.end();
  const url = new URL(base);
  url.pathname = `/${name}`;
  let client: Promise<pg.Client> | undefined;
  const connected = (): Promise<pg.Client> =>
    (client ??= (async () => {
      const c = new pg.Client({ connectionString: url.href });
      c.on('error', () => {});
      await c.connect();
      return c;
    })());
  return {
    url: url.href,
    name,
    query: async (sql, values) => (await connected()).query(sql, values),
    [Symbol.asyncDispose]: async () => {
      if (client) await (await client).end();
      const c = new pg.Client({ connectionString: base });
      await c.connect();
      await c.query(`drop database if exists ${name} with (force)`);
      await c.end();
    },
  };
};
