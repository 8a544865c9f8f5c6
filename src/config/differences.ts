import type { WrittenDifferences } from './differences-schema.ts';

/** How the differences of a sync are shown in SQL. */
export interface ShownDifferences {
  /** A comparison that finds more is not shown. */
  readonly max: number;
  readonly historyMs: number;
}

const day = 86_400_000;

/** What is written, with its defaults; undefined: SQL shows none. `duration` reads one at a place of its own: milliseconds. */
export const differencesOf = (
  written: WrittenDifferences | undefined,
  duration: (value: string) => number,
): ShownDifferences | undefined =>
  written?.sql === true
    ? { max: written.max ?? 1_000_000, historyMs: written.history === undefined ? 90 * day : duration(written.history) }
    : undefined;
