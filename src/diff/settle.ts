import type { Difference } from '../model/change.ts';
import type { Reader, Segment } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import type { Key, Row } from '../model/row.ts';
import { type Candidate, Candidates, inSource, inTarget } from './candidates.ts';
import { both } from './concurrent.ts';
import { otherSide, type Side, type Sides, type Work } from './context.ts';
import { judge } from './judge.ts';
import { lookUp, rereadAll } from './reread.ts';
import { type AnyKey, asKey, type Print, printOf, type Reading, type Run } from './runs.ts';
import type { Tally } from './tally.ts';

/** Memory for suspected differences of one pair; more are confirmed before the scan goes on. */
const memoryBytes = 48 * 1024 * 1024;
/** Keys per look-up of hashes, and of values. */
const hashKeys = 4000;
const valueKeys = 1000;
/** Different rows whose values are fetched for the counts per column, wanted or not. */
const examinedRows = 5000;
/** Confirmed differences kept for the patterns. */
const sampledDifferences = 500;
/** Re-reads of a row that keeps moving before it is called in flight. */
export const rounds = 3;
/** Above one suspect in so many rows the whole range is read again instead of the suspects. */
const denseRatio = 8;

/**
 * Holds suspected differences until they have settled, reads both sides again in new snapshots and keeps what is
 * still unequal and unchanged. In a pair where anything moved meanwhile, the rest must hold still through three
 * re-reads, since a busy row can show the same two values twice.
 */
export interface Confirmation {
  /** Suspects one key; the runs show the rows (absent: missing on that side). */
  suspect(key: AnyKey, source: Run | undefined, i: number, target: Run | undefined, j: number): void;
  /** To be awaited between batches; `rows` were read since the last call. */
  breathe(rows: number): Promise<void> | undefined;
  /** Confirms all that is left. */
  finish(): Promise<void>;
  /** Suspects now held, bytes. */
  size(): number;
  readonly sample: readonly Difference[];
  /** Milliseconds spent waiting and reading again. */
  spentMs(): number;
  /** Rows of the table per row that is streamed: above 1 when only the differing parts are streamed. */
  scale: number;
}

const empty: Print = { hi: 0, lo: 0 };

