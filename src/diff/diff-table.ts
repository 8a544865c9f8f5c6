import { grouped } from '../lib/grouped.ts';
import type { Standing } from '../model/incremental.ts';
import type { NotCompared, Pair } from '../model/pair.ts';
import type { PairReport } from '../model/report.ts';
import { tableLabel } from '../model/schema.ts';
import { pairSelection } from '../model/selection.ts';
import { choose } from './choose.ts';
import { both } from './concurrent.ts';
import { type DiffOptions, startWork, type Work } from './context.ts';
import { conclude, scanKeys } from './incremental/detect.ts';
import { prepare } from './incremental/prepare.ts';
import { findPatterns } from './patterns.ts';
import { type Scanned, scan, scanMultiset } from './scan.ts';
import { newTally, rowsOf, type Tally } from './tally.ts';

/** A table whose differences were detected, and still wait to be confirmed. */
export interface Detected {
  /** Memory that waits with it, bytes; 0 when there is nothing to confirm. */
  readonly size: number;
  /** The snapshots that were compared, where the engine names them. */
  readonly positions: { readonly source?: string; readonly target?: string };
  /** Waits until the differences have settled, reads them again and reports. To be called once. */
  confirm(): Promise<Compared>;
}

export interface Compared {
  readonly report: PairReport;
  /** Where the next incremental comparison can start; absent: nowhere. */
  readonly standing?: Standing | undefined;
}

/**
 * Finds suspected differences of one pair in one snapshot per side, both read at the same time. Memory does not grow
 * with the table or the number of differences: when too many suspects wait, they are confirmed on the way.
 */
export const detect = async (options: DiffOptions): Promise<Detected> => {
  const { pair, clock, signal } = options;
  const began = clock.elapsed();
  const work = startWork(options, { source: pairSelection(pair, 'source'), target: pairSelection(pair, 'target') });
  const [source, target] = await both(
    signal,
    (s) => work.snapshot('source', s),
    (s) => work.snapshot('target', s),
  );
  await using _source = source;
  await using _target = target;
  const readers = { source, target };
  const tally = newTally(pair.columns.length);
  const { incremental } = work;
  const prepared = incremental === undefined ? undefined : await prepare(work, readers, incremental);
  const scanned =
    prepared?.keys !== undefined
      ? await scanKeys(work, readers, { ...prepared, keys: prepared.keys }, tally)
      : pair.keyWidth === 0
        ? await scanMultiset(work, readers, tally)
        : await scan(work, readers, await choose(work, readers), tally);
  const { confirmation } = scanned;
  const detectMs = clock.elapsed() - began - (confirmation?.spentMs() ?? 0);
  return {
    size: confirmation?.size() ?? 0,
    positions: {
      ...(source.position === undefined ? {} : { source: source.position }),
      ...(target.position === undefined ? {} : { target: target.position }),
    },
    confirm: async () => {
      await confirmation?.finish();
      const report = toReport(work, scanned, tally, detectMs);
      if (incremental === undefined || prepared === undefined) return { report };
      return await conclude(work, prepared, incremental, report);
    },
  };
};

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

const toReport = (work: Work, scanned: Scanned, tally: Tally, detectMs: number): PairReport => {
  const { pair } = work;
  const settleMs = scanned.confirmation?.spentMs() ?? 0;
  const perColumn = (counts: readonly number[]): Record<string, number> =>
    Object.fromEntries(counts.flatMap((n, i) => (n > 0 ? [[pair.columns[i]!.source.name, n]] : [])));
  return {
    source: tableLabel(pair.source),
    target: tableLabel(pair.target),
    key: pair.columns.slice(0, pair.keyWidth).map((c) => c.source.name),
    strategy: scanned.strategy,
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
    patterns: findPatterns(pair, scanned.confirmation?.sample ?? []),
    warnings: [...pair.warnings, ...scanned.remarks, ...tally.invalid.map((text) => `quarantined: ${text}`)],
    elapsed_ms: Math.round(detectMs + settleMs),
    settle_ms: Math.round(settleMs),
    explain: { decision: scanned.why, queries: work.queries },
  };
};
