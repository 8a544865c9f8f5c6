import type { Cancel } from './cancel.ts';
import type { Verdict } from './report.ts';

/** A finished comparison of a sync whose differences SQL shall show. */
export interface Publication {
  readonly run: string;
  readonly sync: string;
  /** When it ended, milliseconds since 1970. */
  readonly at: number;
  readonly verdict: Verdict;
  readonly complete: boolean;
  /** It compared all pairs of the sync: pairs that are not among `pairs` are no longer part of it. */
  readonly whole: boolean;
  /** What was compared, with the number of differences of each kind that were found. */
  readonly pairs: readonly {
    readonly name: string;
    readonly new: number;
    readonly modified: number;
    readonly deleted: number;
  }[];
  /** SQL shows no more differences of a sync than these. */
  readonly max: number;
  /** How long differences that are gone, and comparisons, are kept, milliseconds. */
  readonly historyMs: number;
}

export type Published =
  | { readonly status: 'shown' }
  /** A comparison that began later is shown already: this one has nothing to add. */
  | { readonly status: 'older'; readonly run: string }
  /** More than `max`, or not all of them were kept: SQL still shows those of the comparison before, whole. */
  | { readonly status: 'not_whole'; readonly found: number };

/** The differences of syncs as plain rows of the control store, behind views that are a public contract. */
export interface PublishedDifferences {
  /** Takes the kept differences of the run (`Differences`) for the sync's present ones: all at once, or not at all. */
  publish(publication: Publication, o: Cancel): Promise<Published>;
}
