import type { Difference } from '../model/change.ts';
import type { Reader } from '../model/reader.ts';
import type { Segment, Selection } from '../model/selected.ts';
import { type Candidate, Candidates, inSource, inTarget } from './candidates.ts';
import { confirmedReport } from './confirmed.ts';
import type { Sides, Work } from './context.ts';
import { lookForGone } from './gone.ts';
import { passingNullKeys } from './key.ts';
import { sharedHash } from './key-hashes.ts';
import { hashKeys, hashRange, keyBatches, wholeRange } from './lists.ts';
import { type Hit, rereadAll } from './reread.ts';
import { type AnyKey, asKey, countIn, type Print, printOf, type Reading, type Run } from './runs.ts';
import type { Tally } from './tally.ts';

/** Memory for suspected differences of one pair; more are confirmed before the scan goes on. */
const memoryBytes = 24 * 1024 * 1024;
/** Re-reads of a row that keeps moving before it is called in flight. */
const rounds = 3;
/** Above one suspect in so many rows the whole range is read again instead of the suspects. */
const denseRatio = 8;
/** Key hashes looked up at once; more are read with the whole table. */
const mostLookedUp = 50_000;

/**
 * Holds suspected differences until they have settled, reads both sides again in new snapshots and keeps what is
 * still unequal and unchanged. In a pair where anything moved meanwhile, the rest must hold still through three
 * re-reads, since a busy row can show the same two values twice.
 */
export interface Confirmation {
  /** Suspects one key; the runs show the rows (absent: missing on that side). */
  suspect(key: AnyKey, source: Run | undefined, i: number, target: Run | undefined, j: number): void;
  /** To be awaited between batches; `rows` were read on both sides since the last call. */
  breathe(rows: number): Promise<void> | undefined;
  /** Confirms all that is left. */
  finish(): Promise<void>;
  /** Suspects now held, bytes. */
  size(): number;
  /** Some confirmed differences, for the patterns. */
  readonly sample: readonly Difference[];
  /** Milliseconds spent waiting and reading again. */
  spentMs(): number;
  /** Rows of the table per row that is streamed: above 1 when only the differing parts are streamed. */
  scale: number;
}

const empty: Print = { hi: 0, lo: 0 };

/**
 * `soft`: indexes of the columns whose difference must be judged on their values (a tolerance, or a hash that may
 * differ for equal values).
 */
