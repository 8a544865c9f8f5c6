import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { LockstepError } from '../model/errors.ts';
import type { Config } from './config.ts';
import { type ConfigDocument, parseConfigDocument, plainDocument } from './document.ts';
import { readDotenv } from './dotenv.ts';
import { resolveConfig } from './resolve.ts';
import { validateConfig } from './validate.ts';

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

const readDocument = async (file: string, shown: string): Promise<ConfigDocument> => {
  if (/\.[cm]?[jt]s$/.test(file)) {
    const module = (await import(pathToFileURL(file).href).catch((cause: unknown) => {
      throw new LockstepError(
        'CONFIG',
        `${shown} cannot be loaded: ${cause instanceof Error ? cause.message : String(cause)}`,
        { cause },
      );
    })) as { default?: unknown };
    if (module.default === undefined) {
      throw new LockstepError('CONFIG', `${shown} has no default export`, {
        hint: 'Write `export default defineConfig({ … })`.',
      });
    }
    return plainDocument(shown, module.default);
  }
  let source: string;
  try {
    source = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file));
  } catch (cause) {
    const why = cause instanceof TypeError ? 'it is not UTF-8' : (cause as Error).message;
    throw new LockstepError('CONFIG', `${shown} cannot be read: ${why}`, { cause });
  }
  return parseConfigDocument(shown, source);
};

/** Reads, checks and resolves a config file. References stay unresolved until they are used. */
export const loadConfig = async (
  file: string,
  o: {
    readonly cwd: string;
    readonly env: Readonly<Record<string, string | undefined>>;
    /** Told each secret that is looked up. */
    readonly onSecret?: (value: string) => void;
  },
): Promise<Config> => {
  const dir = dirname(file);
  const near = relative(o.cwd, file);
  const shown = near === '' || near.startsWith('..') ? file : near;
  const document = await readDocument(file, shown);
  const dotenv = join(dir, '.env');
  return resolveConfig(validateConfig(document), document, dir, {
    env: o.env,
    dotenv: {
      file: relative(o.cwd, dotenv).startsWith('..') ? dotenv : relative(o.cwd, dotenv),
      values: readDotenv(dotenv),
    },
    baseDir: dir,
    ...(o.onSecret === undefined ? {} : { onSecret: o.onSecret }),
  });
};