export const startConfirmation = (
  work: Work,
  reading: Reading,
  tally: Tally,
  /** Equal values may hash apart, or a tolerance may cover a difference: every difference needs its values. */
  needsValues: boolean,
): Confirmation => {
  const { clock, settleMs, signal, pair, sink } = work;
  const width = reading.types.length;
  const plain: Reading = { form: reading.form, types: reading.types };
  const values: Reading = { form: { kind: 'rows' }, types: reading.types };
  const multiset = reading.form.kind === 'multiset';
  let waiting = new Candidates(width);
  let rowsSeen = 0;
  let spent = 0;
  let live = false;
  const sample: Difference[] = [];
  const print = { source: { hi: 0, lo: 0 }, target: { hi: 0, lo: 0 } };

  const confirm = async (list: Candidates, dense: boolean, round: number): Promise<void> => {
    if (list.count === 0) return;
    const due = list.detectedAt + settleMs - clock.elapsed();
    if (due > 0) await clock.sleep(due, signal);
    const carried = new Candidates(width);
    {
      const [source, target] = await both(
        signal,
        (s) => work.snapshot('source', s),
        (s) => work.snapshot('target', s),
      );
      await using _source = source;
      await using _target = target;
      const readers = { source, target };
      const still = await reread(readers, list, dense);
      const needed = live ? rounds : 1;
      const confirmed = new Candidates(width);
      for (const c of still.entries())
        (c.steady >= needed ? confirmed : carried).add(c.key, c.sides, c.source, c.target, c.steady);
      carried.detectedAt = still.detectedAt;
      await report(readers, confirmed);
    }
    if (round < rounds) await confirm(carried, dense, round + 1);
    else for (const c of carried.entries()) inFlight(c);
  };

  /** Reads every suspect again: those still unequal, with what was read now and how often they held still. */
  const reread = async (readers: Sides<Reader>, list: Candidates, dense: boolean): Promise<Candidates> => {
    const still = new Candidates(width);
    const segments =
      multiset || dense ? [{ entries: list.entries(), segment: wholeRange(list) }] : inBatches(list, hashKeys, width);
    for (const { entries, segment } of segments) {
      await rereadAll(readers, work.selections, segment, plain, entries, signal, (c, s, t) => {
        if ((s?.rows ?? 1) > 1 && !multiset) return duplicate(s?.rows ?? 0, t?.rows ?? 0);
        if ((t?.rows ?? 1) > 1 && !multiset) return duplicate(s?.rows ?? 0, t?.rows ?? 0);
        if (s) printOf(reading.form, s.run, s.i, print.source);
        if (t) printOf(reading.form, t.run, t.i, print.target);
        const sides = (s ? inSource : 0) | (t ? inTarget : 0);
        const now = { source: s ? print.source : empty, target: t ? print.target : empty };
        if (sides === 0 || (sides === 3 && samePrint(now.source, now.target))) {
          live = true;
          if (sides === 3) tally.identical += multiset ? countIn(now.source) : 1;
          return;
        }
        const unchanged = sides === c.sides && samePrint(now.source, c.source) && samePrint(now.target, c.target);
        if (!unchanged) live = true;
        still.add(c.key, sides, now.source, now.target, unchanged ? c.steady + 1 : 0);
      });
      work.onProgress?.({ pair: pair.name, phase: 'confirm', rows: list.count });
    }
    still.detectedAt = clock.elapsed();
    return still;
  };

  const wholeRange = (list: Candidates): Segment => {
    if (multiset) return { kind: 'all' };
    for (const c of list.entries()) return { kind: 'range', from: asKey(c.key, width) };
    return { kind: 'all' };
  };

  const duplicate = (source: number, target: number): void => {
    live = true;
    tally.duplicateKeys++;
    tally.apart.source += source;
    tally.apart.target += target;
  };

  const inFlight = (c: Candidate): void => {
    tally.inFlight++;
    if (c.sides & inSource) tally.apart.source += multiset ? countIn(c.source) : 1;
    if (c.sides & inTarget) tally.apart.target += multiset ? countIn(c.target) : 1;
  };

  /** Counts confirmed differences, and fetches and hands on those whose values are wanted. */
  const report = async (readers: Sides<Reader>, list: Candidates): Promise<void> => {
    if (multiset) return reportMultiset(list);
    for (const { items } of inBatches(list, valueKeys, width)) {
      const hidden = await hiddenByFilter(readers, items);
      const kept = items.filter((_, i) => !hidden.has(i));
      const wanted = sink.wanted();
      const some = needsValues ? kept.length : Math.max(wanted, examinedRows - tally.examined);
      const withValues = kept.slice(0, Math.max(0, Math.min(some, kept.length)));
      for (const item of kept.slice(withValues.length)) count(item.sides);
      if (withValues.length === 0) continue;
      const differences = await fetch(readers, withValues);
      if (sample.length < sampledDifferences) sample.push(...differences.slice(0, sampledDifferences - sample.length));
      const sent = differences.slice(0, Math.min(differences.length, wanted));
      if (sent.length > 0) await sink.write(pair, sent);
    }
  };

  const count = (sides: number): void => {
    if (sides === inSource) tally.onlyInSource++;
    else if (sides === inTarget) tally.onlyInTarget++;
    else tally.different++;
  };

  /** Decides on cells. What is equal by its values, or within a tolerance, is identical. */
  const fetch = async (readers: Sides<Reader>, items: readonly Item[]): Promise<Difference[]> => {
    const rows = async (side: Side, s: AbortSignal): Promise<readonly (Row | undefined)[]> => {
      const keys = items.filter((item) => item.sides & bit(side)).map((item) => item.key);
      const found = keys.length === 0 ? [] : await lookUp(readers[side], work.selections[side], keys, values, s);
      let next = 0;
      return items.map((item) => (item.sides & bit(side) ? found[next++] : undefined));
    };
    const [source, target] = await both(
      signal,
      (s) => rows('source', s),
      (s) => rows('target', s),
    );
    const differences: Difference[] = [];
    items.forEach((item, i) => {
      const s = source[i];
      const t = target[i];
      if ((item.sides & inSource && !s) || (item.sides & inTarget && !t)) throw vanished(pair.name);
      if (s && t) {
        const verdict = judge(pair.columns, s, t);
        if (verdict.columns.length === 0) {
          tally.identical++;
          for (const column of verdict.tolerated) tally.tolerated[column]!++;
          return;
        }
        tally.different++;
        tally.examined++;
        for (const column of verdict.columns) tally.columns[column]!++;
        for (const column of verdict.tolerated) tally.tolerated[column]!++;
        differences.push({ kind: 'different', key: item.key, source: s, target: t, columns: verdict.columns });
      } else if (s) {
        tally.onlyInSource++;
        differences.push({ kind: 'only_in_source', key: item.key, source: s, target: null });
      } else if (t) {
        tally.onlyInTarget++;
        differences.push({ kind: 'only_in_target', key: item.key, source: null, target: t });
      }
    });
    return differences;
  };

  /** Indexes of the keys that the other side has, but does not show through its filter. */
  const hiddenByFilter = async (readers: Sides<Reader>, items: readonly Item[]): Promise<ReadonlySet<number>> => {
    const hidden = new Set<number>();
    if (!pair.filter) return hidden;
    for (const side of ['source', 'target'] as const) {
      const missing = otherSide(side);
      if (pair.filter[missing] === undefined) continue;
      const indexes = items.flatMap((item, i) => (item.sides === bit(side) ? [i] : []));
      if (indexes.length === 0) continue;
      const { filter: _, ...unfiltered } = work.selections[missing];
      const found = await lookUp(
        readers[missing],
        unfiltered,
        indexes.map((i) => items[i]!.key),
        values,
        signal,
      );
      found.forEach((row, n) => {
        if (!row) return;
        hidden.add(indexes[n]!);
        tally.outsideFilter++;
        tally.apart[side]++;
      });
    }
    return hidden;
  };

  const reportMultiset = async (list: Candidates): Promise<void> => {
    for (const c of list.entries()) {
      const s = c.sides & inSource ? countIn(c.source) : 0;
      const t = c.sides & inTarget ? countIn(c.target) : 0;
      tally.identical += Math.min(s, t);
      tally.onlyInSource += Math.max(0, s - t);
      tally.onlyInTarget += Math.max(0, t - s);
      const row = asKey(c.key, width);
      const difference: Difference =
        s > t
          ? { kind: 'only_in_source', key: row, source: row, target: null }
          : { kind: 'only_in_target', key: row, source: null, target: row };
      if (sample.length < sampledDifferences) sample.push(difference);
      // One per surplus copy, never more than a batch in memory.
      for (let left = Math.abs(s - t); left > 0; ) {
        const n = Math.min(left, sink.wanted(), valueKeys);
        if (n <= 0) break;
        await sink.write(pair, new Array<Difference>(n).fill(difference));
        left -= n;
      }
    }
  };

  const flush = async (): Promise<void> => {
    const began = clock.elapsed();
    const list = waiting;
    if (list.count === 0) return;
    waiting = new Candidates(width);
    const dense = list.count * denseRatio > rowsSeen * confirmation.scale;
    rowsSeen = 0;
    await confirm(list, dense, 1);
    spent += clock.elapsed() - began;
  };

  const confirmation: Confirmation = {
    suspect: (key, source, i, target, j) => {
      if (source) printOf(reading.form, source, i, print.source);
      if (target) printOf(reading.form, target, j, print.target);
      const sides = (source ? inSource : 0) | (target ? inTarget : 0);
      waiting.add(key, sides, source ? print.source : empty, target ? print.target : empty);
    },
    breathe: (rows) => {
      rowsSeen += rows / 2;
      waiting.detectedAt = clock.elapsed();
      return waiting.size > memoryBytes ? flush() : undefined;
    },
    finish: flush,
    size: () => waiting.size,
    sample,
    spentMs: () => spent,
    scale: 1,
  };
  return confirmation;
};

