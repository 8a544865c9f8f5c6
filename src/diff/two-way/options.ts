import type { StoredHash } from '../../model/archive.ts';
import type { PairReport } from '../../model/report.ts';
import type { Key } from '../../model/row.ts';
import type { Rejected } from '../../model/transform.ts';
import type { ThreeWay } from '../../model/two-way.ts';
import type { DiffOptions, Sides, Work } from '../context.ts';
import type { Tally } from '../tally.ts';
import type { PairArchive } from './pair-archive.ts';
import type { HashWay } from './ways.ts';

/** A key that is not as it was agreed, and the hashes of the rows that are shown. */
export interface Met extends ThreeWay {
  readonly seen: Sides<StoredHash>;
}

export interface TwoWayOptions
  extends Pick<DiffOptions, 'pair' | 'endpoints' | 'clock' | 'signal' | 'settleMs' | 'onProgress'> {
  readonly archive: PairArchive;
  /**
   * What was agreed may be two rows that are not equal: one side of a one-way sync keeps its own. Otherwise such rows
   * mean that the archive is wrong.
   */
  readonly mayDiffer?: boolean;
  /** The run that agrees on what is equal at the first comparison. */
  readonly run: string;
  /** Every key that is not as agreed, once each; awaited. Never a key that may still be moving. */
  sink(rows: readonly Met[]): Promise<void>;
  /** Source rows that are invalid by the pair's rules: all of them, once each, and never to the sink. */
  quarantine?(rows: readonly Rejected[]): Promise<void>;
  /** Keys of which this run cannot say whether they are as agreed: in motion, invalid, or hidden by a filter. */
  unsettled?(keys: readonly Key[]): Promise<void>;
  /** The filter is of this run alone: what it hides is not looked at, and what was agreed of it stays. */
  readonly passing?: boolean;
  /** Takes this way, whatever the probe says: for measurements and tests. */
  readonly force?: 'digest' | 'merge';
}

/** What a comparison of a pair with its archive found. */
export interface TwoWayFound {
  /** `identical`: as agreed, and equal now; `different` and `only_in_…`: handed on, and not equal now. */
  readonly report: PairReport;
  /** Nothing had been agreed yet: equal rows are agreed now. */
  readonly firstContact: boolean;
  /** Keys that were handed on. */
  readonly met: number;
  /** Of these: both sides show the same now, or nothing. */
  readonly agreed: number;
  /** Of these, by the side that does not show what was agreed; a key that was never agreed is in neither. */
  readonly changed: Sides<number>;
  /** Of these: nothing was ever agreed on. */
  readonly unknown: number;
  /** Keys that one side only hides by its filter: they wait, and what was agreed is forgotten. */
  readonly leftFilter: number;
  /** Keys of which the archive said that both sides were as agreed while they differ: handed on as never agreed. */
  readonly doubted: number;
  /** The snapshots that were compared, where the engines name them. */
  readonly positions: { readonly source?: string; readonly target?: string };
}

/** A pair at work. */
export interface TwoWayWork extends Work {
  readonly two: TwoWayOptions;
  readonly tally: Tally;
  readonly counts: Counts;
}

export interface Counts {
  met: number;
  agreed: number;
  changedSource: number;
  changedTarget: number;
  unknown: number;
  leftFilter: number;
  doubted: number;
}

export type Ways = Sides<HashWay>;
