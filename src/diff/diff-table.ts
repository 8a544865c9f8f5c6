import type { Difference } from '../model/change.ts';
import type { Standing } from '../model/incremental.ts';
import type { PairReport } from '../model/report.ts';
import { pairSelection } from '../model/selection.ts';
import { choose } from './choose.ts';
import { type DiffOptions, startWork } from './context.ts';
import { conclude, scanKeys } from './incremental/detect.ts';
import { prepare } from './incremental/prepare.ts';
import { type Counted, toReport } from './report.ts';
import { scan, scanMultiset } from './scan.ts';
import { newTally } from './tally.ts';

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
  /** What the report was made of: to be added to that of other ranges. */
  readonly counted: Counted;
  /** Some of the differences, the first ones. */
  readonly sample: readonly Difference[];
  /** Where the next incremental comparison can start; absent: nowhere. */
  readonly standing?: Standing | undefined;
}

/**
 * Finds suspected differences of one pair in one snapshot per side, both read at the same time. Memory does not grow
 * with the table or the number of differences: when too many suspects wait, they are confirmed on the way.
 */
export const detect = async (options: DiffOptions): Promise<Detected> => {
  const { pair, clock } = options;
  const began = clock.elapsed();
  const within = options.range === undefined ? {} : { range: options.range };
  const work = startWork(options, {
    source: { ...pairSelection(pair, 'source'), ...within },
    target: { ...pairSelection(pair, 'target'), ...within },
  });
  const [source, target] = await work.snapshots();
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
      const { strategy, why, remarks } = scanned;
      const settleMs = confirmation?.spentMs() ?? 0;
      const counted = { strategy, why, remarks, tally, elapsedMs: detectMs + settleMs, settleMs };
      const sample = confirmation?.sample ?? [];
      const report = toReport(pair, counted, sample, work.queries);
      if (incremental === undefined || prepared === undefined) return { report, counted, sample };
      return { ...(await conclude(work, prepared, incremental, report)), counted, sample };
    },
  };
};
