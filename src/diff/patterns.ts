import type { Difference } from '../model/change.ts';
import type { Pair } from '../model/pair.ts';
import type { Pattern } from '../model/report.ts';

/** Regularities in a bounded sample of differences. Pure. */
export const findPatterns = (_pair: Pair, _differences: readonly Difference[]): readonly Pattern[] => [];
