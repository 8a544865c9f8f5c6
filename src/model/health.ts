import type { Cancel } from './cancel.ts';

/** The control store as it is now. */
export interface StoreState {
  /** False: only a replica answers; what is there can be read. */
  readonly writable: boolean;
  readonly latencyMs: number;
}

/** Failed runs of one kind. */
export interface RunFailures {
  /** The code of the error. */
  readonly code: string;
  readonly count: number;
  /** Milliseconds since 1970. */
  readonly first: number;
  readonly last: number;
  /** The newest. */
  readonly example: { readonly run: string; readonly sync: string | null; readonly message: string };
}

/** How long a statement took lately in one process; its values are left out. Milliseconds. */
export interface StatementSample {
  readonly endpoint: string;
  readonly sql: string;
  readonly count: number;
  /** Read by all its executions together. */
  readonly rows: number;
  readonly total: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** Slow statements of every process that serves or works. */
export interface StatementSamples {
  /** Replaces those of this process. */
  put(process: string, at: number, samples: readonly StatementSample[], o: Cancel): Promise<void>;
  /** Of other processes than `except`, newer than `since`; slowest at the 95th percentile first. */
  slowest(
    q: { readonly since: number; readonly limit: number; readonly except: string },
    o: Cancel,
  ): Promise<readonly (StatementSample & { readonly process: string })[]>;
}
