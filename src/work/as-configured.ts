import type { CompareReport } from '../model/report.ts';
import type { CompareOptions } from './compare.ts';

/**
 * Said in the report of a run of a sync whose pairs were compared otherwise than configured (a condition, fewer
 * columns, a tolerance by hand): it proves nothing of the sync's pairs.
 */
export const asConfigured = (o: Pick<CompareOptions, 'defaults'>): { readonly as_configured?: false } =>
  Object.values(o.defaults ?? {}).some((v) => v !== undefined && Object.keys(v as object).length > 0)
    ? { as_configured: false }
    : {};

/** The pairs of a sync run as its comparison found them, for the record: what monitoring goes by. */
export const pairsOfReport = (
  compared: CompareReport,
  report: { readonly not_compared: readonly { readonly what: string }[] },
): { readonly pairs: readonly Readonly<Record<string, unknown>>[] } => ({
  pairs: compared.pairs.map((p) => ({
    source: p.source,
    target: p.target,
    rows: p.incremental?.table_rows ?? p.rows,
    identical: p.identical,
    different: p.different,
    only_in_source: p.only_in_source,
    only_in_target: p.only_in_target,
    duplicate_key: p.duplicate_key,
    in_flight: p.in_flight,
    ...(p.unkeyed === undefined ? {} : { unkeyed: p.unkeyed }),
    ...(p.quarantined === undefined ? {} : { quarantined: p.quarantined }),
    outside_filter: p.outside_filter,
    // Told of the target's table: rows that it may have changed by itself. Of a whole side: it was read from a stand-in.
    complete:
      p.not_compared.length === 0 &&
      !report.not_compared.some(({ what }) => [p.target, compared.source.name, compared.target.name].includes(what)),
  })),
});
