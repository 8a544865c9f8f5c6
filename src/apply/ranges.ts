import type { SeqRange } from '../model/plans.ts';

/** A range without the parts that others cover. `covered` is merged and ascending. */
export const without = (whole: SeqRange, covered: readonly SeqRange[]): readonly SeqRange[] => {
  const rest: SeqRange[] = [];
  let from = whole[0];
  for (const [first, last] of covered) {
    if (first > from) rest.push([from, Math.min(first - 1, whole[1])]);
    from = Math.max(from, last + 1);
  }
  if (from <= whole[1]) rest.push([from, whole[1]]);
  return rest.filter(([first, last]) => first <= last);
};

/** Overlapping and neighbouring ranges made one, ascending. */
export const merged = (ranges: readonly SeqRange[]): readonly SeqRange[] => {
  const found: [number, number][] = [];
  for (const [first, last] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const top = found.at(-1);
    if (top !== undefined && first <= top[1] + 1) top[1] = Math.max(top[1], last);
    else found.push([first, last]);
  }
  return found;
};
