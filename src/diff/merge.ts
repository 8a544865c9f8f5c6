import type { ColumnType } from '../model/schema.ts';
import { type AnyKey, compareAny, keyAt, type Run } from './runs.ts';

/** What the merge of two ordered sides reports, row by row; nothing is kept. */
export interface Meetings {
  /** Are the two rows of one key equal? Not asked for hashes. */
  same(source: Run, i: number, target: Run, j: number): boolean;
  /** A key whose rows are unequal, or that only one side shows (the other side's run is absent). */
  unequal(key: AnyKey, source: Run | undefined, i: number, target: Run | undefined, j: number): void;
  /** A key that occurs more than once on a side: how many rows each side has. */
  duplicate(key: AnyKey, source: number, target: number): void;
  /** Awaited between batches: back-pressure. */
  breathe(rows: number): Promise<void> | undefined;
}

interface Cursor {
  run: Run | undefined;
  at: number;
}

/**
 * Merges two sides that are in key order. Returns how many rows each side delivered and how many pairs were equal.
 * If one side fails the other is cancelled.
 */
export const mergeRuns = async (
  types: readonly ColumnType[],
  open: (side: 'source' | 'target', signal: AbortSignal) => AsyncGenerator<Run>,
  meetings: Meetings,
  signal: AbortSignal,
): Promise<{ readonly source: number; readonly target: number; readonly identical: number }> => {
  const stop = new AbortController();
  const linked = AbortSignal.any([signal, stop.signal]);
  const source = open('source', linked);
  const target = open('target', linked);
  const rows = { source: 0, target: 0 };
  let identical = 0;

  const advance = async (cursor: Cursor, side: 'source' | 'target', runs: AsyncGenerator<Run>): Promise<void> => {
    if (cursor.run && cursor.at < cursor.run.end) return;
    const item = await runs.next();
    cursor.run = item.done ? undefined : item.value;
    if (!cursor.run) return;
    cursor.at = cursor.run.start;
    rows[side] += rowsIn(cursor.run);
  };

  /** One key at a time: for keys of cells, and for runs in which keys repeat. */
  const meet = (s: Cursor, t: Cursor): void => {
    const a = s.run!;
    const b = t.run!;
    const keyA = keyAt(a, s.at);
    const keyB = keyAt(b, t.at);
    const order = compareAny(types, keyA, keyB);
    const again = (order <= 0 && a.repeats?.get(s.at)) || (order >= 0 && b.repeats?.get(t.at));
    if (again) {
      meetings.duplicate(
        order <= 0 ? keyA : keyB,
        order <= 0 ? groupRows(a, s.at) : 0,
        order >= 0 ? groupRows(b, t.at) : 0,
      );
    } else if (order < 0) meetings.unequal(keyA, a, s.at, undefined, -1);
    else if (order > 0) meetings.unequal(keyB, undefined, -1, b, t.at);
    else if (equal(a, s.at, b, t.at, meetings)) identical++;
    else meetings.unequal(keyA, a, s.at, b, t.at);
    if (order <= 0) s.at = nextGroup(a, s.at);
    if (order >= 0) t.at = nextGroup(b, t.at);
  };

  const alone = (cursor: Cursor, side: 'source' | 'target'): void => {
    const run = cursor.run!;
    while (cursor.at < run.end) {
      const key = keyAt(run, cursor.at);
      const rowsHere = groupRows(run, cursor.at);
      if (rowsHere > 1) meetings.duplicate(key, side === 'source' ? rowsHere : 0, side === 'target' ? rowsHere : 0);
      else if (side === 'source') meetings.unequal(key, run, cursor.at, undefined, -1);
      else meetings.unequal(key, undefined, -1, run, cursor.at);
      cursor.at = nextGroup(run, cursor.at);
    }
  };

  const s: Cursor = { run: undefined, at: 0 };
  const t: Cursor = { run: undefined, at: 0 };
  try {
    let seen = 0;
    for (;;) {
      await Promise.all([advance(s, 'source', source), advance(t, 'target', target)]);
      if (!s.run && !t.run) break;
      if (!s.run) alone(t, 'target');
      else if (!t.run) alone(s, 'source');
      else if (s.run.int64 && t.run.int64 && s.run.hashes && t.run.hashes && !s.run.repeats && !t.run.repeats)
        identical += mergeIntegers(s, t, meetings);
      else while (s.at < s.run.end && t.at < t.run.end) meet(s, t);
      const pause = meetings.breathe(rows.source + rows.target - seen);
      seen = rows.source + rows.target;
      if (pause) await pause;
    }
    return { ...rows, identical };
  } catch (error) {
    stop.abort(error);
    throw error;
  } finally {
    await Promise.allSettled([source.return(undefined), target.return(undefined)]);
  }
};

/** The hot loop: two runs of 64-bit integer keys with hashes. Returns how many rows were equal. */
const mergeIntegers = (s: Cursor, t: Cursor, meetings: Meetings): number => {
  const a = s.run!;
  const b = t.run!;
  const keysA = a.int64!;
  const keysB = b.int64!;
  const hashesA = a.hashes!;
  const hashesB = b.hashes!;
  const endA = a.end;
  const endB = b.end;
  let i = s.at;
  let j = t.at;
  let equalRows = 0;
  while (i < endA && j < endB) {
    const keyA = keysA[i]!;
    const keyB = keysB[j]!;
    if (keyA === keyB) {
      if (hashesA[2 * i] === hashesB[2 * j] && hashesA[2 * i + 1] === hashesB[2 * j + 1]) equalRows++;
      else meetings.unequal(keyA, a, i, b, j);
      i++;
      j++;
    } else if (keyA < keyB) meetings.unequal(keyA, a, i++, undefined, -1);
    else meetings.unequal(keyB, undefined, -1, b, j++);
  }
  s.at = i;
  t.at = j;
  return equalRows;
};

const equal = (a: Run, i: number, b: Run, j: number, meetings: Meetings): boolean =>
  a.hashes && b.hashes
    ? a.hashes[2 * i] === b.hashes[2 * j] && a.hashes[2 * i + 1] === b.hashes[2 * j + 1]
    : meetings.same(a, i, b, j);

const groupRows = (run: Run, i: number): number => run.repeats?.get(i)?.rows ?? 1;
const nextGroup = (run: Run, i: number): number => run.repeats?.get(i)?.next ?? i + 1;

const rowsIn = (run: Run): number => {
  let rows = run.end - run.start;
  // A group that goes on in later batches was cut from them.
  if (run.repeats) for (const [start, group] of run.repeats) rows += group.rows - (group.next - start);
  return rows;
};
