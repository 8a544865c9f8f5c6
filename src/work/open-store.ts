import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import type { Cancel } from '../model/cancel.ts';
import type { ServiceStore } from '../model/service-store.ts';
import { auditKeyOf } from '../store/audit-chain.ts';
import { keyFileOf } from '../store/audit-key.ts';
import { storeUrlsOf, urlConnector } from '../store/postgres/connect.ts';
import type { Connector } from '../store/postgres/connector.ts';
import type { StoreFound } from '../store/postgres/examine.ts';
import { openPostgresStore } from '../store/postgres/store.ts';
import { storedKeyOf } from '../store/stored-values.ts';

/** Addresses of the control store's server, with passwords: several are a primary and its replicas. */
export const storeUrls = async (o: {
  readonly controlUrl?: string | undefined;
  readonly dir: string;
}): Promise<readonly string[]> => {
  if (o.controlUrl !== undefined) return storeUrlsOf(o.controlUrl);
  const { embeddedUrl } = await import('../store/embedded/connect.ts');
  return [await embeddedUrl(o.dir)];
};

/** How the control store is found. `description` says where, without secrets. */
export type StoreAsItIs =
  | ({ readonly state: 'reached'; readonly description: string } & StoreFound)
  /** Embedded: not made yet, or made and not running. Using it makes and starts it. */
  | { readonly state: 'absent' | 'stopped'; readonly description: string };

/** Looks at the control store that `openStore` would open, and changes nothing. Throws what opening it would. */
export const lookAtStore = async (
  o: Cancel & { readonly controlUrl?: string | undefined; readonly dir: string },
): Promise<StoreAsItIs> => {
  const { examineStore } = await import('../store/postgres/examine.ts');
  const look = async (connector: Connector): Promise<StoreAsItIs> => ({
    state: 'reached',
    description: connector.description,
    ...(await examineStore(connector, o)),
  });
  if (o.controlUrl !== undefined) return await look(urlConnector(o.controlUrl));
  const { embeddedAsItIs } = await import('../store/embedded/connect.ts');
  const found = await embeddedAsItIs(o.dir, o);
  if (found?.connector !== undefined) return await look(found.connector);
  if (found !== undefined) return { state: 'stopped', description: found.description };
  return { state: 'absent', description: `embedded, ${join(o.dir, '.lockstep')}` };
};

/**
 * Opens the control store: the PostgreSQL at `controlUrl`, or without one the embedded server of `dir` (kept in
 * `dir/.lockstep`). A configured store that cannot be reached is an error, never a reason to use the other.
 */
export const openStore = async (o: {
  readonly controlUrl?: string | undefined;
  readonly dir: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** How long an embedded server outlives its last user. */
  readonly graceMs?: number;
  /** Secrets that what is kept of rows is encrypted under; default: it is not. */
  readonly storedKeys?: () => { readonly current?: string; readonly previous: readonly string[] };
  /** Keys of the audit log; without one, that of `dir/.lockstep/audit.key`, which is made when it is needed. */
  readonly auditKeys?: () => {
    readonly current?: string;
    readonly old: readonly string[];
    readonly lost?: readonly string[];
  };
}): Promise<ServiceStore> => {
  o.signal.throwIfAborted();
  const auditKeys = () => {
    const { current = keyFileOf(o.dir), old = [], lost = [] } = o.auditKeys?.() ?? {};
    return { current: auditKeyOf(current), old: old.map(auditKeyOf), lost };
  };
  const storedKeys = () => {
    const { current, previous = [] } = o.storedKeys?.() ?? {};
    return {
      current: current === undefined ? undefined : storedKeyOf(current),
      previous: previous.map(storedKeyOf),
    };
  };
  const options = { signal: o.signal, clock: o.clock, auditKeys, storedKeys };
  if (o.controlUrl !== undefined) return openPostgresStore(urlConnector(o.controlUrl), options);
  const { embeddedConnector } = await import('../store/embedded/connect.ts');
  return openPostgresStore(await embeddedConnector(o.dir, o), options);
};
