import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { readDotenv } from '../config/dotenv.ts';
import { newId } from '../lib/ids.ts';
import type { Store } from '../model/store.ts';
import { openStore } from '../work/open-store.ts';
import { configOf } from './config-of.ts';
import type { Context, Flags } from './context.ts';

/** Opens the control store: `--control`, LOCKSTEP_CONTROL_URL, the config's `control`, else the embedded one beside the config. */
export const openControl = async (
  context: Context,
  flags: Flags,
  config: Config | undefined,
  signal: AbortSignal,
): Promise<Store> => {
  const known = config ?? (await configOf(context, flags));
  const dir = known?.dir ?? context.cwd;
  const controlUrl =
    flags.control ??
    context.env['LOCKSTEP_CONTROL_URL'] ??
    known?.control() ??
    readDotenv(join(dir, '.env'))?.['LOCKSTEP_CONTROL_URL'];
  const password = /^[a-z]+:\/\/[^/:@]*:(.*)@/is.exec(controlUrl ?? '')?.[1];
  if (password) context.redactor.add(password);
  return openStore({ ...(controlUrl ? { controlUrl } : {}), dir, clock: context.clock, signal });
};

/** Who asks, for the record. */
export const askedBy = (context: Context): { readonly actor: string; readonly correlation: string } => {
  let user = 'unknown';
  try {
    user = userInfo().username;
  } catch {
    // A user id without a name.
  }
  return { actor: `${user}@${hostname()}`, correlation: newId('c', context.clock.now()) };
};
