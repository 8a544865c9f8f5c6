import { grouped } from '../lib/grouped.ts';
import type { Difference } from '../model/change.ts';
import type { QueryReport } from '../model/endpoint.ts';
import type { NotCompared, Pair } from '../model/pair.ts';
import type { ComparedRange, PairReport } from '../model/report.ts';
import { tableLabel } from '../model/schema.ts';
import { findPatterns } from './patterns.ts';
import { addTallies, newTally, rowsOf, type Tally } from './tally.ts';

/** What was counted of a pair, or of a range of it: plain data, to be kept and added to that of other ranges. */
export interface Counted {
  readonly strategy: PairReport['strategy'];
  readonly why: string;
  readonly tally: Tally;
  /** Keys that could not be compared, with examples, for people. */
  readonly remarks: readonly string[];
  readonly elapsedMs: number;
  /** Part of it spent waiting and reading again. */
  readonly settleMs: number;
}

/** Examples of keys that could not be compared which a report names. */
export const shownKeys = 5;

/** What was counted of all ranges together, given in key order. `elapsedMs`: of all of them, since they overlap. */
const addCounted = (pair: Pair, parts: readonly Counted[], why: string, elapsedMs: number): Counted => ({
  strategy: parts.some((p) => p.strategy === 'merge') ? 'merge' : 'digest',
  why: `in ${grouped(parts.length)} ranges of the key, each in snapshots of its own; ${why}`,
  tally: parts.reduce((sum, part) => addTallies(sum, part.tally), newTally(pair.columns.length)),
  remarks: parts.flatMap((p) => p.remarks).slice(0, shownKeys),
  elapsedMs,
  settleMs: Math.min(
    elapsedMs,
    parts.reduce((most, p) => Math.max(most, p.settleMs), 0),
  ),
});

/** Invalid rows are compared with nothing, so no run that has some is green. */
const quarantined = (pair: Pair, { quarantined: rows }: Tally): readonly NotCompared[] =>
  rows === 0
    ? []
    : [
        {
          what: pair.name,
          reason: `${grouped(rows)} ${rows === 1 ? 'row is' : 'rows are'} quarantined: invalid by the pair’s rules`,
          fix: 'See them with their reasons: lockstep quarantine list.',
        },
      ];

const unkeyed = (pair: Pair, { unkeyed: rows }: Tally): readonly NotCompared[] =>
  rows === 0
    ? []
    : [
        {
          what: pair.name,
          reason: `the key of ${grouped(rows)} ${rows === 1 ? 'row' : 'rows'} cannot be made, or is NULL`,
          fix: 'Until it can, no row of the target is deleted.',
        },
      ];

/** What people and records are told of a pair. `sample`: some of its differences, for the patterns. */
export const toReport = (
  pair: Pair,
  { strategy, why, tally, remarks, elapsedMs, settleMs }: Counted,
  sample: readonly Difference[],
  queries: readonly QueryReport[],
): PairReport => {
  const perColumn = (counts: readonly number[]): Record<string, number> =>
    Object.fromEntries(counts.flatMap((n, i) => (n > 0 ? [[pair.columns[i]!.source.name, n]] : [])));
  return {
    source: tableLabel(pair.source),
    target: tableLabel(pair.target),
    key: pair.columns.slice(0, pair.keyWidth).map((c) => c.source.name),
    strategy,
    rows: rowsOf(tally),
    identical: tally.identical,
    different: tally.different,
    only_in_source: tally.onlyInSource,
    only_in_target: tally.onlyInTarget,
    duplicate_key: tally.duplicateKeys,
    in_flight: tally.inFlight,
    ...(pair.transform ? { quarantined: tally.quarantined } : {}),
    ...(tally.unkeyed > 0 ? { unkeyed: tally.unkeyed } : {}),
    outside_filter: tally.outsideFilter,
    apart: { ...tally.apart },
    not_compared: [
      ...pair.notCompared,
      ...unkeyed(pair, tally),
      ...(tally.nullKeys > 0
        ? [
            {
              what: pair.name,
              reason: `${grouped(tally.nullKeys)} ${tally.nullKeys === 1 ? 'row has' : 'rows have'} a NULL in their key`,
              fix: 'Choose a key without NULLs: --key …',
            },
          ]
        : []),
      ...quarantined(pair, tally),
    ],
    columns: perColumn(tally.columns),
    ...(tally.examined < tally.different ? { columns_of: tally.examined } : {}),
    tolerated: perColumn(tally.tolerated),
    patterns: findPatterns(pair, sample),
    warnings: [...pair.warnings, ...remarks, ...tally.invalid.map((text) => `quarantined: ${text}`)],
    elapsed_ms: Math.round(elapsedMs),
    settle_ms: Math.round(settleMs),
    explain: { decision: why, queries },
  };
};

/** A range of a pair that was compared. */
export interface RangeCounted {
  readonly counted: Counted;
  readonly positions: ComparedRange['positions'];
}

/** The report of a pair that was compared in ranges, given in key order. */
export const rangesReport = (
  pair: Pair,
  parts: readonly RangeCounted[],
  sample: readonly Difference[],
  /** Why they were compared as they were. */
  why: string,
  elapsedMs: number,
): { readonly report: PairReport; readonly counted: Counted } => {
  const counted = addCounted(
    pair,
    parts.map((p) => p.counted),
    why,
    elapsedMs,
  );
  const ranges = parts.map((p): ComparedRange => ({ rows: rowsOf(p.counted.tally), positions: p.positions }));
  return { report: { ...toReport(pair, counted, sample, []), ranges }, counted };
};
