import type { Cancel } from './cancel.ts';
import type { PlanItem, SeqRange } from './plans.ts';
import type { Batch, Row } from './row.ts';

/**
 * What became of one planned change.
 * `applied`: written by this run · `already`: the row showed the after-image · `moved`: it no longer showed `before` ·
 * `rejected`: refused by the database · `conflict`: waits for a person · `skipped`: left out (see `reason`).
 */
export type OutcomeStatus = 'applied' | 'already' | 'moved' | 'rejected' | 'conflict' | 'skipped';

export interface Outcome {
  readonly seq: number;
  readonly status: OutcomeStatus;
  /** The row as read back in the transaction; absent: it is the planned after-image. */
  readonly stored?: Row | null;
  /** `moved`: the row as it was found. */
  readonly found?: Row | null;
  readonly reason?: string;
  readonly sqlState?: string;
}

/** One transaction of a run in the target. */
export interface Step {
  readonly run: string;
  /** Unique in the run; the number in the target's marker. */
  readonly step: number;
  readonly plan: string;
  /** Items it writes, ascending. */
  readonly items: readonly SeqRange[];
}

/** `intended` is written before the transaction, `done` or `rolled_back` after it. */
export type StepState = 'intended' | 'done' | 'rolled_back';

export interface StepRecord extends Step {
  readonly state: StepState;
  /** The items whose outcome is final: all of a done step, those named when it was rolled back. */
  readonly final: readonly SeqRange[];
  readonly counts: Readonly<Record<string, number>>;
}

/** A change whose outcome is final. */
export interface Settled {
  readonly step: number;
  readonly item: PlanItem;
  readonly outcome: Outcome;
}

/** Intent before, result after; the images are the plan's. Steps of one run may overlap in time. */
export interface Journal {
  /** Durable when it resolves. The same open step again starts it afresh: what was noted is forgotten. */
  intend(step: Step, at: number, o: Cancel): Promise<void>;
  /**
   * Outcomes known before the transaction ends (rows read back): they survive a lost reply. Optional, any number of
   * times; only what is not plain `applied` with the planned after-image needs to be told.
   */
  note(run: string, step: number, outcomes: Batch<Outcome>, o: Cancel): Promise<void>;
  /**
   * `done`: items that neither `note` nor `outcomes` names are plain `applied`. `rolled_back`: what was noted is
   * forgotten, only `outcomes` are final, the other items are free for another step. `counts` are the caller's own words; `tally`
   * adds them up. Settling a settled step again with the same state changes nothing; with another state it throws.
   */
  settle(
    run: string,
    step: number,
    end: {
      readonly state: 'done' | 'rolled_back';
      readonly at: number;
      readonly outcomes?: Batch<Outcome>;
      readonly counts?: Readonly<Record<string, number>>;
    },
    o: Cancel,
  ): Promise<void>;
  /** Steps of a run that are still `intended`, ascending: to be settled (by the marker) before anything else. */
  open(run: string, o: Cancel): Promise<readonly StepRecord[]>;
  /** Ascending. */
  steps(run: string, o: Cancel): AsyncIterable<Batch<StepRecord>>;
  /** Greatest step number of a run; 0 without steps. */
  last(run: string, o: Cancel): Promise<number>;
  /** Items of a run whose outcome is final, merged and ascending. */
  final(run: string, o: Cancel): Promise<readonly SeqRange[]>;
  tally(run: string, o: Cancel): Promise<Readonly<Record<string, number>>>;
  /** Final outcomes in the order of the steps. `statuses`: only these (cheap when it leaves out `applied`). */
  outcomes(
    run: string,
    o: Cancel & {
      readonly statuses?: readonly OutcomeStatus[];
      /** The last one of the page before. */
      readonly after?: { readonly step: number; readonly seq: number };
    },
  ): AsyncIterable<Batch<Settled>>;
  /**
   * What a run really wrote (`applied`), last first: later steps first, greater seq first. `stored` is the row as the
   * run left it, null where deleted.
   */
  undo(run: string, o: Cancel): AsyncIterable<Batch<{ readonly item: PlanItem; readonly stored: Row | null }>>;
}
