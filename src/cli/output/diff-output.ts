import type { Difference } from '../../model/change.ts';
import type { CompareReport } from '../../model/report.ts';
import type { ShownPair } from '../../work/shown-difference.ts';

/** Facts of a finished comparison that are not in its report. */
export interface DiffFacts {
  /** Id of the stored run; null when nothing was stored. */
  readonly run: string | null;
  /** Differences were found that are not shown. */
  readonly truncated: boolean;
  /** Of each pair by name, how many of its differences are shown: the limit is shared. Infinity: all. */
  readonly shares: ReadonlyMap<string, number>;
  readonly elapsedMs: number;
  /** What to type next; empty when there is nothing to do. */
  readonly next: readonly string[];
  /** Show strategy, queries and timing. */
  readonly explain: boolean;
}

/**
 * Writes a comparison in one format. Differences come in any number and are never kept: formats that need the verdict
 * first hold what was shown in a spool. Nothing is written for a run that fails, except by formats that stream.
 */
export interface DiffOutput extends AsyncDisposable {
  difference(pair: ShownPair, d: Difference): Promise<void>;
  end(report: CompareReport, facts: DiffFacts): Promise<void>;
}

export const formats = ['table', 'json', 'jsonl', 'csv', 'html', 'sql', 'markdown'] as const;
export type Format = (typeof formats)[number];

/** Formats for people: the limit is shared among the pairs that differ. The others show the first ones that come. */
export const sharesLimit = (format: Format): boolean =>
  format === 'table' || format === 'html' || format === 'markdown';

/** How many differences are shown when `--limit` does not say. */
export const defaultLimit: Readonly<Record<Format, number>> = {
  table: 100,
  html: 100,
  markdown: 100,
  json: 1000,
  jsonl: Number.POSITIVE_INFINITY,
  csv: Number.POSITIVE_INFINITY,
  sql: Number.POSITIVE_INFINITY,
};
