import { execFile } from 'node:child_process';
import { globSync, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import type { Unable } from '../../model/reader.ts';

const run = promisify(execFile);

/** PostgreSQL's own programs, of one version. */
export interface PgTools {
  readonly dump: string;
  readonly restore: string;
  /** e.g. `18.4`, and its first number. */
  readonly version: string;
  readonly major: number;
}

/** Where distributions keep them beside each other, and what is on the path. */
const usualFolders = (): readonly string[] => [
  ...(process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== ''),
  ...globSync('/usr/lib/postgresql/*/bin'),
  ...globSync('/usr/pgsql-*/bin'),
];

/** The program's file; undefined: none, or one that chooses a version by itself (Debian's wrapper). */
const real = (folder: string, name: string): string | undefined => {
  try {
    const file = realpathSync(join(folder, process.platform === 'win32' ? `${name}.exe` : name));
    return file.endsWith('pg_wrapper') ? undefined : file;
  } catch {
    return undefined;
  }
};

const toolsIn = async (folder: string): Promise<PgTools | undefined> => {
  const [dump, restore] = [real(folder, 'pg_dump'), real(folder, 'pg_restore')];
  if (dump === undefined || restore === undefined) return undefined;
  const said = await run(dump, ['--version'], { timeout: 10_000 }).catch(() => undefined);
  const version = /\(PostgreSQL\) ((\d+)[\w.]*)/.exec(said?.stdout ?? '');
  return version === null ? undefined : { dump, restore, version: version[1]!, major: Number(version[2]) };
};

/**
 * The oldest tools that are not older than `major`: pg_dump refuses newer servers, and what a much newer one writes
 * may name settings that the server does not know. `folders`: for tests.
 */
export const findPgTools = async (
  major: number,
  folders: readonly string[] = usualFolders(),
): Promise<PgTools | Unable> => {
  const found = (await Promise.all([...new Set(folders)].map(toolsIn))).filter((tools) => tools !== undefined);
  const enough = found.filter((tools) => tools.major >= major).sort((a, b) => a.major - b.major)[0];
  if (enough !== undefined) return enough;
  const newest = found.sort((a, b) => b.major - a.major)[0];
  return {
    unable:
      newest === undefined
        ? 'there is no pg_dump on this machine'
        : `the newest pg_dump on this machine is ${newest.version}, which refuses a server ${major}`,
  };
};
