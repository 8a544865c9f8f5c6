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
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { serverUser } from '../../src/store/embedded/binaries.ts';
import { freePort } from '../../src/store/embedded/cluster.ts';
import { download, findsLibraries, fromDebian, librariesIn } from './debian.ts';

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
  return { folder, libraries: librariesIn(root) };
};

/** `postgresql` holds nothing, and says which version this system has. */
const packages = async (work: string): Promise<readonly string[]> => {
  await download(['postgresql'], work);
  const [meta] = readdirSync(work).filter((name) => name.endsWith('.deb'));
  const { stdout } = await run('dpkg-deb', ['-f', join(work, meta!), 'Depends']);
  const version = /postgresql-(\d+)/.exec(stdout)![1]!;
  return [`postgresql-${version}`, `postgresql-client-${version}`];
};

const complete = (b: Binaries): Promise<boolean> =>
  findsLibraries(
    programs.map((p) => join(b.folder, p)),
    b.libraries,
  );

/** A server of the system's own version, which takes nothing but TLS; the folder with its programs. */
export const startSystemPostgres = async (): Promise<
  AsyncDisposable & { readonly bin: string; readonly ca: string; url(database: string): string }
> => {
  const binaries = inRoot('') ?? inRoot(join(cache, 'root')) ?? (await fromDebian(cache, packages, inRoot, complete));
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
