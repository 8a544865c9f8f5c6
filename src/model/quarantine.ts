import type { Cancel } from './cancel.ts';
import type { Batch, Key } from './row.ts';
import type { Rejected } from './transform.ts';

/** A source row that broke the rules of its pair when it was last looked at. */
export interface QuarantinedRow extends Rejected {
  readonly sync: string;
  readonly pair: string;
  /** Names of the key's columns, in the source. */
  readonly columns: readonly string[];
  readonly firstRun: string;
  /** Milliseconds since 1970. */
  readonly firstSeen: number;
  readonly lastRun: string;
  readonly lastSeen: number;
  /** Runs, and retries, that found it invalid. */
  readonly attempts: number;
}

export interface QuarantineFilter {
  readonly sync?: string;
  readonly pair?: string;
  readonly keys?: readonly Key[];
}

/** Invalid rows, one entry per sync, pair and key. */
export interface Quarantine {
  /** Adds them, or notes that they are still invalid. `run` undefined: looked at again outside a run. */
  record(
    at: {
      readonly sync: string;
      readonly pair: string;
      readonly columns: readonly string[];
      readonly run: string | undefined;
      /** Milliseconds since 1970. */
      readonly at: number;
    },
    rows: Batch<Rejected>,
    o: Cancel,
  ): Promise<void>;
  /** By sync and pair, in the order they were first seen; flat in memory. */
  list(filter: QuarantineFilter, o: Cancel): AsyncIterable<Batch<QuarantinedRow>>;
  count(filter: QuarantineFilter, o: Cancel): Promise<number>;
  /** Forgets them; `except`: but those that this run has seen. Returns how many. */
  drop(filter: QuarantineFilter & { readonly except?: string }, o: Cancel): Promise<number>;
}
