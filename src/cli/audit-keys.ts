import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { readDotenv } from '../config/dotenv.ts';
import type { Context } from './context.ts';

const variable = 'LOCKSTEP_AUDIT_KEY';

/**
 * Keys of the audit log: LOCKSTEP_AUDIT_KEY (also in .env), else the config's `audit.key`, else none is set, and a file
 * beside the control store has one. Looked up when one is needed, for reading needs none.
 */
export const auditKeysOf =
  (context: Context, config: Config | undefined) =>
  (): { readonly current?: string; readonly old: readonly string[]; readonly lost: readonly string[] } => {
    const audit = config?.audit();
    const current =
      (context.env[variable]?.trim() || undefined) ??
      audit?.key ??
      readDotenv(join(config?.dir ?? context.cwd, '.env'))?.[variable];
    if (current !== undefined) context.redactor.add(current);
    return { ...(current === undefined ? {} : { current }), old: audit?.oldKeys ?? [], lost: audit?.lostKeys ?? [] };
  };