export const startConfirmation = (
  work: Work,
  reading: Reading,
  tally: Tally,
  soft: ReadonlySet<number>,
): Confirmation => {
  const { clock, settleMs, signal, pair, selections } = work;
  const width = reading.types.length;
  const plain: Reading = { form: reading.form, types: reading.types, ...passingNullKeys(pair) };
  const multiset = reading.form.kind === 'multiset';
  const byHash = reading.form.kind === 'key_hash';
  const report = confirmedReport(work, reading, tally);
  // by the hashes of keys the database finds what it has hashed itself
  const gone =
    multiset || byHash || work.incremental !== undefined || pair.transform !== undefined
      ? undefined
      : lookForGone(work, reading.form.kind === 'hash' ? reading.form.spec : { seed: work.seed, form: 'hex' });
  let waiting = new Candidates(width);
  let rowsSeen = 0;
  let spent = 0;
  let live = false;
  const print = { source: { hi: 0, lo: 0 }, target: { hi: 0, lo: 0 } };

  const confirm = async (list: Candidates, dense: boolean, round: number): Promise<void> => {
    if (list.count === 0) return;
    const due = list.detectedAt + settleMs - clock.elapsed();
    if (due > 0) await clock.sleep(due, signal);
    const carried = new Candidates(width);
    {
      const [source, target] = await work.snapshots();
      await using _source = source;
      await using _target = target;
      const readers = { source, target };
      const still = await reread(readers, list, dense);
      const needed = live ? rounds : 1;
      const confirmed = allSteady(still, needed) ? still : new Candidates(width);
      if (confirmed !== still)
        for (const c of still.entries())
          (c.steady >= needed ? confirmed : carried).add(c.key, c.sides, c.source, c.target, c.steady);
      carried.detectedAt = still.detectedAt;
      if (soft.size > 0) await decide(readers, confirmed, dense);
      await report.add(readers, confirmed, dense);
    }
    if (round < rounds) await confirm(carried, dense, round + 1);
    else for (const c of carried.entries()) inFlight(c);
  };

  /** Reads every entry of a list, and shows what both sides hold now. */
  const readAgain = async (
    readers: Sides<Reader>,
    from: Sides<Selection>,
    list: Candidates,
    dense: boolean,
    found: (c: Candidate, s: Hit | null, t: Hit | null) => void,
  ): Promise<void> => {
    // by the hash of the key, each look-up reads the whole table
    const whole = multiset || dense || (byHash && list.count > mostLookedUp);
    const all = (): Segment => (multiset ? { kind: 'all' } : byHash ? hashRange(list) : wholeRange(list, width));
    const segments: Iterable<{ entries: Iterable<Candidate>; segment: Segment }> = whole
      ? [{ entries: list.entries(), segment: all() }]
      : keyBatches(list, byHash ? mostLookedUp : hashKeys, width);
    for (const { entries, segment } of segments) {
      await rereadAll(readers, from, segment, plain, entries, signal, found);
      work.onProgress?.({ pair: pair.name, phase: 'confirm', rows: list.count });
    }
  };

  /** Those still unequal, with what was read now and how often they held still. */
  const reread = async (readers: Sides<Reader>, list: Candidates, dense: boolean): Promise<Candidates> => {
    const still = new Candidates(width);
    await readAgain(readers, selections, list, dense, (c, s, t) => {
      if (!multiset && ((s?.rows ?? 0) > 1 || (t?.rows ?? 0) > 1)) {
        duplicate(c.key, s?.rows ?? 0, t?.rows ?? 0);
        return;
      }
      gone?.note(c, s, t);
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
    still.detectedAt = clock.elapsed();
    await gone?.check(readers);
    return still;
  };

  /** Looks at the exactly compared cells alone: rows that differ there need no judging of the others. */
  const decide = async (readers: Sides<Reader>, list: Candidates, dense: boolean): Promise<void> => {
    const exact = exactly(selections, soft);
    const onlyKey = exact.source.columns.length === pair.keyWidth;
    let n = 0;
    if (onlyKey) for (const c of list.entries()) list.setSoft(n++, c.sides === 3);
    else
      await readAgain(readers, exact, list, dense, (c, s, t) => {
        if (s) printOf(reading.form, s.run, s.i, print.source);
        if (t) printOf(reading.form, t.run, t.i, print.target);
        list.setSoft(n++, c.sides === 3 && samePrint(print.source, print.target));
      });
  };

  const duplicate = (key: AnyKey, source: number, target: number): void => {
    if (byHash) sharedHash(pair.name);
    work.open?.add(asKey(key, width), 'apart');
    live = true;
    tally.duplicateKeys++;
    tally.apart.source += source;
    tally.apart.target += target;
  };

  const inFlight = (c: Candidate): void => {
    work.open?.add(asKey(c.key, width), 'apart');
    tally.inFlight++;
    if (c.sides & inSource) tally.apart.source += multiset ? countIn(c.source) : 1;
    if (c.sides & inTarget) tally.apart.target += multiset ? countIn(c.target) : 1;
  };

  const flush = async (): Promise<void> => {
    const list = waiting;
    if (list.count === 0) return;
    const began = clock.elapsed();
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
    sample: report.sample,
    spentMs: () => spent,
    scale: 1,
  };
  return confirmation;
};

const allSteady = (list: Candidates, needed: number): boolean => {
  for (const c of list.entries()) if (c.steady < needed) return false;
  return true;
};

/** The selections without the soft columns. */
export const exactly = (selections: Sides<Selection>, soft: ReadonlySet<number>): Sides<Selection> => {
  const without = (s: Selection): Selection => ({ ...s, columns: s.columns.filter((_, i) => !soft.has(i)) });
  return { source: without(selections.source), target: without(selections.target) };
};

const samePrint = (a: Print, b: Print): boolean => a.hi === b.hi && a.lo === b.lo;
