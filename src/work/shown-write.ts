import type { OutcomeStatus } from '../model/journal.ts';
import type { Trace } from '../model/store.ts';

/** What became of a planned change in one step of a run. */
export interface ShownWrite {
  /** `open`: begun, and nobody knows yet; `rolled_back`: begun, and taken back by the database with its step. */
  readonly status: OutcomeStatus | 'rolled_back' | 'open';
  /** Why; of an open one, how its run ended. */
  readonly reason?: string;
}

/** A run that failed may have begun more than the write it failed of: none of these is called refused. */
export const shownWrite = ({ run, step, outcome }: Trace['written'][number]): ShownWrite => {
  if (outcome !== undefined) {
    const { status, reason } = outcome;
    return reason === undefined ? { status } : { status, reason };
  }
  if (step.state === 'rolled_back') return { status: 'rolled_back' };
  return run.error === null
    ? { status: 'open' }
    : { status: 'open', reason: `${run.error.code}: ${run.error.message}` };
};
