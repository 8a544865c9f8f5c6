import { spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { serverUser } from '../../src/store/embedded/binaries.ts';
import { freePort } from '../../src/store/embedded/cluster.ts';
import { findsLibraries, fromDebian, librariesIn } from './debian.ts';

const cache = join(import.meta.dirname, '../../.cache/pgbouncer');

interface Binaries {
  readonly pgbouncer: string;
  /** For LD_LIBRARY_PATH; empty where the system finds them by itself. */
  readonly libraries: readonly string[];
}

const inRoot = (root: string): Binaries | undefined => {
  const pgbouncer = [`${root}/usr/sbin/pgbouncer`, `${root}/usr/bin/pgbouncer`].find((file) => existsSync(file));
  if (pgbouncer === undefined) return undefined;
  return { pgbouncer, libraries: librariesIn(root) };
};

/** The same server's databases through PgBouncer, which hands each transaction to a session of its own. */
export const startPgbouncer = async (
  server: string,
  login: { readonly user?: string; readonly password?: string } = {},
): Promise<AsyncDisposable & { url(direct: string): string; sessions(): Promise<number> }> => {
  const binaries =
    inRoot('') ??
    inRoot(join(cache, 'root')) ??
    (await fromDebian(cache, ['pgbouncer'], inRoot, (b) => findsLibraries([b.pgbouncer], b.libraries)));
  const home = mkdtempSync(join(tmpdir(), 'lockstep-pgbouncer-'));
  chmodSync(home, 0o755);
  const { hostname, port: serverPort, username } = new URL(server);
  const user = login.user ?? username;
  const password = login.password ?? decodeURIComponent(new URL(server).password);
  const port = await freePort();
  const as = serverUser();
  const file = join(home, 'pgbouncer.ini');
  writeFileSync(
    file,
    `[databases]
* = host=${hostname} port=${serverPort} user=${user} password=${password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
admin_users = ${username}
pool_mode = transaction
default_pool_size = 10
server_reset_query_always = 0
ignore_startup_parameters =
logfile = ${join(home, 'pgbouncer.log')}
`,
    { mode: 0o600 },
  );
  if (as) for (const path of [home, file]) chownSync(path, as.uid, as.gid);
  const child = spawn(binaries.pgbouncer, [file], {
    ...as,
    stdio: 'ignore',
    cwd: '/',
    env: { ...process.env, LD_LIBRARY_PATH: binaries.libraries.join(':') },
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const at = (direct: string): string => {
    const url = new URL(direct);
    url.hostname = '127.0.0.1';
    url.port = String(port);
    return url.href;
  };
  for (;;) {
    if (child.exitCode !== null) throw new Error(`PgBouncer ended with ${child.exitCode}`);
    const client = new pg.Client({ connectionString: at(server) });
    client.on('error', () => {});
    const answers = await client.connect().then(
      () => true,
      () => false,
    );
    if (answers) {
      await client.end();
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    url: at,
    sessions: async () => {
      const admin = new pg.Client({ connectionString: at(server).replace(/\/[^/]*$/, '/pgbouncer') });
      await admin.connect();
      try {
        return (await admin.query('show servers')).rows.length;
      } finally {
        await admin.end();
      }
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
      rmSync(home, { recursive: true, force: true });
    },
  };
};
