import type { Clock } from '../lib/clock.ts';
import type { Store } from '../model/store.ts';
import { openPostgresStore, urlConnector } from '../store/postgres/store.ts';

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
}): Promise<Store> => {
  o.signal.throwIfAborted();
  if (o.controlUrl !== undefined) return openPostgresStore(urlConnector(o.controlUrl), o);
  const { embeddedConnector } = await import('../store/embedded/connect.ts');
  return openPostgresStore(await embeddedConnector(o.dir, o), o);
};
