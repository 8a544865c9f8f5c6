import type { Found } from './monitoring.ts';

/** Rows of both sides, and what was found of them. */
interface Compared {
  readonly rows: { readonly source: number; readonly target: number };
  readonly found: Pick<Found, 'only_in_source' | 'only_in_target'>;
}

/** How many rows the two sides have together, one that both have counted once. */
export const rowsTogether = ({ rows, found }: Compared): number =>
  Math.max(rows.source + found.only_in_target, rows.target + found.only_in_source);

/** The share of these rows that `n` of them are, 0..1; all of them where their number is not known. */
export const differingShare = (of: Compared, n: number): number => {
  const all = rowsTogether(of);
  return n === 0 ? 0 : all === 0 ? 1 : Math.min(1, n / all);
};
