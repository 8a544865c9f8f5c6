import type { QueryReport } from './endpoint.ts';
import type { NotCompared } from './pair.ts';

export type Verdict = 'agrees' | 'differs' | 'incomplete';

/** What is known of one compared pair. The counts add up: source rows = identical + different + only_in_source + apart.source. */
export interface PairReport {
  readonly source: string;
  readonly target: string;
  readonly key: readonly string[];
  readonly strategy: 'digest' | 'merge' | 'incremental';
  readonly rows: { readonly source: number; readonly target: number };
  readonly identical: number;
  readonly different: number;
  readonly only_in_source: number;
  readonly only_in_target: number;
  readonly duplicate_key: number;
  readonly in_flight: number;
  /** Source rows that are invalid by the pair's rules: kept apart with the reason, never compared. Absent where nothing is validated. */
  readonly quarantined?: number;
  /** Source rows whose key cannot be made: any row of the target may be theirs, so none is deleted. */
  readonly unkeyed?: number;
  /** Rows that only left the filter on the other side: told apart from missing ones. */
  readonly outside_filter: number;
  /** Rows of each side in none of the plain outcomes: with a duplicate or NULL key, in flight, outside the filter, quarantined. */
  readonly apart?: { readonly source: number; readonly target: number };
  readonly not_compared: readonly NotCompared[];
  /** How often each (source) column differs. */
  readonly columns: Readonly<Record<string, number>>;
  /** Present when `columns` was counted on so many of the different rows, not on all (values are fetched for a bounded number). */
  readonly columns_of?: number;
  /** Per column, how many differences a declared tolerance hid. */
  readonly tolerated: Readonly<Record<string, number>>;
  /** What the differences have in common, for people: strongest first. */
  readonly patterns?: readonly Pattern[];
  readonly warnings: readonly string[];
  /** Of a pair that was compared in ranges of its key, by several readers: each has snapshots of its own. In key order. */
  readonly ranges?: readonly ComparedRange[];
  /** Of a sync that is compared incrementally. With `mode: changes` the counts are of the rows that were looked at. */
  readonly incremental?: IncrementalFacts;
  readonly elapsed_ms: number;
  /** Part of `elapsed_ms` spent waiting and re-reading to confirm. */
  readonly settle_ms: number;
  readonly explain: PairExplain;
}

export interface ComparedRange {
  readonly rows: { readonly source: number; readonly target: number };
  /** The snapshots that were compared, where the engines name them. */
  readonly positions: { readonly source?: string; readonly target?: string };
}

/** A regularity in a sample of the differences. */
export interface Pattern {
  /** Source column(s) it is about; empty: whole rows. */
  readonly columns: readonly string[];
  /** A full sentence, e.g. `started_at: 9 of 9 are exactly +01:00:00: likely a time zone`. */
  readonly message: string;
  /** How many of the differences looked at show it. */
  readonly seen: number;
  readonly of: number;
  /** A declared setting that would cover it, e.g. `--tolerance amount=0.01`, where there is one. */
  readonly fix?: string;
}

/** What an incremental comparison looked at, and what it relies on. */
export interface IncrementalFacts {
  /** `full`: all rows were compared, and `why`. */
  readonly mode: 'changes' | 'full';
  readonly why?: string;
  /** How each side tells its changed rows: `xmin`, `record_version` or a column; null: it cannot, see `not_compared`. */
  readonly by: { readonly source: string | null; readonly target: string | null };
  /** The comparison whose end this one starts from. */
  readonly since?: { readonly run: string; readonly at: string };
  /** The last comparison of all rows. */
  readonly full?: { readonly run: string; readonly at: string };
  /** Rows that each side showed as changed. */
  readonly changed?: { readonly source: number; readonly target: number };
  /** Keys that were open at the end of the earlier comparison (they differed, or did not settle) and were looked at again. */
  readonly open?: number;
  /** `keys`: the keys of all rows were compared, so deleted rows are seen; `none`: they are not. */
  readonly deletes?: 'keys' | 'none';
  /** Rows of the whole tables, where they are known: counted now, or by the comparison that counted them last. */
  readonly table_rows?: { readonly source: number; readonly target: number };
  /** `full`: differences that the incremental comparisons before had not seen. */
  readonly missed?: number;
  /** Why the next comparison cannot start from this one. */
  readonly not_kept?: string;
}

export interface PairExplain {
  /** Why this strategy, e.g. `probe: 0 of 2,000 sampled keys differ: digests by 10,000 key ranges, then drill down`. */
  readonly decision: string;
  readonly queries: readonly QueryReport[];
}

export interface CompareReport {
  readonly verdict: Verdict;
  readonly coverage: { readonly complete: boolean; readonly not_compared: readonly NotCompared[] };
  readonly source: {
    readonly name: string;
    readonly engine: string;
    readonly version: string;
    readonly position?: string;
  };
  readonly target: {
    readonly name: string;
    readonly engine: string;
    readonly version: string;
    readonly position?: string;
  };
  readonly pairs: readonly PairReport[];
}

/** One tick of work, for terminals and logs. */
export interface Progress {
  readonly pair: string;
  readonly phase:
    | 'inspect'
    | 'make'
    | 'load'
    | 'probe'
    | 'digest'
    | 'scan'
    | 'confirm'
    | 'plan'
    | 'apply'
    | 'verify'
    | 'agree';
  readonly rows: number;
  /** Rows expected in this phase; absent when unknown. */
  readonly total?: number;
  /** Rows of one transaction at most, where the phase writes in transactions. */
  readonly batchRows?: number;
}
