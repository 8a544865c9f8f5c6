import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { dirname, extname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { LockstepError } from '../model/errors.ts';
import type { Config } from './config.ts';
import { parseConfigDocument } from './document.ts';
import { readDotenv } from './dotenv.ts';
import { type ConfigDocument, plainDocument } from './places.ts';
import { resolveConfig } from './resolve.ts';
import { validateConfig } from './validate.ts';

/**
 * Loads a config written as a module. It may say `import { defineConfig } from 'lockstep'` wherever it lies: in a
 * checkout, beside an installed package, or when npx runs us; and it is a module whatever the package.json near it says.
 */
const importConfig = async (file: string): Promise<{ readonly default?: unknown }> => {
  const { href } = pathToFileURL(file);
  const own = new URL(`./define${extname(import.meta.filename)}`, import.meta.url).href;
  const format = /\.[cm]?ts$/.test(file) ? 'module-typescript' : 'module';
  const hooks = registerHooks({
    resolve: (name, context, next) => (name === 'lockstep' ? { url: own, shortCircuit: true } : next(name, context)),
    load: (url, context, next) => next(url, url === href ? { ...context, format } : context),
  });
  try {
    return (await import(href)) as { readonly default?: unknown };
  } finally {
    hooks.deregister();
  }
};

const readDocument = async (file: string, shown: string): Promise<ConfigDocument> => {
  if (/\.[cm]?[jt]s$/.test(file)) {
    const module = await importConfig(file).catch((cause: unknown) => {
      throw new LockstepError(
        'CONFIG',
        `${shown} cannot be loaded: ${cause instanceof Error ? cause.message : String(cause)}`,
        { cause },
      );
    });
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
