import { count, grouped } from '../lib/grouped.ts';
import { LockstepError } from '../model/errors.ts';
import type { RevertPlan } from './revert.ts';

/** What one revert may do; a number replaces the default. */
export interface RevertLimits {
  readonly maxChanges?: number;
  readonly allowDeletes?: number;
}

const defaultMaxChanges = 500;

/**
 * Throws GUARD where a revert would do more than it may: 500 changes, and no deletes, which are rows that the run had
 * inserted. `toAllow` says how whoever asks may allow it. `done` are sides that this revert has written to already.
 */
export const guardRevert = (
  planned: Pick<RevertPlan, 'plan'>,
  limits: RevertLimits,
  toAllow: (limit: keyof RevertLimits, needed: number) => string,
  done: readonly string[] = [],
): void => {
  const { counts, target } = planned.plan.header;
  const changes = counts.insert + counts.update + counts.delete;
  const { allowDeletes = 0, maxChanges = defaultMaxChanges } = limits;
  const nothing =
    done.length === 0
      ? 'Nothing was written.'
      : `Nothing was written to ${target.name}; ${done.join(', ')} is reverted already, and a repeat goes on.`;
  if (counts.delete > allowDeletes) {
    throw new LockstepError(
      'GUARD',
      `The revert would delete ${count(counts.delete, 'row')}, max_deletes is ${grouped(allowDeletes)}. ${nothing}`,
      { hint: `These are rows that the run inserted. To allow it: ${toAllow('allowDeletes', counts.delete)}` },
    );
  }
  if (changes > maxChanges) {
    throw new LockstepError(
      'GUARD',
      `The revert has ${count(changes, 'change')}, max_changes is ${grouped(maxChanges)}. ${nothing}`,
      { hint: `To allow it: ${toAllow('maxChanges', changes)}` },
    );
  }
};

/** As a request of the API allows it. */
export const inRequest = (limit: keyof RevertLimits, needed: number): string =>
  `"${limit === 'maxChanges' ? 'max_changes' : 'allow_deletes'}": ${needed}`;
