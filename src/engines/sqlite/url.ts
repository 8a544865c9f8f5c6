import { statSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { LockstepError } from '../../model/errors.ts';

/** Which file, and how it may be opened. */
export interface SqliteConfig {
  /** As the user wrote it; relative paths start at the config file's folder. */
  readonly path: string;
  /** `ro`: never opened for writing, whatever the endpoint's own setting. */
  readonly readOnly: boolean;
  /** The user vouches that nobody writes the file: SQLite then takes no locks and needs no side files. */
  readonly immutable: boolean;
  /** `rwc`: an empty database is made where there is none, if the endpoint may be written. */
  readonly create?: true;
}

const usage = 'Write sqlite:relative/path.db or sqlite:///absolute/path.db, optionally with ?mode=ro.';

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

const fromParts = (path: string, options: ReadonlyMap<string, string>): SqliteConfig => {
  if (path === '' || path === '/') throw new LockstepError('CONFIG', 'The SQLite URL names no file.', { hint: usage });
  if (path === ':memory:') {
    throw new LockstepError('CONFIG', 'An SQLite database in memory is empty and seen by one process only.', {
      hint: 'Name a file.',
    });
  }
  let readOnly = false;
  let immutable = false;
  let create: true | undefined;
  for (const [name, value] of options) {
    if (name === 'mode' && ['ro', 'rw', 'rwc'].includes(value)) {
      readOnly = value === 'ro';
      create = value === 'rwc' ? true : undefined;
    } else if (name === 'immutable' && (value === '1' || value === '0')) immutable = value === '1';
    else {
      throw new LockstepError('CONFIG', `SQLite does not know the option ${name}=${value}.`, {
        hint: 'Known are mode=ro, mode=rw, mode=rwc and immutable=1.',
      });
    }
  }
  return { path, readOnly: readOnly || immutable, immutable, ...(create && !immutable ? { create } : {}) };
};

/**
 * Reads `sqlite:path`, `sqlite:///abs/path`, `sqlite:/abs/path` with `?mode=ro|rw|rwc` and `?immutable=1`, or the parts
 * `{ path | file | database, mode, immutable }` of a config entry. Throws CONFIG.
 */
export const parseSqlite = (config: string | Readonly<Record<string, unknown>>): SqliteConfig => {
  if (typeof config !== 'string') {
    const path = config['path'] ?? config['file'] ?? config['database'];
    if (typeof path !== 'string')
      throw new LockstepError('CONFIG', 'An SQLite endpoint needs a path.', { hint: usage });
    const options = new Map<string, string>();
    for (const name of ['mode', 'immutable']) if (config[name] !== undefined) options.set(name, String(config[name]));
    return fromParts(path, options);
  }
  const match = /^sqlite:([^?#]*)(?:\?([^#]*))?(?:#.*)?$/is.exec(config);
  if (!match) throw new LockstepError('CONFIG', 'This is not an SQLite URL.', { hint: usage });
  let path = match[1]!;
  if (path.startsWith('//')) {
    if (!path.startsWith('///')) {
      throw new LockstepError('CONFIG', 'An SQLite URL has no host: two slashes are one too many or one too few.', {
        hint: usage,
      });
    }
    path = path.slice(2);
  }
  return fromParts(decode(path), new Map(new URLSearchParams(match[2] ?? '')));
};

/**
 * The absolute path of the file; throws CONNECT when there is none: a database is never created silently, only with
 * `mode=rwc` and where it may be written (`writable`).
 */
export const resolveFile = (
  config: SqliteConfig,
  baseDir: string | undefined,
  o: { readonly side: string; readonly writable: boolean },
): string => {
  const { side } = o;
  const path = resolve(baseDir ?? '.', config.path);
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found && config.create && o.writable) {
    try {
      writeFileSync(path, '', { flag: 'wx' });
    } catch (cause) {
      throw new LockstepError('CONNECT', `${side}: ${path} cannot be made: ${(cause as Error).message}`, {
        side,
        hint: 'Check that its folder is there and can be written.',
        cause,
      });
    }
    return path;
  }
  if (!found) {
    throw new LockstepError('CONNECT', `${side}: there is no SQLite database at ${path}.`, {
      side,
      hint: o.writable
        ? 'Check the path; with ?mode=rwc an empty database is made, to copy into.'
        : 'Check the path; Lockstep does not create databases here.',
    });
  }
  if (!found.isFile()) throw new LockstepError('CONNECT', `${side}: ${path} is not a file.`, { side });
  return path;
};
