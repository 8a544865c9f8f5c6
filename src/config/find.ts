import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { LockstepError } from '../model/errors.ts';

const fileNames = ['lockstep.yaml', 'lockstep.yml', 'lockstep.config.ts', 'lockstep.config.js', 'lockstep.config.mjs'];

/** The config file that is used: the one asked for, else the one in `cwd`; undefined when there is none. */
export const findConfig = (cwd: string, asked: string | undefined): string | undefined => {
  if (asked !== undefined) {
    const file = resolve(cwd, asked);
    if (existsSync(file)) return file;
    throw new LockstepError('CONFIG', `there is no config file ${asked}`, {
      hint: 'Check --config, or run `lockstep init`.',
    });
  }
  const found = fileNames.map((name) => join(cwd, name)).filter((file) => existsSync(file));
  if (found.length > 1) {
    throw new LockstepError(
      'CONFIG',
      `there are two config files here: ${found.map((f) => basename(f)).join(' and ')}`,
      {
        hint: 'Say which one with --config.',
      },
    );
  }
  return found[0];
};
