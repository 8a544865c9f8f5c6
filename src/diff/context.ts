import type { Clock } from '../lib/clock.ts';
import type { Difference } from '../model/change.ts';
import type { Endpoint, QueryReport } from '../model/endpoint.ts';
import type { Pair } from '../model/pair.ts';
import type { Reader } from '../model/reader.ts';
import type { Progress } from '../model/report.ts';
import type { KeyRange, Selection } from '../model/selected.ts';
import type { Rejected } from '../model/transform.ts';
import { both } from './concurrent.ts';
import { type OpenKeys, openKeys } from './incremental/open-keys.ts';
import type { IncrementalRequest } from './incremental/request.ts';

/** One of each, for the two sides of a pair. */
export interface Sides<T> {
  readonly source: T;
  readonly target: T;
}

export type Side = 'source' | 'target';
export const otherSide = (side: Side): Side => (side === 'source' ? 'target' : 'source');

/** Where confirmed differences go, in key order within a pair. */
export interface DifferenceSink {
  /**
   * How many more differences of a pair are wanted with their values; asked before each batch. Infinity: all; 0: only counts
   * (values are then fetched for a bounded number of rows, for the counts per column).
   */
  wanted(pair: Pair): number;
  /** Back-pressure: the comparison waits for it. Never more than `wanted` at a time. */
  write(pair: Pair, differences: readonly Difference[]): Promise<void>;
  /** Source rows that are invalid by the pair's rules: all of them, once each, and never as differences. */
  quarantine?(pair: Pair, rows: readonly Rejected[]): Promise<void>;
}

/** What comparing one pair needs. */
export interface DiffOptions {
  readonly pair: Pair;
  readonly endpoints: Sides<Endpoint>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** How long after its detection a difference is read again, milliseconds; 0: at once. */
  readonly settleMs: number;
  /** Random per run; see `HashSpec`. */
  readonly seed: bigint;
  readonly sink: DifferenceSink;
  readonly onProgress?: (progress: Progress) => void;
  /** Compare what has changed since an earlier comparison, where that is possible. */
  readonly incremental?: IncrementalRequest;
  /** Only rows with these keys: the rest is compared by others (see `ranges.ts`). Never with `incremental`. */
  readonly range?: KeyRange;
  /** Takes this way where it is possible, whatever the probe says: for measurements and tests. */
  readonly force?: 'digest' | 'texts' | 'hashes' | 'key_hashes' | 'rows';
}

/** Statements kept for `--explain`: the first ones tell the story, and memory stays flat. */
const keptQueries = 200;

/** A pair at work: its options, what each side reads, and what was asked. */
export interface Work extends DiffOptions {
  readonly selections: Sides<Selection>;
  readonly queries: QueryReport[];
  /** Is told every key that does not agree. Present where the next comparison starts from this one. */
  readonly open?: OpenKeys;
  snapshot(side: Side, signal: AbortSignal): Promise<Reader>;
  /** One of each side, opened at the same time. */
  snapshots(): Promise<readonly [source: Reader, target: Reader]>;
}

export const startWork = (options: DiffOptions, selections: Sides<Selection>): Work => {
  const queries: QueryReport[] = [];
  const onQuery = (query: QueryReport): void => {
    if (queries.length < keptQueries) queries.push(query);
  };
  const snapshot: Work['snapshot'] = (side, signal) => options.endpoints[side].snapshot({ signal, onQuery });
  return {
    ...options,
    selections,
    queries,
    ...(options.incremental === undefined || options.pair.keyWidth === 0
      ? {}
      : { open: openKeys(options.incremental.limits?.open) }),
    snapshot,
    snapshots: () =>
      both(
        options.signal,
        (signal) => snapshot('source', signal),
        (signal) => snapshot('target', signal),
      ),
  };
};
