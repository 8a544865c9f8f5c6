import type pg from 'pg';
import type { Cancel } from '../../model/cancel.ts';
import type { LockstepError } from '../../model/errors.ts';

/** Opens connections to the control store: of its own server or of the user's. */
export interface Connector {
  /** For people, no secrets. */
  readonly description: string;
  /** A connection ready for use. Rejects with a LockstepError. `writable`: PRIMARY_DOWN rather than a replica. */
  connect(o: Cancel & { readonly writable?: boolean }): Promise<pg.Client>;
  /** One more to the server that this one is connected to; absent: there is only one server. */
  beside?(client: pg.Client, o: Cancel): Promise<pg.Client>;
  /** May it still be used? Not when the primary should be looked for again, or another server has taken its place. */
  usable?(client: pg.Client): boolean;
  /** What a failure means on this connection, where it is not what it means on any. */
  explain?(cause: unknown, client: pg.Client): LockstepError | undefined;
  /** Called with one of the connections before all are closed. */
  leave?(client: pg.Client): Promise<void>;
}
