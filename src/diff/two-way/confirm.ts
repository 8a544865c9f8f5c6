import type { Reader } from '../../model/reader.ts';
import type { Segment } from '../../model/selected.ts';
import { keyTypes } from '../../model/selection.ts';
import { type Candidate, Candidates, inSource, inTarget } from '../candidates.ts';
import type { Side, Sides } from '../context.ts';
import { lookForGone } from '../gone.ts';
import { passingNullKeys } from '../key.ts';
import { ends, isBound, keyBatches, valueKeys } from '../lists.ts';
import { type Hit, seekAll } from '../reread.ts';
import { type AnyKey, asKey, type Print, type Reading, type Run } from '../runs.ts';
import { metRows, type Steady } from './met-rows.ts';
import type { TwoWayWork, Ways } from './options.ts';
import { rowRuns } from './rows-and-hashes.ts';

/** Memory for keys that wait to be read again; more are read before the scan goes on. */
const memoryBytes = 16 * 1024 * 1024;
/** Times that a row is read again before it is called in flight. */
const rounds = 3;
/** Above one key in so many rows the whole range is read again instead of the keys. */
const denseRatio = 8;

/**
 * Holds keys that are not as agreed until they have settled, and reads both sides again in new snapshots. A key goes on
 * when two readings that are `settleMs` apart, or more, showed the same; one that keeps moving is in flight.
 */
export interface Confirming {
  /** The runs show the rows, with their hashes or prints (absent: the side has none). */
  suspect(key: AnyKey, source: Run | undefined, i: number, target: Run | undefined, j: number, doubted: boolean): void;
  /** To be awaited between batches; `rows` were read on both sides since the last call. */
  breathe(rows: number): Promise<void> | undefined;
  finish(): Promise<void>;
  /** Milliseconds spent waiting and reading again. */
  spentMs(): number;
  /** Rows of the table per row that is streamed. */
  scale: number;
}

const none: Print = { hi: 0, lo: 0 };

const leave = (run: Run, i: number, out: Print): void => {
  const hashes = (run.hashes ?? run.prints)!;
  out.hi = hashes[2 * i]!;
  out.lo = hashes[2 * i + 1]!;
};

const asHash = ({ hi, lo }: Print): bigint => (BigInt(hi) << 32n) | BigInt(lo >>> 0);

