import type { ApplyResult } from '../apply/apply-plan.ts';
import { totalOf } from '../apply/numbers.ts';
import type { Plan } from '../model/plans.ts';
import { summaryOf } from './make-plan.ts';

/** 0: everything was written; 2: rows moved, were refused, taken back, or cannot be written; the error's own code when it was stopped. */
export const applyExit = (plan: Plan, result: ApplyResult): number => {
  if (result.stopped !== undefined) return result.stopped.exit;
  const { numbers } = result;
  const left = numbers.moved + numbers.rejected + numbers.rolled_back + numbers.changed_by_target;
  const summary = summaryOf(plan);
  const unplanned = totalOf(summary.unfit) + totalOf(summary.withheld);
  return left + unplanned > 0 ? 2 : 0;
};
