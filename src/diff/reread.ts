import type { Reader } from '../model/reader.ts';
import type { Key, Row } from '../model/row.ts';
import type { ColumnType } from '../model/schema.ts';
import type { Segment, Selection } from '../model/selected.ts';
import type { Candidate } from './candidates.ts';
import type { Side, Sides } from './context.ts';
import { type AnyKey, compareAny, keyAt, type Reading, type Run, readRuns } from './runs.ts';

/** Where a key was found again. `rows` above 1: it has become a duplicate. */
export interface Hit {
  readonly run: Run;
  readonly i: number;
  readonly rows: number;
}

interface Seeker {
  /** The key's row, `null` when the side has none, `undefined` when more must be loaded first. Keys only ascend. */
  seek(key: AnyKey): Hit | null | undefined;
  load(): Promise<void>;
  close(): Promise<unknown>;
}

const seeker = (runs: AsyncGenerator<Run>, types: readonly ColumnType[]): Seeker => {
  let run: Run | undefined;
  let at = 0;
  let ended = false;
  return {
    seek: (key) => {
      while (run && at < run.end) {
        const order = compareAny(types, keyAt(run, at), key);
        if (order > 0) return null;
        const group = run.repeats?.get(at);
        const i = at;
        at = group?.next ?? at + 1;
        if (order === 0) return { run, i, rows: group?.rows ?? 1 };
      }
      return ended ? null : undefined;
    },
    load: async () => {
      const item = await runs.next();
      if (item.done) {
        ended = true;
        run = undefined;
      } else {
        run = item.value;
        at = run.start;
      }
    },
    close: () => runs.return(undefined),
  };
};

/** Reads a segment of both sides at the same time and shows, for each suspect in key order, what is there now. */
export const rereadAll = (
  readers: Sides<Reader>,
  selections: Sides<Selection>,
  segment: Segment,
  reading: Reading,
  suspects: Iterable<Candidate>,
  signal: AbortSignal,
  found: (suspect: Candidate, source: Hit | null, target: Hit | null) => void | Promise<void>,
): Promise<void> =>
  seekAll(
    (side, s) => readRuns(readers[side], selections[side], segment, reading, s),
    reading.types,
    suspects,
    signal,
    found,
  );

/** Shows for each suspect in key order what both sides deliver of it. */
export const seekAll = async (
  open: (side: Side, signal: AbortSignal) => AsyncGenerator<Run>,
  types: readonly ColumnType[],
  suspects: Iterable<Candidate>,
  signal: AbortSignal,
  found: (suspect: Candidate, source: Hit | null, target: Hit | null) => void | Promise<void>,
): Promise<void> => {
  const stop = new AbortController();
  const linked = AbortSignal.any([signal, stop.signal]);
  const source = seeker(open('source', linked), types);
  const target = seeker(open('target', linked), types);
  try {
    await Promise.all([source.load(), target.load()]);
    for (const suspect of suspects) {
      let s = source.seek(suspect.key);
      while (s === undefined) {
        await source.load();
        s = source.seek(suspect.key);
      }
      let t = target.seek(suspect.key);
      while (t === undefined) {
        await target.load();
        t = target.seek(suspect.key);
      }
      const pause = found(suspect, s, t);
      if (pause) await pause;
    }
  } catch (error) {
    stop.abort(error);
    throw error;
  } finally {
    await Promise.allSettled([source.close(), target.close()]);
  }
};

/** The rows of the given keys (ascending, distinct), in their order; undefined where there is none. */
export const lookUp = async (
  reader: Reader,
  selection: Selection,
  keys: readonly Key[],
  reading: Reading,
  signal: AbortSignal,
): Promise<readonly (Row | undefined)[]> => {
  const rows = seeker(readRuns(reader, selection, { kind: 'keys', keys }, reading, signal), reading.types);
  try {
    const found: (Row | undefined)[] = [];
    for (const key of keys) {
      let hit = rows.seek(key);
      while (hit === undefined) {
        await rows.load();
        hit = rows.seek(key);
      }
      found.push(hit ? hit.run.keys![hit.i] : undefined);
    }
    return found;
  } finally {
    await rows.close();
  }
};
