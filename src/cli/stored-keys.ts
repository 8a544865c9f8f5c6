import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { readDotenv } from '../config/dotenv.ts';
import { LockstepError } from '../model/errors.ts';
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

/** CONFIG where columns shall be concealed and there is no key. */
export const mustHaveKey = (config: Config, keys: ReturnType<typeof storedKeysOf>): void => {
  for (const { name, pairs } of Object.values(config.syncs)) {
    const pair = pairs?.find((p) => p.concealed !== undefined);
    if (pair === undefined || keys().current !== undefined) continue;
    const [column, how] = Object.entries(pair.concealed!)[0]!;
    throw new LockstepError(
      'CONFIG',
      `${name}, ${pair.source}: \`store: ${how}\` of ${column} needs a key, and there is none`,
      {
        hint: 'Set stored: { key: "${env:LOCKSTEP_STORED_KEY}" } or LOCKSTEP_STORED_KEY; openssl rand -base64 32 makes one.',
      },
    );
  }
};
