import { compareKeys } from '../model/order.ts';
import type { RawBatch, Reader } from '../model/reader.ts';
import type { Row } from '../model/row.ts';
import { keyTypes } from '../model/selection.ts';
import { ahead, both } from './concurrent.ts';
import type { Side, Sides, Work } from './context.ts';
import { keyIsGuaranteed } from './key.ts';
import type { Meetings } from './merge.ts';
import { outOfOrder, type Run } from './runs.ts';

/**
 * The spelling of each column in which both sides can deliver their rows as bytes; undefined: they cannot, or keys may
 * repeat or be NULL, so that every key must be looked at.
 */
export const commonSpellings = async (work: Work, readers: Sides<Reader>): Promise<readonly string[] | undefined> => {
  const { selections, signal, pair } = work;
  const { source, target } = readers;
  if (!source.raw || !target.raw || !keyIsGuaranteed(pair)) return undefined;
  const [s, t] = await both(
    signal,
    (x) => source.raw!.spellings(selections.source, { signal: x }),
    (x) => target.raw!.spellings(selections.target, { signal: x }),
  );
  if (!s || !t) return undefined;
  const common = s.flatMap((offered, i) => offered.find((spelling) => t[i]!.includes(spelling)) ?? []);
  return common.length === s.length ? common : undefined;
};

interface Cursor {
  batch: RawBatch | undefined;
  /** The row to look at next, and where it starts. */
  i: number;
  at: number;
  /** That row's cells, once they were needed. */
  row: Row | undefined;
  /** The row before, or an earlier one: the next must have a greater key. */
  last: Row | undefined;
  /** The row before was passed over by its bytes, so `last` is an earlier one. */
  passed: boolean;
}

const skip = (c: Cursor, rows: number): void => {
  c.i += rows;
  c.at = c.batch!.ends[c.i - 1]!;
  c.row = undefined;
};

/** Reads the row before the next, if that was not done. */
const lookBack = (c: Cursor): void => {
  if (c.passed && c.i > 0) c.last = c.batch!.row(c.i - 1);
  c.passed = false;
};

/** How many next rows of `a` are the same bytes as the next rows of `b`. Both have one. */
const sameBytes = (a: Cursor, b: Cursor): number => {
  const { bytes: x, ends, count } = a.batch!;
  const { bytes: y, ends: endsOfB, count: countOfB } = b.batch!;
  const same = (from: number, to: number): boolean =>
    y.compare(x, from, to, b.at + from - a.at, b.at + to - a.at) === 0;
  const room = endsOfB[countOfB - 1]! - b.at;
  // every row that is whole in both batches: since bytes say where rows end, equal bytes are the same rows
  let most = count - a.i;
  if (ends[count - 1]! - a.at > room) most = rowsUntil(ends, a.i, count, a.at + room) - a.i;
  if (most === 0) return 0;
  let from = a.at;
  let rows = 0;
  let step = most;
  let first = true;
  // all at once, else in steps that double from one row, else within a step by halves
  while (rows < most) {
    const n = Math.min(step, most - rows);
    const to = ends[a.i + rows + n - 1]!;
    if (same(from, to)) {
      rows += n;
      from = to;
      step = n * 2;
    } else if (first) step = 1;
    else if (n === 1) break;
    else {
      most = rows + n - 1;
      step = n >> 1;
    }
    first = false;
  }
  return rows;
};

/** The first row of those from `i` to before `count` that ends behind `limit`. */
const rowsUntil = (ends: Int32Array, i: number, count: number, limit: number): number => {
  let low = i;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ends[middle]! <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
};

export interface RawMeetings extends Pick<Meetings, 'unequal' | 'breathe'> {
  /** Are two rows of one key equal whose bytes are not? */
  same(source: Row, target: Row): boolean;
}

export interface Met {
  readonly source: number;
  readonly target: number;
  readonly identical: number;
  /** Rows of both sides whose cells were read. */
  readonly read: number;
}

/**
 * Merges two sides in key order by their bytes: rows of equal bytes are equal, whatever their place in the order, since
 * keys are unique. Of all other rows the cells are read, and their keys must ascend: a row that found no partner only
 * because a side broke the order shows itself by that.
 */
export const mergeRaw = async (
  work: Pick<Work, 'selections' | 'signal'>,
  open: (side: Side, signal: AbortSignal) => AsyncIterable<RawBatch>,
  meetings: RawMeetings,
): Promise<Met> => {
  const { selections, signal } = work;
  const types = keyTypes(selections.source);
  const stop = new AbortController();
  const linked = AbortSignal.any([signal, stop.signal]);
  const batches = { source: ahead(open('source', linked)), target: ahead(open('target', linked)) };
  const cursor = (): Cursor => ({ batch: undefined, i: 0, at: 0, row: undefined, last: undefined, passed: false });
  const s = cursor();
  const t = cursor();
  const rows = { source: 0, target: 0 };
  let identical = 0;
  let read = 0;

  const advance = async (c: Cursor, side: Side): Promise<void> => {
    while (!c.batch || c.i >= c.batch.count) {
      lookBack(c);
      const item = await batches[side].next();
      c.batch = item.done ? undefined : item.value;
      if (!c.batch) return;
      c.i = 0;
      c.at = c.batch.start;
      c.row = undefined;
      rows[side] += c.batch.count;
    }
  };

  const rowAt = (c: Cursor, side: Side): Row => {
    if (c.row) return c.row;
    lookBack(c);
    const row = c.batch!.row(c.i);
    if (c.last && compareKeys(types, c.last, row) >= 0) throw outOfOrder(selections[side]);
    read++;
    c.last = row;
    c.row = row;
    return row;
  };

  const run = (row: Row): Run => ({ start: 0, end: 1, keys: [row] });
  const onlySource = (): void => {
    const row = rowAt(s, 'source');
    meetings.unequal(row, run(row), 0, undefined, -1);
    skip(s, 1);
  };
  const onlyTarget = (): void => {
    const row = rowAt(t, 'target');
    meetings.unequal(row, undefined, -1, run(row), 0);
    skip(t, 1);
  };

  const meet = (): void => {
    const n = sameBytes(s, t);
    if (n > 0) {
      identical += n;
      skip(s, n);
      skip(t, n);
      s.passed = true;
      t.passed = true;
      return;
    }
    const a = rowAt(s, 'source');
    const b = rowAt(t, 'target');
    const order = compareKeys(types, a, b);
    if (order < 0) onlySource();
    else if (order > 0) onlyTarget();
    else {
      if (meetings.same(a, b)) identical++;
      else meetings.unequal(a, run(a), 0, run(b), 0);
      skip(s, 1);
      skip(t, 1);
    }
  };

  try {
    let seen = 0;
    for (;;) {
      await Promise.all([advance(s, 'source'), advance(t, 'target')]);
      if (!s.batch && !t.batch) break;
      if (!s.batch) while (t.i < t.batch!.count) onlyTarget();
      else if (!t.batch) while (s.i < s.batch.count) onlySource();
      else while (s.i < s.batch.count && t.i < t.batch.count) meet();
      const pause = meetings.breathe(rows.source + rows.target - seen);
      seen = rows.source + rows.target;
      if (pause) await pause;
    }
    return { ...rows, identical, read };
  } catch (error) {
    stop.abort(error);
    throw error;
  } finally {
    await Promise.allSettled([batches.source.return(undefined), batches.target.return(undefined)]);
  }
};
