import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { download, extract, librariesIn } from './debian.ts';

/** Where a MariaDB server's files are. */
export interface MariadbBinaries {
  readonly mariadbd: string;
  /** The folder with the messages and the SQL that makes the system tables. */
  readonly share: string;
  /** For LD_LIBRARY_PATH; empty where the system finds them by itself. */
  readonly libraries: readonly string[];
}

const run = promisify(execFile);
const project = join(import.meta.dirname, '../..');
const cache = join(project, '.cache/mariadb');

const inRoot = (root: string): MariadbBinaries | undefined => {
  const mariadbd = ['usr/sbin', 'usr/libexec', 'usr/local/sbin', 'usr/local/bin', 'opt/homebrew/bin']
    .map((dir) => join(root === '' ? '/' : root, dir, 'mariadbd'))
    .find((file) => existsSync(file));
  const share = ['usr/share/mysql', 'usr/share/mariadb', 'usr/local/share/mysql']
    .map((dir) => join(root === '' ? '/' : root, dir))
    .find((dir) => ['mysql', 'mariadb'].some((name) => existsSync(join(dir, `${name}_system_tables.sql`))));
  if (mariadbd === undefined || share === undefined) return undefined;
  return { mariadbd, share, libraries: librariesIn(root) };
};

/** Names of libraries that the server would not find. */
const missing = async (b: MariadbBinaries): Promise<string[]> => {
  const env = { ...process.env, LD_LIBRARY_PATH: b.libraries.join(':') };
  const { stdout } = await run('ldd', [b.mariadbd], { env });
  return [...stdout.matchAll(/^\s*(\S+) => not found/gm)].map((m) => m[1]!);
};

/** Library packages that the server's package names, those of every system left out. */
const libraryPackages = async (into: string): Promise<string[]> => {
  const privately = existsSync(join(into, 'apt/state'))
    ? ['-o', `Dir::State=${into}/apt/state`, '-o', `Dir::Cache=${into}/apt/cache`]
    : [];
  const { stdout } = await run('apt-cache', [...privately, 'depends', '--important', 'mariadb-server-core']);
  const names = [...stdout.matchAll(/Depends: (lib[a-z0-9.+-]+)/g)].map((m) => m[1]!);
  return [...new Set(names)].filter((n) => !/^lib(c6|gcc|stdc|systemd)/.test(n));
};

/** Downloads and extracts the Debian packages into the project's cache: nothing is installed, no root is needed. */
const fromDebian = async (): Promise<MariadbBinaries> => {
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, 'making-'));
  const root = join(work, 'root');
  try {
    await download(['mariadb-server-core'], work);
    await extract(work, root);
    const found = inRoot(root);
    if (!found) throw new Error('the package mariadb-server-core holds no server');
    if ((await missing(found)).length > 0) {
      await download(await libraryPackages(work), work);
      await extract(work, root);
      const still = await missing(inRoot(root)!);
      if (still.length > 0) throw new Error(`MariaDB lacks ${still.join(', ')}`);
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

/** A server's binaries: of this machine, of the project's cache, or fetched now. Throws what stood in the way. */
export const mariadbBinaries = async (): Promise<MariadbBinaries> =>
  inRoot('') ?? inRoot(join(cache, 'root')) ?? (await fromDebian());
