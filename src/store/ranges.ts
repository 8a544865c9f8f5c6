import type { SeqRange } from '../model/plans.ts';

/** Sorted, joined where they touch or overlap. */
export const mergeRanges = (ranges: readonly SeqRange[]): SeqRange[] => {
  const merged: [number, number][] = [];
  for (const [first, last] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const open = merged.at(-1);
    if (open && first <= open[1] + 1) open[1] = Math.max(open[1], last);
    else merged.push([first, last]);
  }
  return merged;
};

/** Ranges of single numbers in any order. */
export const rangesOf = (seqs: Iterable<number>): SeqRange[] => mergeRanges(Array.from(seqs, (seq) => [seq, seq]));

/** Is `seq` in one of them? They must be merged. */
export const inRanges = (ranges: readonly SeqRange[], seq: number): boolean => {
  let low = 0;
  let high = ranges.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const [first, last] = ranges[middle]!;
    if (seq < first) high = middle - 1;
    else if (seq > last) low = middle + 1;
    else return true;
  }
  return false;
};

/** As PostgreSQL writes an int8multirange: `{[1,4),[7,8)}`. */
export const toMultirange = (ranges: readonly SeqRange[]): string =>
  `{${ranges.map(([first, last]) => `[${first},${last + 1})`).join(',')}}`;

export const fromMultirange = (text: string): SeqRange[] =>
  Array.from(text.matchAll(/\[(\d+),(\d+)\)/g), (m): SeqRange => [Number(m[1]), Number(m[2]) - 1]);
