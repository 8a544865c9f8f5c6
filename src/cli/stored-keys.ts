import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { readDotenv } from '../config/dotenv.ts';
import type { Context } from './context.ts';

const variable = 'LOCKSTEP_STORED_KEY';

/**
 * Keys of stored values: LOCKSTEP_STORED_KEY (also in .env), else the config's `stored.key`, else none: nothing is
 * encrypted. Looked up when one is needed.
 */
export const storedKeysOf =
  (context: Context, config: Config | undefined) =>
  (): { readonly current?: string; readonly previous: readonly string[] } => {
    const stored = config?.stored();
    const current =
      (context.env[variable]?.trim() || undefined) ??
      stored?.key ??
      readDotenv(join(config?.dir ?? context.cwd, '.env'))?.[variable];
    if (current !== undefined) context.redactor.add(current);
    return { ...(current === undefined ? {} : { current }), previous: stored?.previous ?? [] };
  };
