import type { ArchiveHashes } from '../../model/archive.ts';
import { LockstepError } from '../../model/errors.ts';
import type { ColumnType } from '../../model/schema.ts';
import { ahead } from '../concurrent.ts';
import type { Side } from '../context.ts';
import { type AnyKey, compareAny, keyAt, type Run } from '../runs.ts';

/** What the merge of both sides with their archive reports, key by key; nothing is kept. */
export interface ThreeMeetings {
  /**
   * A key that is not as it was agreed. Absent runs: the side shows no such row. `doubted`: each side is as the archive
   * says, and yet the two are not equal.
   */
  met(key: AnyKey, source: Run | undefined, i: number, target: Run | undefined, j: number, doubted: boolean): void;
  /** A key that occurs more than once on a side: how many rows each side has. */
  duplicate(key: AnyKey, source: number, target: number): void;
  /** Awaited between batches: back-pressure. `rows` of both sides were read. */
  breathe(rows: number): Promise<void> | undefined;
}

/** Rows of the archive: a run with a hash for each side. */
interface BaseRun extends Run {
  readonly source: Int32Array;
  readonly target: Int32Array;
}

interface Cursor<R extends Run> {
  run: R | undefined;
  at: number;
  ended: boolean;
}

const cursor = <R extends Run>(): Cursor<R> => ({ run: undefined, at: 0, ended: false });

const unordered = (): LockstepError =>
  new LockstepError('INTERNAL', 'rows of the archive did not arrive in key order, so nothing was decided about them');

/** Checks that batches continue each other: each is in order by itself. */
async function* baseRuns(batches: AsyncIterable<ArchiveHashes>, types: readonly ColumnType[]): AsyncGenerator<BaseRun> {
  let last: AnyKey | undefined;
  for await (const { count, keys, source, target } of batches) {
    const run: BaseRun = {
      start: 0,
      end: count,
      source,
      target,
      ...(keys.kind === 'int64' ? { int64: keys.values } : { keys: keys.values }),
    };
    if (last !== undefined && compareAny(types, last, keyAt(run, 0)) >= 0) throw unordered();
    last = keyAt(run, count - 1);
    yield run;
  }
}

const rowsIn = (run: Run): number => {
  let rows = run.end - run.start;
  if (run.repeats) for (const [start, group] of run.repeats) rows += group.rows - (group.next - start);
  return rows;
};

const equal = (a: Int32Array, i: number, b: Int32Array, j: number): boolean =>
  a[2 * i] === b[2 * j] && a[2 * i + 1] === b[2 * j + 1];

/**
 * Merges both sides and the archive, all in key order. `shared`: equal rows of the two sides have equal hashes. Returns
 * how many rows each delivered, and how many keys were as agreed. If one fails the others are cancelled.
 */
