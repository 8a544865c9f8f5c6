import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LockstepError } from '../model/errors.ts';

const read = (file: string): string | undefined => {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
};

/**
 * The key of the audit log of those who have set none: made once, `.lockstep/audit.key`, readable by its owner only. It
 * lies beside the control store and is no part of it: who steals or edits the database has no key.
 */
export const keyFileOf = (dir: string): string => {
  const home = join(dir, '.lockstep');
  const file = join(home, 'audit.key');
  try {
    const there = read(file);
    if (there !== undefined) return there;
    mkdirSync(home, { recursive: true });
    if (read(join(home, '.gitignore')) === undefined) writeFileSync(join(home, '.gitignore'), '*\n');
    const mine = `${file}.${process.pid}`;
    writeFileSync(mine, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600, flag: 'wx', flush: true });
    try {
      // Whole or not at all, and never over another process's.
      linkSync(mine, file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      rmSync(mine, { force: true });
    }
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new LockstepError(
      'CONFIG',
      `the key of the audit log cannot be kept in ${file}: ${(cause as Error).message}`,
      {
        hint: 'Set LOCKSTEP_AUDIT_KEY, or audit: { key: "${file:…}" } in the configuration; openssl rand -base64 32 makes one.',
        cause,
      },
    );
  }
};
