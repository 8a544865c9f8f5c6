import type { Cancel } from './cancel.ts';
import type { JsonValue } from './json.ts';
import type { QuarantinedRow, QuarantineFilter } from './quarantine.ts';
import type { Verdict } from './report.ts';

/** The last comparison of a sync whose differences are shown, or an earlier one. */
export interface Comparison {
  readonly run: string;
  /** 1, 2, 3, … within the sync. */
  readonly no: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly verdict: Verdict;
  readonly complete: boolean;
  readonly counts: { readonly new: number; readonly modified: number; readonly deleted: number };
}

/** A difference as it is shown: cells are canonical text, null, or an object for what JSON text cannot hold or should not. */
export interface PresentDifference {
  readonly pair: string;
  readonly target: string;
  readonly change: 'new' | 'modified' | 'deleted';
  readonly key: Readonly<Record<string, JsonValue>>;
  readonly cells: Readonly<Record<string, { readonly source?: JsonValue; readonly target?: JsonValue }>>;
  readonly detectedRun: string;
  /** Milliseconds since 1970. */
  readonly detectedAt: number;
  /** Names it among those of one pair; hexadecimal. */
  readonly digest: string;
}

/** Pages of what is long, by position: what was there all the time comes exactly once. */
export interface Listings {
  /** The newest comparison of a sync that is shown; `no`: that one, if it is still kept. Undefined: none is. */
  comparison(sync: string, o: Cancel & { readonly no?: number }): Promise<Comparison | undefined>;
  /** Differences as they stood after that comparison, by pair and digest. */
  present(
    sync: string,
    filter: {
      readonly no: number;
      readonly pair?: string;
      readonly change?: PresentDifference['change'];
      readonly after?: { readonly pair: string; readonly digest: string };
      readonly limit: number;
    },
    o: Cancel,
  ): Promise<readonly PresentDifference[]>;
  /** By sync, pair and the order they came. `syncs`: only of these. */
  quarantined(
    filter: QuarantineFilter & {
      readonly syncs?: readonly string[];
      readonly after?: { readonly sync: string; readonly pair: string; readonly seq: string };
      readonly limit: number;
    },
    o: Cancel,
  ): Promise<readonly (QuarantinedRow & { readonly seq: string })[]>;
}

/** Somebody looked at a plan and agrees to it. */
export interface Approval {
  readonly plan: string;
  /** Of the plan, as it was seen. */
  readonly hash: string;
  readonly actor: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly comment: string | null;
}

export interface Approvals {
  /** One per plan and person: again is the same. */
  add(approval: Approval, o: Cancel): Promise<Approval>;
  /** Oldest first. */
  of(plan: string, o: Cancel): Promise<readonly Approval[]>;
}