interface Item {
  readonly key: Key;
  readonly sides: number;
}

const bit = (side: Side): number => (side === 'source' ? inSource : inTarget);
const samePrint = (a: Print, b: Print): boolean => a.hi === b.hi && a.lo === b.lo;
const countIn = (print: Print): number => (print.hi >>> 0) * 2 ** 32 + (print.lo >>> 0);

const vanished = (pair: string): LockstepError =>
  new LockstepError('INTERNAL', `${pair}: a row that was just read could not be read again in the same snapshot`, {
    hint: 'Nothing was decided about it. Please report this with the engine version.',
  });

/** Cuts the list into batches of keys, copying the entries (which are handed out in one reused object). */
function* inBatches(
  list: Candidates,
  size: number,
  width: number,
): Generator<{ entries: readonly Candidate[]; items: readonly Item[]; segment: Segment }> {
  let entries: Candidate[] = [];
  const batch = (): { entries: readonly Candidate[]; items: readonly Item[]; segment: Segment } => {
    const items = entries.map((c) => ({ key: asKey(c.key, width), sides: c.sides }));
    return { entries, items, segment: { kind: 'keys', keys: items.map((item) => item.key) } };
  };
  for (const c of list.entries()) {
    entries.push({ ...c, source: { ...c.source }, target: { ...c.target } });
    if (entries.length === size) {
      yield batch();
      entries = [];
    }
  }
  if (entries.length > 0) yield batch();
}
