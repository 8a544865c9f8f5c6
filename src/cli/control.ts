import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { readDotenv } from '../config/dotenv.ts';
import { newId } from '../lib/ids.ts';
import { LockstepError } from '../model/errors.ts';
import type { ServiceStore } from '../model/service-store.ts';
import { lookAtStore, openStore, type StoreAsItIs, storeUrls } from '../work/open-store.ts';
import { auditKeysOf } from './audit-keys.ts';
import { configOf } from './config-of.ts';
import { type Context, type Flags, tell } from './context.ts';
import { utc } from './output/text.ts';
import { inert } from './report-error.ts';
import { mustHaveKey, storedKeysOf } from './stored-keys.ts';

const empty = (what: string): LockstepError =>
  new LockstepError('CONFIG', `${what} is empty: it names no control store.`, {
    hint: 'Give the URL of a PostgreSQL, or leave it out: then the embedded one under ./.lockstep is used.',
  });

/**
 * Opens the control store: `--control`, LOCKSTEP_CONTROL_URL, the config's `control`, else the embedded one beside the
 * config. An empty variable is as good as unset; an empty value given by hand or by the config is an error.
 */
export const openControl = async (
  context: Context,
  flags: Flags,
  config: Config | undefined,
  signal: AbortSignal,
): Promise<ServiceStore> => {
  const known = config ?? (await configOf(context, flags));
  const place = placeOf(context, flags, known);
  const storedKeys = storedKeysOf(context, known);
  if (known !== undefined) mustHaveKey(known, storedKeys);
  return openStore({ ...place, clock: context.clock, signal, auditKeys: auditKeysOf(context, known), storedKeys });
};

/** The control store that `openControl` would open, as it is: nothing is made, started or changed. */
export const lookAtControl = async (
  context: Context,
  flags: Flags,
  config: Config | undefined,
  signal: AbortSignal,
): Promise<StoreAsItIs> => lookAtStore({ ...placeOf(context, flags, config), signal });

/** Addresses of the control store's server; it must be open. */
export const controlUrls = (context: Context, flags: Flags, config: Config | undefined): Promise<readonly string[]> =>
  storeUrls(placeOf(context, flags, config));

const placeOf = (
  context: Context,
  flags: Flags,
  known: Config | undefined,
): { readonly controlUrl?: string; readonly dir: string } => {
  const dir = known?.dir ?? context.cwd;
  if (flags.control?.trim() === '') throw empty('--control');
  const configured = (): string | undefined => {
    const url = known?.control();
    if (url?.trim() === '') throw empty('control: of the configuration');
    return url;
  };
  const controlUrl =
    flags.control ??
    (context.env['LOCKSTEP_CONTROL_URL']?.trim() || undefined) ??
    configured() ??
    readDotenv(join(dir, '.env'))?.['LOCKSTEP_CONTROL_URL'];
  const password = /^[a-z]+:\/\/[^/:@]*:(.*)@/is.exec(controlUrl ?? '')?.[1];
  if (password) context.redactor.add(password);
  return { ...(controlUrl ? { controlUrl } : {}), dir };
};

/** Pausing keeps the service from it; who asks by hand has a reason, and may not know that somebody else has one, too. */
export const tellOfPause = async (
  context: Context,
  store: Pick<ServiceStore, 'paused'>,
  sync: string | null,
  signal: AbortSignal,
): Promise<void> => {
  const paused = sync === null ? undefined : (await store.paused({ signal })).find((p) => p.sync === sync);
  if (paused !== undefined)
    await tell(
      context,
      `warning: ${paused.sync} is paused by ${inert(paused.by)} since ${utc(paused.since)}; this run goes on, since you ask for it`,
    );
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
