import type { Cancel } from './cancel.ts';

/** What is known of our own writes at a moment: answers of a database are kept under it. */
export interface Generation {
  /** Changed by each write of ours to the server; what was read under another one may be out of date. */
  of(server: string | undefined): string;
  /** A write to it is under way: nothing that is read now may be kept. */
  writing(server: string | undefined): boolean;
}

/**
 * Generations of what is read from databases, in the control store: one for all processes. `server`: the identity of a
 * server (`Fingerprint.server`).
 */
export interface Generations {
  /** As it is now; undefined: nobody can say, since the primary of the control store does not answer. */
  read(o: Cancel): Promise<Generation | undefined>;
  /**
   * Before records of the server are written: what was kept of it is out of date, and nothing is kept until the write
   * has ended. Call what comes back when it is known what became of the write; without that nothing is kept for two
   * minutes, more than any write of records takes.
   */
  outdate(server: string | undefined, o: Cancel): Promise<(o: Cancel) => Promise<void>>;
}