export const startConfirming = (
  work: TwoWayWork,
  ways: Ways,
  duplicate: (key: AnyKey, source: number, target: number) => void,
): Confirming => {
  const { clock, settleMs, signal, pair, selections, tally } = work;
  const width = pair.keyWidth;
  const types = keyTypes(selections.source);
  const reading: Reading = { form: { kind: 'rows' }, types, ...passingNullKeys(pair) };
  const spec = work.two.archive.archive.facts.hash;
  const rows = metRows(work);
  const gone = pair.transform === undefined ? lookForGone(work, spec) : undefined;
  const print = { source: { hi: 0, lo: 0 }, target: { hi: 0, lo: 0 } };
  let waiting = new Candidates(width);
  let rowsSeen = 0;
  let spent = 0;

  const confirm = async (list: Candidates, dense: boolean, round: number): Promise<void> => {
    if (list.count === 0) return;
    const due = list.detectedAt + settleMs - clock.elapsed();
    if (due > 0) await clock.sleep(due, signal);
    const moved = new Candidates(width);
    {
      const [source, target] = await work.snapshots();
      await using _source = source;
      await using _target = target;
      // Hashes that the side makes can only be had beside a scan by a second reader of the snapshot.
      const can = (side: Side, { share }: Reader): boolean => ways[side] !== 'engine' || share !== undefined;
      const whole = dense && can('source', source) && can('target', target);
      await readAgain({ source, target }, list, whole, moved);
      await gone?.check({ source, target });
    }
    moved.detectedAt = clock.elapsed();
    if (round < rounds) await confirm(moved, false, round + 1);
    else await inFlight(moved);
  };

  /** Hands on what is as it was, and notes the others with what they are now. */
  const readAgain = async (
    readers: Sides<Reader>,
    list: Candidates,
    dense: boolean,
    moved: Candidates,
  ): Promise<void> => {
    const segments = dense ? rangeOf(list, width) : keyBatches(list, valueKeys, width);
    for (const { entries, segment } of segments) {
      let steady: Steady[] = [];
      await seekAll(
        (side, s) => rowRuns(readers[side], selections[side], segment, { way: ways[side], spec }, reading, s),
        types,
        entries,
        signal,
        (c, s, t) => {
          const one = still(c, s, t, moved);
          if (one !== undefined) steady.push(one);
          if (!dense || steady.length < valueKeys) return undefined;
          const full = steady;
          steady = [];
          return rows.take(full, undefined);
        },
      );
      await rows.take(steady, dense ? undefined : readers);
      work.onProgress?.({ pair: pair.name, phase: 'confirm', rows: list.count });
    }
  };

  const still = (c: Candidate, s: Hit | null, t: Hit | null, moved: Candidates): Steady | undefined => {
    const key = asKey(c.key, width);
    if ((s?.rows ?? 0) > 1 || (t?.rows ?? 0) > 1) {
      duplicate(c.key, s?.rows ?? 0, t?.rows ?? 0);
      return undefined;
    }
    gone?.note(c, s, t);
    if (s) leave(s.run, s.i, print.source);
    if (t) leave(t.run, t.i, print.target);
    const sides = (s ? inSource : 0) | (t ? inTarget : 0);
    const now = { source: s ? print.source : none, target: t ? print.target : none };
    if (sides !== c.sides || !same(now.source, c.source) || !same(now.target, c.target)) {
      moved.add(c.key, sides, now.source, now.target);
      return undefined;
    }
    return {
      key,
      source: s ? s.run.keys![s.i]! : null,
      target: t ? t.run.keys![t.i]! : null,
      seen: { source: s ? asHash(now.source) : null, target: t ? asHash(now.target) : null },
      doubted: c.soft,
    };
  };

  const inFlight = async (moved: Candidates): Promise<void> => {
    for (const { entries, keys } of keyBatches(moved, valueKeys, width)) {
      for (const c of entries) {
        if (c.sides === 0) continue;
        tally.inFlight++;
        if (c.sides & inSource) tally.apart.source++;
        if (c.sides & inTarget) tally.apart.target++;
      }
      await work.two.unsettled?.(keys);
    }
  };

  const flush = async (): Promise<void> => {
    const list = waiting;
    if (list.count === 0) return;
    const began = clock.elapsed();
    waiting = new Candidates(width);
    // A filter needs look-ups between the rows, which one reader cannot do while it scans.
    const dense =
      list.count * denseRatio > rowsSeen * confirming.scale && pair.filter === undefined && list.count > valueKeys;
    rowsSeen = 0;
    await confirm(list, dense, 1);
    spent += clock.elapsed() - began;
  };

  const confirming: Confirming = {
    suspect: (key, source, i, target, j, doubted) => {
      if (source) leave(source, i, print.source);
      if (target) leave(target, j, print.target);
      const sides = (source ? inSource : 0) | (target ? inTarget : 0);
      waiting.add(key, sides, source ? print.source : none, target ? print.target : none, 0, doubted);
    },
    breathe: (n) => {
      rowsSeen += n / 2;
      waiting.detectedAt = clock.elapsed();
      return waiting.size > memoryBytes ? flush() : undefined;
    },
    finish: flush,
    spentMs: () => spent,
    scale: 1,
  };
  return confirming;
};

/** The range from the first key of a list to its last, and the last one by itself. */
function* rangeOf(
  list: Candidates,
  width: number,
): Generator<{ readonly entries: Iterable<Candidate>; readonly segment: Segment }> {
  const found = ends(list);
  if (found === undefined) return;
  const [first, end] = found;
  const to = asKey(end.key, width);
  const from = asKey(first.key, width);
  yield {
    entries: firstOf(list, list.count - 1),
    segment: isBound(from) && isBound(to) ? { kind: 'range', from, to } : { kind: 'all' },
  };
  yield { entries: [end], segment: { kind: 'keys', keys: [to] } };
}

function* firstOf(list: Candidates, count: number): Generator<Candidate> {
  let n = 0;
  for (const c of list.entries()) {
    if (n++ === count) return;
    yield c;
  }
}

const same = (a: Print, b: Print): boolean => a.hi === b.hi && a.lo === b.lo;
