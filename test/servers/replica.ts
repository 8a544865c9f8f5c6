import {
  appendFileSync,
  chmodSync,
  chownSync,
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { serverUser } from '../../src/store/embedded/binaries.ts';
import {
  type Cluster,
  clusterUrl,
  freePort,
  initCluster,
  startCluster,
  stopCluster,
} from '../../src/store/embedded/cluster.ts';

/** A server of a pair that can be stopped as by a crash, and started again on the same port. */
export interface PairServer {
  readonly port: number;
  url(database?: string): string;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Rows of one statement, on a connection of its own. */
  query(sql: string, database?: string): Promise<readonly Record<string, unknown>[]>;
}

/** A primary and a standby that streams from it. */
export interface ReplicaPair extends AsyncDisposable {
  readonly primary: PairServer;
  readonly replica: PairServer & { promote(): Promise<void> };
  /** Waits until the replica shows everything that is committed on the primary. */
  caughtUp(): Promise<void>;
}

const login = { user: 'tester', password: 'tester' };
const settings = {
  fsync: 'off',
  shared_buffers: '64MB',
  max_connections: '60',
  wal_level: 'replica',
  max_wal_senders: '4',
  wal_keep_size: '64MB',
  hot_standby: 'on',
  wal_receiver_timeout: '2s',
  wal_retrieve_retry_interval: '200ms',
};

const serverAt = (dataDir: string, port: number): PairServer & { current(): Cluster | undefined } => {
  let cluster: Cluster | undefined;
  const url = (database = 'postgres'): string => clusterUrl({ ...login, port }, database);
  return {
    port,
    url,
    current: () => cluster,
    start: async () => {
      cluster ??= await startCluster(dataDir, { ...login, port, settings });
    },
    stop: async () => {
      if (cluster !== undefined) await stopCluster(cluster, 'immediate');
      cluster = undefined;
    },
    query: async (sql, database) => {
      const client = new pg.Client({ connectionString: url(database) });
      client.on('error', () => {});
      await client.connect();
      try {
        return (await client.query(sql)).rows as readonly Record<string, unknown>[];
      } finally {
        await client.end();
      }
    },
  };
};

/** The standby's folder belongs to the user that servers run as. */
const giveAway = (dir: string): void => {
  const as = serverUser();
  if (as === undefined) return;
  for (const file of [dir, ...globSync('**', { cwd: dir }).map((f) => join(dir, f))]) chownSync(file, as.uid, as.gid);
};

/** One server that can be stopped and started again. */
export const startAlone = async (): Promise<PairServer & AsyncDisposable> => {
  const home = mkdtempSync(join(tmpdir(), 'lockstep-alone-'));
  chmodSync(home, 0o755);
  const data = join(home, 'data');
  await initCluster(data, login);
  const server = serverAt(data, await freePort());
  await server.start();
  return {
    ...server,
    [Symbol.asyncDispose]: async () => {
      await server.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
};

/** Starts both. The packages have no pg_basebackup, so the standby begins as a copy of the files, taken as a backup is. */
export const startReplicaPair = async (): Promise<ReplicaPair> => {
  const home = mkdtempSync(join(tmpdir(), 'lockstep-pair-'));
  chmodSync(home, 0o755);
  const folders = { primary: join(home, 'primary'), replica: join(home, 'replica') };
  await initCluster(folders.primary, login);
  appendFileSync(join(folders.primary, 'pg_hba.conf'), 'host replication tester 127.0.0.1/32 scram-sha-256\n');
  const primary = serverAt(folders.primary, await freePort());
  const replica = serverAt(folders.replica, await freePort());
  await primary.start();

  const admin = new pg.Client({ connectionString: primary.url() });
  await admin.connect();
  await admin.query("select pg_backup_start('standby', true)");
  mkdirSync(folders.replica, { mode: 0o700 });
  cpSync(folders.primary, folders.replica, {
    recursive: true,
    filter: (from) =>
      !/\/(postmaster\.(pid|opts)|server\.log)$/.test(from) && !/\/pg_(wal|replslot|stat_tmp)\/./.test(from),
  });
  const { rows } = await admin.query('select labelfile, spcmapfile from pg_backup_stop(false)');
  await admin.end();
  writeFileSync(join(folders.replica, 'backup_label'), (rows[0] as { labelfile: string }).labelfile);
  writeFileSync(join(folders.replica, 'standby.signal'), '');
  appendFileSync(
    join(folders.replica, 'postgresql.auto.conf'),
    `primary_conninfo = 'host=127.0.0.1 port=${primary.port} user=tester password=tester'\n`,
  );
  giveAway(folders.replica);
  await replica.start();

  return {
    primary,
    replica: {
      ...replica,
      promote: async () => {
        await replica.query('select pg_promote(true, 30)');
      },
    },
    caughtUp: async () => {
      const [at] = await primary.query('select pg_current_wal_flush_lsn()::text as lsn');
      for (;;) {
        const [row] = await replica.query(
          `select pg_last_wal_replay_lsn() >= '${String(at!['lsn'])}'::pg_lsn as there`,
        );
        if (row!['there'] === true) return;
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    [Symbol.asyncDispose]: async () => {
      await replica.stop();
      await primary.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
};
