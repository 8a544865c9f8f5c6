import { grouped } from '../../lib/grouped.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Reader } from '../../model/reader.ts';
import type { Segment } from '../../model/selected.ts';
import { keyTypes, pairSelection } from '../../model/selection.ts';
import { type Side, type Sides, startWork } from '../context.ts';
import { segmentsOf } from '../drill-down.ts';
import { keyMayBeNull } from '../key.ts';
import { type Remarks, remarksOn } from '../remarks.ts';
import { toReport } from '../report.ts';
import { type Reading, readRuns } from '../runs.ts';
import { newTally } from '../tally.ts';
import { chooseParts } from './choose-parts.ts';
import { compareWithArchive } from './compare-digests.ts';
import { type Confirming, startConfirming } from './confirm.ts';
import { firstContact } from './first-contact.ts';
import { mergeThree } from './merge-three.ts';
import type { TwoWayFound, TwoWayOptions, TwoWayWork } from './options.ts';
import { hashingHere } from './own-hashes.ts';
import { sampledHashes } from './sampled-archive.ts';
import { isShared, waysUnder } from './ways.ts';

const working = (two: TwoWayOptions): TwoWayWork => {
  const { pair } = two;
  const work = startWork(
    {
      pair,
      endpoints: two.endpoints,
      clock: two.clock,
      signal: two.signal,
      settleMs: two.settleMs,
      seed: two.archive.archive.facts.hash.seed,
      sink: { wanted: () => 0, write: async () => {} },
      ...(two.onProgress === undefined ? {} : { onProgress: two.onProgress }),
    },
    { source: pairSelection(pair, 'source'), target: pairSelection(pair, 'target') },
  );
  return {
    ...work,
    two,
    tally: newTally(pair.columns.length),
    counts: { met: 0, agreed: 0, changedSource: 0, changedTarget: 0, unknown: 0, leftFilter: 0, doubted: 0 },
  };
};

/** How a side is read: rows whose key holds a NULL are taken out and counted. */
const readings =
  (work: TwoWayWork, notes: Remarks) =>
  (side: Side, form: Reading['form']): Reading => {
    const types = keyTypes(work.selections.source);
    const nullable = keyMayBeNull(work.pair);
    return nullable ? { form, types, onNullKey: notes.nullKey(side) } : { form, types };
  };

/**
 * Finds the keys of a pair that are not as both sides agreed on them last, and hands on what they show, when it has held
 * still. Each side is compared with the archive's hashes of its own rows. Where nothing was agreed yet, all rows are read:
 * equal ones are agreed. Memory does not grow with the table or the number of changes.
 */
export const detectTwoWay = async (two: TwoWayOptions): Promise<TwoWayFound> => {
  const { pair, clock, signal } = two;
  const { archive } = two.archive;
  const began = clock.elapsed();
  const work = working(two);
  const first = archive.facts.completed === null;
  const notes = remarksOn(work, work.tally);
  let why: string;
  let digested = false;
  let confirming: Confirming;
  let positions: TwoWayFound['positions'];
  {
    const [source, target] = await work.snapshots();
    await using _source = source;
    await using _target = target;
    positions = {
      ...(source.position === undefined ? {} : { source: source.position }),
      ...(target.position === undefined ? {} : { target: target.position }),
    };
    const readers = { source, target };
    const ways = waysUnder(pair, readers, archive.facts.hash.form);
    confirming = startConfirming(work, ways, notes.duplicate);
    if (first) {
      why = 'nothing was agreed yet: rows of both sides are merged';
      await firstContact(work, readers, ways, confirming, {
        duplicate: notes.duplicate,
        reading: readings(work, notes),
      });
    } else {
      const hashed = {
        source: ways.source === 'process' ? hashingHere(source) : source,
        target: ways.target === 'process' ? hashingHere(target) : target,
      };
      const choice = await chooseParts(work, hashed, ways);
      why = choice.why;
      digested = choice.partition !== undefined;
      const shared = two.mayDiffer !== true && isShared(pair, ways);
      if (choice.partition === undefined) await stream(work, hashed, [{ kind: 'all' }], shared, confirming, notes);
      else {
        const found = await compareWithArchive(work, hashed, choice.partition, shared);
        work.tally.identical += found.unchanged;
        const all = found.rows.source + found.rows.target;
        two.onProgress?.({ pair: pair.name, phase: 'digest', rows: all });
        const streamed = found.differingRows.source + found.differingRows.target;
        why +=
          found.differing.length === 0
            ? '; no part differs'
            : `; ${grouped(found.differing.length)} parts with ${grouped(streamed)} of ${grouped(all)} rows do`;
        confirming.scale = streamed === 0 ? 1 : all / streamed;
        const segments = segmentsOf(choice.partition, found.differing);
        const read =
          found.differing.length === 0
            ? { source: 0, target: 0 }
            : await stream(work, hashed, segments, shared, confirming, notes);
        if (read.source !== found.differingRows.source || read.target !== found.differingRows.target)
          throw partsDisagree(pair.name);
      }
    }
  }
  const detectMs = clock.elapsed() - began - confirming.spentMs();
  await confirming.finish();
  // what a condition of this run hides was not met
  if (first && two.passing !== true) await archive.complete(clock.now(), { signal });
  const settleMs = confirming.spentMs();
  const { tally, counts } = work;
  const counted = {
    strategy: digested ? ('digest' as const) : ('merge' as const),
    why,
    tally,
    remarks: notes.list(),
    elapsedMs: detectMs + settleMs,
    settleMs,
  };
  return {
    report: toReport(pair, counted, [], work.queries),
    firstContact: first,
    met: counts.met,
    agreed: counts.agreed,
    changed: { source: counts.changedSource, target: counts.changedTarget },
    unknown: counts.unknown,
    leftFilter: counts.leftFilter,
    doubted: counts.doubted,
    positions,
  };
};

/** Merges segments of both sides with the archive; returns the rows that each side delivered. */
const stream = async (
  work: TwoWayWork,
  readers: Sides<Reader>,
  segments: readonly Segment[],
  shared: boolean,
  confirming: Confirming,
  notes: Remarks,
): Promise<{ readonly source: number; readonly target: number }> => {
  const { selections, signal, pair, tally } = work;
  const { archive } = work.two.archive;
  const reading = readings(work, notes);
  const form = { kind: 'hash', spec: archive.facts.hash } as const;
  const rows = { source: 0, target: 0 };
  let seen = 0;
  for (const segment of segments) {
    const met = await mergeThree(
      keyTypes(selections.source),
      (side, s) => readRuns(readers[side], selections[side], segment, reading(side, form), s),
      (s) =>
        sampledHashes(selections.source, archive.hashes(segment.kind === 'parts' ? segment : undefined, { signal: s })),
      shared,
      {
        met: confirming.suspect,
        duplicate: notes.duplicate,
        breathe: (n) => {
          seen += n;
          work.onProgress?.({ pair: pair.name, phase: 'scan', rows: seen });
          return confirming.breathe(n);
        },
      },
      signal,
    );
    tally.identical += met.unchanged;
    rows.source += met.source;
    rows.target += met.target;
  }
  return rows;
};

const partsDisagree = (pair: string): LockstepError =>
  new LockstepError('INTERNAL', `${pair}: the parts that differ hold other rows by their digests than were read`, {
    hint: 'Nothing was decided about them. Please report this with the key type and the engine versions.',
  });
