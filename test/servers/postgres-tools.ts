import { execFile, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
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
const cache = join(import.meta.dirname, '../../.cache/postgresql');
const certificates = join(import.meta.dirname, '../engines/postgres-certificates');

/** A server with its own pg_dump, as distributions have them: the embedded one comes without. */
interface Binaries {
  readonly folder: string;
  /** For LD_LIBRARY_PATH; empty where the system finds them by itself. */
  readonly libraries: readonly string[];
}

const programs = ['initdb', 'postgres', 'pg_dump', 'pg_restore'];

const inRoot = (root: string): Binaries | undefined => {
  const folder = globSync(`${root}/usr/lib/postgresql/*/bin`).find((f) =>
    programs.every((p) => existsSync(join(f, p))),
  );
  if (folder === undefined) return undefined;
  const libraries =
    root === '' ? [] : [...globSync(`${root}/usr/lib/*-linux-gnu`), ...globSync(`${root}/lib/*-linux-gnu`)];
  return { folder, libraries };
};

const privately = (into: string): readonly string[] => [
  ...['-o', `Dir::State=${into}/apt/state`, '-o', `Dir::Cache=${into}/apt/cache`],
  ...['-o', 'Dir::State::status=/var/lib/dpkg/status', '-o', 'Debug::NoLocking=1', '-o', 'APT::Sandbox::User='],
];

/** `apt-get download` into a folder; without package lists they are fetched first, into folders of our own. */
const download = async (packages: readonly string[], into: string): Promise<void> => {
  try {
    await run('apt-get', ['-o', 'APT::Sandbox::User=', 'download', ...packages], { cwd: into });
  } catch {
    for (const dir of ['state/lists/partial', 'cache/archives/partial'])
      mkdirSync(join(into, 'apt', dir), { recursive: true });
    await run('apt-get', [...privately(into), 'update'], { cwd: into });
    await run('apt-get', [...privately(into), 'download', ...packages], { cwd: into });
  }
};

/** Extracts what was downloaded; names of library packages that it needs. */
const extract = async (into: string, root: string): Promise<readonly string[]> => {
  const needed: string[] = [];
  for (const file of readdirSync(into).filter((name) => name.endsWith('.deb'))) {
    const { stdout } = await run('dpkg-deb', ['-f', join(into, file), 'Depends']);
    needed.push(...[...stdout.matchAll(/(?:^|, )(lib[a-z0-9.+-]+)/g)].map((m) => m[1]!));
    await run('dpkg-deb', ['-x', join(into, file), root]);
    rmSync(join(into, file));
  }
  return [...new Set(needed)].filter((name) => !/^lib(c6|gcc|stdc|systemd|pam|llvm)/.test(name));
};

const complete = async (b: Binaries): Promise<boolean> => {
  const env = { ...process.env, LD_LIBRARY_PATH: b.libraries.join(':') };
  const said = await Promise.all(programs.map((p) => run('ldd', [join(b.folder, p)], { env })));
  return said.every(({ stdout }) => !stdout.includes('not found'));
};

/** Downloads and extracts the Debian packages into the project's cache: nothing is installed, no root is needed. */
const fromDebian = async (): Promise<Binaries> => {
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, 'making-'));
  const root = join(work, 'root');
  try {
    // `postgresql` holds nothing, and says which version this system has.
    await download(['postgresql'], work);
    const [meta] = readdirSync(work).filter((name) => name.endsWith('.deb'));
    const { stdout } = await run('dpkg-deb', ['-f', join(work, meta!), 'Depends']);
    const version = /postgresql-(\d+)/.exec(stdout)![1]!;
    await download([`postgresql-${version}`, `postgresql-client-${version}`], work);
    const needed = await extract(work, root);
    if (!(await complete(inRoot(root)!))) {
      await download(needed, work);
      await extract(work, root);
      if (!(await complete(inRoot(root)!))) throw new Error('PostgreSQL lacks libraries');
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

/** A server of the system's own version, which takes nothing but TLS; the folder with its programs. */
export const startSystemPostgres = async (): Promise<
  AsyncDisposable & { readonly bin: string; readonly ca: string; url(database: string): string }
> => {
  const binaries = inRoot('') ?? inRoot(join(cache, 'root')) ?? (await fromDebian());
  const as = serverUser();
  const home = mkdtempSync(join(tmpdir(), 'lockstep-pg-'));
  chmodSync(home, 0o755);
  const data = join(home, 'data');
  const password = join(home, 'pw');
  mkdirSync(data, { mode: 0o700 });
  writeFileSync(password, 'tester', { mode: 0o600 });
  for (const path of [data, password]) if (as) chownSync(path, as.uid, as.gid);
  const options = {
    ...as,
    cwd: '/',
    env: { ...process.env, LC_ALL: 'C', LD_LIBRARY_PATH: binaries.libraries.join(':') },
  };
  const init = ['-D', data, '-U', 'tester', '-A', 'scram-sha-256', '--pwfile', password, '-E', 'UTF8', '--no-sync'];
  await run(join(binaries.folder, 'initdb'), [...init, '--locale=C'], options);
  for (const file of ['server.crt', 'server.key']) {
    copyFileSync(join(certificates, file), join(data, file));
    chmodSync(join(data, file), 0o600);
    if (as) chownSync(join(data, file), as.uid, as.gid);
  }
  writeFileSync(join(data, 'pg_hba.conf'), 'hostssl all all 127.0.0.1/32 scram-sha-256\n');
  const port = await freePort();
  const settings = { listen_addresses: '127.0.0.1', unix_socket_directories: '', fsync: 'off', ssl: 'on', jit: 'off' };
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = spawn(join(binaries.folder, 'postgres'), ['-D', data, '-p', String(port), ...args], {
    ...options,
    stdio: 'ignore',
  });
  const ca = join(certificates, 'ca.crt');
  const url = (database: string): string =>
    `postgres://tester:tester@localhost:${port}/${database}?sslmode=verify-full&sslrootcert=${encodeURIComponent(ca)}`;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  for (;;) {
    const client = new pg.Client({ connectionString: url('postgres') });
    client.on('error', () => {});
    try {
      await client.connect();
      await client.end();
      break;
    } catch (error) {
      if (child.exitCode !== null) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return {
    bin: binaries.folder,
    ca,
    url,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGQUIT');
      await ended;
      rmSync(home, { recursive: true, force: true });
    },
  };
};
