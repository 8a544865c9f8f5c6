import type { NotCompared } from '../model/pair.ts';
import type { PairReport, Verdict } from '../model/report.ts';

/** Confirmed differences of a pair, in rows. */
export const differencesOf = (pair: PairReport): number => pair.different + pair.only_in_source + pair.only_in_target;

/**
 * `differs` when any difference was confirmed; else `incomplete` when anything was not compared, is a duplicate, never
 * settled, or is hidden by a filter; `agrees` only when every row of every pair was compared and found equal, now or
 * (incrementally) by a comparison since which neither side has written it. What such a one cannot see is not compared.
 */
export const verdictOf = (pairs: readonly PairReport[], notCompared: readonly NotCompared[]): Verdict => {
  if (pairs.some((p) => differencesOf(p) > 0)) return 'differs';
  const open = (p: PairReport): boolean =>
    p.not_compared.length > 0 || p.duplicate_key > 0 || p.in_flight > 0 || p.outside_filter > 0;
  return notCompared.length > 0 || pairs.length === 0 || pairs.some(open) ? 'incomplete' : 'agrees';
};
