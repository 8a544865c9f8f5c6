import type { QueryReport } from './endpoint.ts';
import type { NotCompared } from './pair.ts';

export type Verdict = 'agrees' | 'differs' | 'incomplete';

/** What is known of one compared pair. The counts add up: source rows = identical + different + only_in_source + in flight and duplicates on that side. */
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
  /** Rows that only left the filter on the other side: told apart from missing ones. */
  readonly outside_filter: number;
  readonly not_compared: readonly NotCompared[];
  /** How often each (source) column differs. */
  readonly columns: Readonly<Record<string, number>>;
  /** Per column, how many differences a declared tolerance hid. */
  readonly tolerated: Readonly<Record<string, number>>;
  readonly warnings: readonly string[];
  readonly elapsed_ms: number;
  /** Part of `elapsed_ms` spent waiting and re-reading to confirm. */
  readonly settle_ms: number;
  readonly explain: PairExplain;
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
  readonly phase: 'inspect' | 'probe' | 'digest' | 'scan' | 'confirm' | 'plan' | 'apply' | 'verify';
  readonly rows: number;
  /** Rows expected in this phase; absent when unknown. */
  readonly total?: number;
}
