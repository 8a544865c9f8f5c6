import { createHash, randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LockstepError } from '../../model/errors.ts';
import { canEnter, passableFolder, type RunAs, serverUser } from './binaries.ts';

/**
 * Where an embedded store is: `home` is the project's `.lockstep`, `store` the folder that belongs to the server's
 * user, with
 *
 *   data/        the cluster; its postmaster.pid tells process and port
 *   password     of the one user, mode 0600
 *   server.log
 *
 * Both are one place, `.lockstep/store`, but for root in a folder that the server's unprivileged user cannot reach:
 * then `.lockstep/location` says where the store is, and for which `.lockstep` it was made.
 */
export interface Place {
  readonly home: string;
  readonly store: string;
  readonly data: string;
  readonly password: string;
  readonly log: string;
  /** Held by the one process that starts the server. */
  readonly lock: string;
  readonly as: RunAs;
}

const place = (home: string, store: string, as: RunAs): Place => ({
  home,
  store,
  data: join(store, 'data'),
  password: join(store, 'password'),
  log: join(store, 'server.log'),
  lock: join(home, 'start.lock'),
  as,
});

/** A system error about a path as one of ours. */
export const pathError = (cause: unknown, path: string): LockstepError => {
  if (cause instanceof LockstepError) return cause;
  const code = (cause as NodeJS.ErrnoException).code ?? '';
  const said: Readonly<Record<string, readonly [string, string]>> = {
    EACCES: [
      'we may not write there',
      'Run in a folder of your own, or give a PostgreSQL as control store: --control postgres://…',
    ],
    EPERM: [
      'we may not write there',
      'Run in a folder of your own, or give a PostgreSQL as control store: --control postgres://…',
    ],
    EROFS: [
      'the file system is read-only',
      'Run in a writable folder, or give a PostgreSQL as control store: --control postgres://…',
    ],
    ENOSPC: ['the disk is full', 'Make room, then start the command again.'],
    EDQUOT: ['the disk quota is used up', 'Make room, then start the command again.'],
    ENAMETOOLONG: ['the path is too long', 'Run in a folder with a shorter path.'],
    ENOENT: ['the folder does not exist', 'Run in a folder that exists.'],
    ENOTDIR: ['a part of the path is not a folder', 'Move the file that is in the way.'],
    EEXIST: ['a file is in the way', 'Move the file that is in the way.'],
  };
  const [what, hint] = said[code] ?? [
    (cause as Error).message,
    'Give a PostgreSQL as control store: --control postgres://…',
  ];
  return new LockstepError('STORE', `the control store cannot be kept in ${path}: ${what}`, { hint, cause });
};

const own = (path: string, as: RunAs): void => {
  if (as) chownSync(path, as.uid, as.gid);
};

/** Longest path of a data folder: PostgreSQL keeps paths in 1024 bytes and adds names of its own. */
const maxPath = 900;

/** Finds the place of the store of `dir`, and makes its outer folders. */
export const findPlace = async (dir: string): Promise<Place> => {
  const outer = join(dir, '.lockstep');
  try {
    const ours = serverUser(dir);
    const owner = statSync(dir).uid === 0 ? undefined : ours;
    if (!existsSync(outer)) {
      mkdirSync(outer, { mode: 0o755 });
      own(outer, owner);
    }
    const home = realpathSync(outer);
    for (const [name, content] of [
      ['.gitignore', '*\n'],
      ['start.lock', ''],
    ] as const) {
      const path = join(home, name);
      if (existsSync(path)) continue;
      writeFileSync(path, content);
      own(path, owner);
    }
    const inside = join(home, 'store');
    const location = join(home, 'location');
    if (Buffer.byteLength(inside) > maxPath) throw Object.assign(new Error('too long'), { code: 'ENAMETOOLONG' });
    if (existsSync(inside)) return place(home, inside, serverUser(inside));
    if (existsSync(location)) {
      const [store = '', madeFor = ''] = readFileSync(location, 'utf8').split('\n');
      if (madeFor === home || !existsSync(join(madeFor, 'location'))) {
        return place(home, store, serverUser(existsSync(store) ? store : dir));
      }
      // this folder is a copy of another project's: it begins with a store of its own
      rmSync(location);
    }
    if (!ours || (await canEnter(home, ours))) return place(home, inside, ours);
    const name = `${createHash('sha256').update(home).digest('hex').slice(0, 8)}-${randomBytes(4).toString('hex')}`;
    const store = join(await passableFolder(ours), `store-${name}`);
    writeFileSync(location, `${store}\n${home}\n`, { flag: 'wx' });
    return place(home, store, ours);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST' && existsSync(join(outer, 'location')))
      return findPlace(dir);
    throw pathError(cause, outer);
  }
};
