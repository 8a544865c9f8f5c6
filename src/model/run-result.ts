import type { JsonValue } from './json.ts';

/** What a run came to, in the same numbers for every kind of run. */
export interface RunResult {
  /** `agrees`, `differs`, `incomplete`, of a copy also `certified`; null where nothing was compared. */
  readonly verdict: string | null;
  /** Rows written. */
  readonly created: number;
  readonly updated: number;
  readonly deleted: number;
  /** Rows that were left as they are, by reason; reasons without rows are left out. */
  readonly skipped: Readonly<Record<string, number>>;
  /** Rows that the target refused or could not take, and those taken back with them. */
  readonly failed: number;
  readonly conflicts: number;
  /** What the comparison found. */
  readonly differences: { readonly new: number; readonly modified: number; readonly deleted: number };
}

type Bag = Readonly<Record<string, unknown>>;
const bag = (value: unknown): Bag => (value !== null && typeof value === 'object' ? (value as Bag) : {});
const number = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0);
const all = (value: unknown): number => Object.values(bag(value)).reduce<number>((sum, n) => sum + number(n), 0);

/** The numbers in a run's report, whatever kind of run it is of; zeros where it says nothing. */
export const resultOf = (report: JsonValue): RunResult => {
  const r = bag(report);
  const written = bag(r['applied']);
  const pairs = Array.isArray(r['pairs']) ? r['pairs'].map(bag) : [];
  const tables = Array.isArray(r['tables']) ? r['tables'].map(bag) : [];
  const sum = (name: string): number => pairs.reduce((n, p) => n + number(p[name]), 0);
  const planned = bag(r['planned']);
  const reasons = {
    already: number(r['already']),
    already_synced: number(bag(r['skipped'])['already_synced']) || sum('identical'),
    moved: number(bag(r['skipped'])['moved']) || number(r['moved']),
    withheld: number(planned['withheld']),
    quarantined: number(r['quarantined']) || sum('quarantined'),
    in_flight: number(r['in_flight']) || sum('in_flight'),
    pending: number(r['pending']),
    kept: number(r['kept']) && 'reverts' in r ? number(r['kept']) : 0,
    gone: number(r['gone']),
  };
  return {
    verdict: typeof r['verdict'] === 'string' ? r['verdict'] : null,
    created: number(written['insert']) + tables.reduce((n, t) => n + number(bag(t['loaded'])['rows']), 0),
    updated: number(written['update']),
    deleted: number(written['delete']),
    skipped: Object.fromEntries(Object.entries(reasons).filter(([, n]) => n > 0)),
    failed: number(r['rejected']) + all({ a: r['rolled_back'], b: r['refused_rows'] }),
    conflicts: number(r['conflicts']),
    differences: { new: sum('only_in_source'), modified: sum('different'), deleted: sum('only_in_target') },
  };
};
