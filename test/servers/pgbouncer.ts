import { execFile, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { serverUser } from '../../src/store/embedded/binaries.ts';
import { freePort } from '../../src/store/embedded/cluster.ts';

const run = promisify(execFile);
const cache = join(import.meta.dirname, '../../.cache/pgbouncer');

interface Binaries {
  readonly pgbouncer: string;
  /** For LD_LIBRARY_PATH; empty where the system finds them by itself. */
  readonly libraries: readonly string[];
}

const inRoot = (root: string): Binaries | undefined => {
  const pgbouncer = [`${root}/usr/sbin/pgbouncer`, `${root}/usr/bin/pgbouncer`].find((file) => existsSync(file));
  if (pgbouncer === undefined) return undefined;
  return {
    pgbouncer,
    libraries: root === '' ? [] : [...globSync(`${root}/usr/lib/*-linux-gnu`), ...globSync(`${root}/lib/*-linux-gnu`)],
  };
};

/** `apt-get download` into a folder; without package lists they are fetched first, into folders of our own. */
const download = async (packages: readonly string[], into: string): Promise<void> => {
  const privately = [
    ...['-o', `Dir::State=${into}/apt/state`, '-o', `Dir::Cache=${into}/apt/cache`],
    ...['-o', 'Dir::State::status=/var/lib/dpkg/status', '-o', 'Debug::NoLocking=1', '-o', 'APT::Sandbox::User='],
  ];
  try {
    await run('apt-get', ['-o', 'APT::Sandbox::User=', 'download', ...packages], { cwd: into });
  } catch {
    for (const dir of ['state/lists/partial', 'cache/archives/partial'])
      mkdirSync(join(into, 'apt', dir), { recursive: true });
    await run('apt-get', [...privately, 'update'], { cwd: into });
    await run('apt-get', [...privately, 'download', ...packages], { cwd: into });
  }
};

const extract = async (into: string, root: string): Promise<readonly string[]> => {
  const needed: string[] = [];
  for (const file of readdirSync(into).filter((name) => name.endsWith('.deb'))) {
    const { stdout } = await run('dpkg-deb', ['-f', join(into, file), 'Depends']);
    needed.push(...[...stdout.matchAll(/(?:^|, )(lib[a-z0-9.+-]+)/g)].map((m) => m[1]!));
    await run('dpkg-deb', ['-x', join(into, file), root]);
    rmSync(join(into, file));
  }
  return needed.filter((name) => !/^lib(c6|gcc|stdc|systemd|pam)/.test(name));
};

const complete = async (b: Binaries): Promise<boolean> => {
  const { stdout } = await run('ldd', [b.pgbouncer], {
    env: { ...process.env, LD_LIBRARY_PATH: b.libraries.join(':') },
  });
  return !stdout.includes('not found');
};

/** Downloads and extracts the Debian packages into the project's cache: nothing is installed, no root is needed. */
const fromDebian = async (): Promise<Binaries> => {
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, 'making-'));
  const root = join(work, 'root');
  try {
    await download(['pgbouncer'], work);
    const needed = await extract(work, root);
    if (!(await complete(inRoot(root)!))) {
      await download(needed, work);
      await extract(work, root);
      if (!(await complete(inRoot(root)!))) throw new Error('PgBouncer lacks libraries');
    }
    try {
      renameSync(root, join(cache, 'root'));
    } catch {
      // Another process was faster; its files are the same.
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return inRoot(join(cache, 'root'))!;
};

/** The same server's databases through PgBouncer, which hands each transaction to a session of its own. */
export const startPgbouncer = async (
  server: string,
  login: { readonly user?: string; readonly password?: string } = {},
): Promise<AsyncDisposable & { url(direct: string): string; sessions(): Promise<number> }> => {
  const binaries = inRoot('') ?? inRoot(join(cache, 'root')) ?? (await fromDebian());
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
