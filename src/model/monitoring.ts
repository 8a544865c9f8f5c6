import type { Cancel } from './cancel.ts';

/** Pair counts of a comparison, by what differs. */
export interface Found {
  readonly only_in_source: number;
  readonly only_in_target: number;
  readonly different: number;
}

/** What the last comparison of a pair of a sync came to. */
export interface PairState {
  readonly sync: string;
  /** Name of the pair: its source table. */
  readonly pair: string;
  readonly target: string;
  readonly run: string;
  /** When that run began: what it read is not older. Milliseconds since 1970, as all times here. */
  readonly at: number;
  /** When it was compared first. */
  readonly firstAt: number;
  /** The last time that the pair was proved to agree; null: never. */
  readonly verifiedAt: number | null;
  /** Everything of the pair was compared, and nothing moved meanwhile. */
  readonly complete: boolean;
  /** Rows of the whole tables, as far as they are known. */
  readonly rows: { readonly source: number; readonly target: number };
  /** As the comparison found them, before anything was written. */
  readonly found: Found;
  /** Rows that still differ after the run, at most. */
  readonly left: number;
}

/** Comparisons of a pair that came to the same, one soon after the other. */
export interface Proof {
  readonly sync: string;
  readonly pair: string;
  readonly first: number;
  readonly last: number;
  /** Everything was compared, and the pair agreed afterwards. */
  readonly agrees: boolean;
  /** The greatest share of rows that still differed afterwards; 0 <= x <= 1. Null: not everything was compared. */
  readonly drift: number | null;
}

/** One ended run in numbers. */
export interface RunFact {
  readonly run: string;
  readonly sync: string | null;
  readonly kind: string;
  readonly state: 'done' | 'failed' | 'cancelled';
  readonly exit: number;
  readonly correlation: string;
  /** Of a failure. */
  readonly code: string | null;
  readonly message: string | null;
  readonly verdict: string | null;
  readonly started: number;
  readonly finished: number;
  /** Rows that were looked at, of the larger side. */
  readonly rows: number;
  /** Rows that differed when they were compared. */
  readonly found: number;
  readonly created: number;
  readonly updated: number;
  readonly deleted: number;
  /** Up to date already. */
  readonly already: number;
  /** Left out: moved since the plan, or withheld by the mode. */
  readonly skipped: number;
  /** Refused by the database, or not storable there. */
  readonly failed: number;
  readonly conflicts: number;
  readonly quarantined: number;
}

/** A number that only grows, over all processes. Labels never hold keys or values of rows. */
export interface Total {
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Upper ends of the buckets that durations of runs are counted in, seconds. */
export const durationBuckets: readonly number[] = [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400];

export interface QueueState {
  readonly queued: number;
  readonly running: number;
  /** When the oldest of the queued was asked for; null: none waits. */
  readonly oldest: number | null;
}

/** A business metric as declared: something counted or summed over the changes that a run wrote. */
export interface Measure {
  readonly name: string;
  readonly sync: string;
  /**
   * `count`: changes of these kinds. `sum`: what a column is afterwards less what it was before, over all changes; a row
   * that is not there counts as zero, and so does NULL. `delta`: the same over updates alone.
   */
  readonly of:
    | { readonly count: 'changes' | 'inserts' | 'updates' | 'deletes' }
    /** Names that the column may have in the target, the likeliest first. */
    | { readonly sum: readonly string[] }
    | { readonly delta: readonly string[] };
  /** Of this pair's changes only. */
  readonly pair?: string;
}

/** A business metric of one run. */
export interface Measured {
  readonly metric: string;
  readonly sync: string;
  readonly run: string;
  readonly at: number;
  /** A decimal number as text, exact. */
  readonly value: string;
}

/** A business metric over all runs of a time. */
export interface MeasuredSum {
  readonly metric: string;
  readonly sync: string;
  readonly runs: number;
  readonly sum: string;
  /** Of the last run. */
  readonly last: string;
  readonly lastAt: number;
}

/** What one process saw of one endpoint in the last minutes. */
export interface EndpointSample {
  readonly endpoint: string;
  readonly count: number;
  readonly failed: number;
  /** Milliseconds that 95 of 100 calls took less than. */
  readonly p95: number;
  readonly breaker: 'closed' | 'open' | 'half_open';
}

/** Averages and sums over the runs of a sync that ended in a time. */
export interface RunSummary {
  readonly sync: string | null;
  readonly runs: number;
  readonly done: number;
  readonly failed: number;
  readonly cancelled: number;
  /** Of the runs that are done; milliseconds. */
  readonly durationMs: number;
  readonly rows: number;
  readonly changes: number;
  readonly skipped: number;
  readonly rejected: number;
  readonly conflicts: number;
  /** The last that was done. */
  readonly last: number | null;
}

/** What is known of the whole installation, from what runs left in the control store: the same from every process. */
export interface Monitoring {
  pairs(o: Cancel): Promise<readonly PairState[]>;
  /** Ascending, those that reach past `since`, and of each pair the one before. */
  proofs(since: number, o: Cancel): Promise<readonly Proof[]>;
  /** The newest ended runs of each sync and kind, newest first, at most `each` of one. */
  lastRuns(each: number, o: Cancel): Promise<readonly RunFact[]>;
  summaries(since: number, o: Cancel): Promise<readonly RunSummary[]>;
  totals(o: Cancel): Promise<readonly Total[]>;
  /** Adds to the totals. */
  add(more: readonly Total[], o: Cancel): Promise<void>;
  queue(o: Cancel): Promise<QueueState>;
  quarantined(o: Cancel): Promise<readonly { readonly sync: string; readonly pair: string; readonly rows: number }[]>;
  /** Runs that are at work. */
  running(
    o: Cancel,
  ): Promise<
    readonly { readonly run: string; readonly sync: string | null; readonly kind: string; readonly started: number }[]
  >;
  /** Newest first. */
  measured(
    filter: { readonly metric?: string; readonly since?: number; readonly limit: number },
    o: Cancel,
  ): Promise<readonly Measured[]>;
  measuredSums(since: number, o: Cancel): Promise<readonly MeasuredSum[]>;
  /** Over all runs there ever were. */
  measuredTotals(o: Cancel): Promise<readonly MeasuredSum[]>;
  /** What this process saw of its endpoints lately; the newest of each process stands. */
  sample(process: string, at: number, samples: readonly EndpointSample[], o: Cancel): Promise<void>;
  /** Forgets proofs that are older. */
  forget(before: number, o: Cancel): Promise<void>;
  /** Newer than `since`. */
  samples(since: number, o: Cancel): Promise<readonly (EndpointSample & { readonly process: string })[]>;
}
