import { createHash } from 'node:crypto';
import type { DiffOptions } from '../diff/context.ts';
import { type Cut, cutRanges } from '../diff/cut-ranges.ts';
import type { Detected } from '../diff/diff-table.ts';
import { keyMayBeNull } from '../diff/key.ts';
import { type RangeCounted, rangesReport } from '../diff/report.ts';
import { newId } from '../lib/ids.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Difference } from '../model/change.ts';
import { LockstepError } from '../model/errors.ts';
import type { JsonValue } from '../model/json.ts';
import type { Queue } from '../model/queue.ts';
import type { SegmentSet, Segments } from '../model/segments.ts';
import { pairSelection } from '../model/selection.ts';
import { type SegmentWorker, usuallySilentMs, workOnSegments } from './segment-work.ts';

/** Differences that the patterns are found in. */
const sampled = 500;
/** How often is looked whether the others are done, milliseconds. */
const pollMs = 100;

/** Below, a range is not worth the snapshots and the probe that it begins with. */
const leastRows = 50_000;
const mostRows = 1_000_000;
/** So many for each worker that all end at about the same time. */
const rangesEach = 3;
const mostRanges = 256;
const mostHelpers = 32;

/** How many ranges a table of so many rows is cut into. Whoever is alone compares it as a whole. */
const rangesFor =
  (workers: number) =>
  (rows: number): number =>
    workers < 2
      ? 1
      : Math.min(mostRanges, Math.floor(rows / leastRows), Math.max(Math.ceil(rows / mostRows), workers * rangesEach));

export interface SpreadOptions extends SegmentWorker {
  readonly run: string;
  readonly segments: Segments;
  /** Where others are told that there is work; what is told may be lost. */
  readonly queue?: Pick<Queue, 'add'>;
  readonly cut?: Cut;
}

/** What a worker is told of work: the segments that it finds are in the store. */
export type SegmentJob = { readonly run: string; readonly pair: string };

/**
 * Stands for what is compared with what, and how: workers that read another configuration, or connect elsewhere (a
 * replica that stands in is elsewhere), or see other columns, do not take part.
 */
export const whatIsCompared = ({ pair, endpoints, settleMs }: DiffOptions): string => {
  const { source, target } = endpoints;
  const where = [source, target].map(({ engine, fingerprint: { server, database }, standIn }) => [
    engine,
    server,
    database,
    standIn !== undefined,
  ]);
  const selections = [pairSelection(pair, 'source'), pairSelection(pair, 'target')];
  const tolerances = pair.columns.map((c) => c.tolerance ?? null);
  const uniques = [pair.source.uniques, pair.target.uniques];
  // rows without a key lie in no range
  const all = [where, selections, tolerances, ...uniques, settleMs, keyMayBeNull(pair)];
  return createHash('sha256').update(JSON.stringify(all)).digest('hex');
};

/**
 * A pair can be compared by several at once when its rows are told by their keys alone: not with transformations, whose
 * look-ups and rejected rows belong to one reading, not a sample, which is small, and not incrementally.
 */
const isSpreadable = ({ pair, range, incremental }: DiffOptions): boolean =>
  range === undefined &&
  incremental === undefined &&
  pair.transform === undefined &&
  pair.sample === undefined &&
  pair.keyWidth > 0;

/**
 * Compares a pair in ranges of its key, with whoever helps (see `CompareOptions.spread`): writes the segments down, works
 * on them like everybody else, and adds up what was found when all are done. What was done before this process took the
 * run over stands. Undefined: the pair is better compared as a whole.
 */
export const spreadOver =
  (x: SpreadOptions) =>
  async (options: DiffOptions): Promise<Detected | undefined> => {
    if (!isSpreadable(options)) return undefined;
    const { segments, run } = x;
    const { pair, signal, clock } = options;
    const began = clock.elapsed();
    const what = whatIsCompared(options);
    let set = await segments.find(run, pair.name, { signal });
    if (set?.what !== what) {
      const cut = x.cut ?? { ranges: rangesFor(await segments.members({ signal })) };
      const found = await cutRanges(options, cut);
      if (found === undefined) {
        // Nobody is to go on with what was cut of another state.
        if (set !== undefined) await segments.close(set, { signal });
        return undefined;
      }
      const { ranges, way, why } = found;
      const made = {
        id: newId('s', clock.now()),
        run,
        pair: pair.name,
        what,
        way,
        why,
        kept: options.sink.wanted(pair),
      };
      await segments.open(made, ranges, { signal });
      set = { ...made, total: ranges.length };
    }
    await callForHelp(x, set, { signal });
    const work = set;
    await workOnSegments({ ...x, set: work, options, settled: () => allDone(x, work, { signal }), pollMs });
    const elapsedMs = clock.elapsed() - began;
    return { size: 0, positions: {}, confirm: () => addUp(x, work, options, elapsedMs) };
  };

/** Calls for help by this worker, which are not for itself. */
export const laneOf = (worker: string): string => `segments of ${worker}`;

/** One job for each segment but one, which is our own to begin with: who comes takes more than one. */
const callForHelp = async (x: SpreadOptions, set: SegmentSet, o: Cancel): Promise<void> => {
  const { queue, segments, worker } = x;
  if (queue === undefined) return;
  const { run, pair } = set;
  const { free } = await segments.counts(set, { ...o, silentMs: x.silentMs ?? usuallySilentMs });
  const jobs = Array.from({ length: Math.max(0, Math.min(mostHelpers, free - 1)) }, () => ({
    data: { run, pair } satisfies SegmentJob as JsonValue,
    lane: laneOf(worker),
  }));
  await queue.add('segment', jobs, o);
};

const allDone = async (x: SpreadOptions, set: SegmentSet, o: Cancel): Promise<boolean> => {
  const { total, done, worn } = await x.segments.counts(set, { ...o, silentMs: x.silentMs ?? usuallySilentMs });
  if (worn > 0) {
    throw new LockstepError(
      'INTERNAL',
      `${set.pair}: a part of the table could not be compared: it has cost several workers`,
      { hint: 'See what ended them: their logs, and the memory of their machines.' },
    );
  }
  // gone: it was taken away by who took the run over
  if (total === 0) throw new LockstepError('FENCED', `another process has taken run ${set.run} over`);
  return done === total;
};

/** Hands the differences on in key order, and makes one report of what was counted. */
const addUp = async (
  { segments }: SpreadOptions,
  set: SegmentSet,
  { pair, sink, signal }: DiffOptions,
  elapsedMs: number,
): ReturnType<Detected['confirm']> => {
  const parts = (await segments.results(set, { signal })) as unknown as readonly RangeCounted[];
  const sample: Difference[] = [];
  for await (const batch of segments.differences(set, { signal })) {
    if (sample.length < sampled) sample.push(...batch.slice(0, sampled - sample.length));
    const wanted = sink.wanted(pair);
    const sent = batch.length <= wanted ? batch : batch.slice(0, wanted);
    if (sent.length > 0) await sink.write(pair, sent);
  }
  await segments.close(set, { signal });
  return { ...rangesReport(pair, parts, sample, set.why, elapsedMs), sample };
};