export const mergeThree = async (
  types: readonly ColumnType[],
  open: (side: Side, signal: AbortSignal) => AsyncGenerator<Run>,
  archive: (signal: AbortSignal) => AsyncIterable<ArchiveHashes>,
  shared: boolean,
  meetings: ThreeMeetings,
  signal: AbortSignal,
): Promise<{ readonly source: number; readonly target: number; readonly base: number; readonly unchanged: number }> => {
  const stop = new AbortController();
  const linked = AbortSignal.any([signal, stop.signal]);
  const source = open('source', linked);
  const target = open('target', linked);
  const base = ahead(baseRuns(archive(linked), types));
  const s = cursor<Run>();
  const t = cursor<Run>();
  const b = cursor<BaseRun>();
  const rows = { source: 0, target: 0, base: 0 };
  let unchanged = 0;

  const advance = async <R extends Run>(
    c: Cursor<R>,
    of: keyof typeof rows,
    runs: AsyncGenerator<R>,
  ): Promise<void> => {
    if (c.ended || (c.run !== undefined && c.at < c.run.end)) return;
    const item = await runs.next();
    c.run = item.done ? undefined : item.value;
    c.ended = item.done === true;
    if (c.run === undefined) return;
    c.at = c.run.start;
    rows[of] += rowsIn(c.run);
  };

  const settle = (
    key: AnyKey,
    a: Run | undefined,
    i: number,
    c: Run | undefined,
    j: number,
    d: BaseRun | undefined,
    h: number,
  ): void => {
    const hasSource = d !== undefined && a !== undefined && equal(a.hashes!, i, d.source, h);
    const hasTarget = d !== undefined && c !== undefined && equal(c.hashes!, j, d.target, h);
    const doubted = hasSource && hasTarget && shared && !equal(a.hashes!, i, c.hashes!, j);
    if (hasSource && hasTarget && !doubted) unchanged++;
    else meetings.met(key, a, i, c, j, doubted);
  };

  /** The hot loop: three runs of 64-bit integers, no key twice. */
  const integers = (x: Run, y: Run, z: BaseRun): void => {
    const [ka, kb, kc] = [x.int64!, y.int64!, z.int64!];
    const [ha, hb] = [x.hashes!, y.hashes!];
    let [i, j, h] = [s.at, t.at, b.at];
    while (i < x.end && j < y.end && h < z.end) {
      const [p, q, r] = [ka[i]!, kb[j]!, kc[h]!];
      if (p === q && q === r) {
        if (equal(ha, i, z.source, h) && equal(hb, j, z.target, h) && !(shared && !equal(ha, i, hb, j))) unchanged++;
        else settle(p, x, i, y, j, z, h);
        i++;
        j++;
        h++;
        continue;
      }
      let least = p < q ? p : q;
      if (r < least) least = r;
      const [inS, inT, inB] = [p === least, q === least, r === least];
      settle(least, inS ? x : undefined, i, inT ? y : undefined, j, inB ? z : undefined, h);
      if (inS) i++;
      if (inT) j++;
      if (inB) h++;
    }
    [s.at, t.at, b.at] = [i, j, h];
  };

  /** One key, of any kind. */
  const one = (): void => {
    const [p, q, r] = [s, t, b].map((c) => (c.run === undefined ? undefined : keyAt(c.run, c.at)));
    let least = p;
    for (const key of [q, r])
      if (key !== undefined && (least === undefined || compareAny(types, key, least) < 0)) least = key;
    const at = (key: AnyKey | undefined): boolean => key !== undefined && compareAny(types, key, least!) === 0;
    const [inS, inT, inB] = [at(p), at(q), at(r)];
    const twiceS = inS ? s.run!.repeats?.get(s.at) : undefined;
    const twiceT = inT ? t.run!.repeats?.get(t.at) : undefined;
    if (twiceS || twiceT) meetings.duplicate(least!, inS ? (twiceS?.rows ?? 1) : 0, inT ? (twiceT?.rows ?? 1) : 0);
    else settle(least!, inS ? s.run : undefined, s.at, inT ? t.run : undefined, t.at, inB ? b.run : undefined, b.at);
    if (inS) s.at = twiceS?.next ?? s.at + 1;
    if (inT) t.at = twiceT?.next ?? t.at + 1;
    if (inB) b.at++;
  };

  const ready = (c: Cursor<Run>): boolean => c.ended || c.at < c.run!.end;

  try {
    let seen = 0;
    for (;;) {
      await Promise.all([advance(s, 'source', source), advance(t, 'target', target), advance(b, 'base', base)]);
      if (s.ended && t.ended && b.ended) break;
      const [x, y, z] = [s.run, t.run, b.run];
      if (x?.int64 && y?.int64 && z?.int64 && !x.repeats && !y.repeats) integers(x, y, z);
      else while (ready(s) && ready(t) && ready(b) && !(s.ended && t.ended && b.ended)) one();
      const pause = meetings.breathe(rows.source + rows.target - seen);
      seen = rows.source + rows.target;
      if (pause) await pause;
    }
    return { ...rows, unchanged };
  } catch (error) {
    stop.abort(error);
    throw error;
  } finally {
    await Promise.allSettled([source.return(undefined), target.return(undefined), base.return(undefined)]);
  }
};
