import type { Config } from '../config/config.ts';
import type { Context, Flags } from './context.ts';

/** The configuration in use: `--config`, else the file in this folder; undefined when there is none. Loaded lazily. */
export const configOf = async (context: Context, flags: Flags): Promise<Config | undefined> => {
  const { findConfig } = await import('../config/find.ts');
  const file = findConfig(context.cwd, flags.config ?? context.env['LOCKSTEP_CONFIG']);
  if (file === undefined) return undefined;
  const { loadConfig } = await import('../config/load.ts');
  return loadConfig(file, { cwd: context.cwd, env: context.env, onSecret: (value) => context.redactor.add(value) });
};
