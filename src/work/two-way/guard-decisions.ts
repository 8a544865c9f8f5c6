import { count, grouped } from '../../lib/grouped.ts';
import type { Conflict, Resolution } from '../../model/conflicts.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Guards } from '../../plan/guards.ts';
import type { RevertLimits } from '../revert-guard.ts';
import { chosenRow } from './resolve.ts';

/** How many of these rows a choice deletes. */
export const deletesOf = (conflicts: readonly Conflict[], choice: Resolution): number =>
  conflicts.filter((c) => chosenRow(c, choice) === null).length;

/**
 * Throws GUARD where a choice for many would do more than the sync may: decided all the same, it would stop every run of
 * it. What passes is allowed from then on. `toAllow` says how whoever asks may allow it.
 */
export const guardDecisions = (
  conflicts: readonly Conflict[],
  choice: Resolution,
  guards: Guards,
  toAllow: (limit: keyof RevertLimits, needed: number) => string,
): void => {
  const deletes = deletesOf(conflicts, choice);
  const all = conflicts.length;
  const broken: { readonly what: string; readonly allow: string }[] = [];
  if (all > guards.maxChanges) {
    broken.push({
      what: `${count(all, 'conflict')} would be decided, max_changes is ${grouped(guards.maxChanges)}`,
      allow: toAllow('maxChanges', all),
    });
  }
  if (deletes > guards.maxDeletes) {
    broken.push({
      what: `${grouped(deletes)} of ${count(all, 'conflict')} would delete the row, max_deletes is ${grouped(guards.maxDeletes)}`,
      allow: toAllow('allowDeletes', deletes),
    });
  }
  if (broken.length === 0) return;
  throw new LockstepError('GUARD', `Nothing was decided: ${broken.map((b) => b.what).join('; ')}.`, {
    hint: `Look at them first. If they are right, the same again with ${broken.map((b) => b.allow).join(' and ')}`,
  });
};
