import type { DiffOptions } from '../diff/context.ts';
import { type Detected, detect } from '../diff/diff-table.ts';
import type { RangeCounted } from '../diff/report.ts';
import type { Clock } from '../lib/clock.ts';
import type { JsonValue } from '../model/json.ts';
import type { Table } from '../model/schema.ts';
import type { SegmentSet, Segments, TakenSegment } from '../model/segments.ts';

/** Who works on segments. */
export interface SegmentWorker {
  /** Names this process among all workers. */
  readonly worker: string;
  /** A worker that gave no sign of life for so long is taken for dead, milliseconds. Default: 15 s. */
  readonly silentMs?: number;
}

export const usuallySilentMs = 15_000;
/** Signs of life in the time after which there would be none. */
const beatsPerSilence = 6;

export interface SegmentWork extends SegmentWorker {
  readonly segments: Segments;
  readonly set: SegmentSet;
  /** How the pair is compared; the range and the sink are each segment's own. */
  readonly options: DiffOptions;
  /** Asked when there is nothing to take: is it over? Absent: it is, for us. */
  settled?(): Promise<boolean>;
  readonly pollMs?: number;
}

/** A segment whose differences were detected and wait to be confirmed. */
interface Begun {
  /** Memory that waits with it, bytes. */
  readonly size: number;
  /** Waits until its differences have settled, reads them again, and ends it. */
  end(): Promise<void>;
  /** Gives it back, if it was not ended. */
  drop(): Promise<void>;
}

/** Segments that wait for their confirmation while others are read: what a killed worker has done for nothing. */
const mostWaiting = 8;
const waitingBytes = 64 * 1024 * 1024;

/**
 * Takes segments and compares them, one after the other: while the differences of some settle and are confirmed, the next
 * is read. Returns when there is none left to take and, if that is asked, all are done, whoever did them.
 */
export const workOnSegments = async (w: SegmentWork): Promise<void> => {
  const { segments, set } = w;
  const { clock } = w.options;
  const stop = new AbortController();
  const signal = AbortSignal.any([w.options.signal, stop.signal]);
  const options = { ...w.options, signal };
  const silentMs = w.silentMs ?? usuallySilentMs;
  const waiting: Begun[] = [];
  let confirmed: Promise<void> = Promise.resolve();
  const confirmLater = (begun: Begun): void => {
    waiting.push(begun);
    confirmed = confirmed.then(async () => {
      await begun.end();
      waiting.shift();
    });
    // Met when it is awaited; meanwhile what is read is stopped.
    confirmed.catch((error: unknown) => stop.abort(error));
  };
  const isFull = (): boolean =>
    waiting.length >= mostWaiting || waiting.reduce((bytes, one) => bytes + one.size, 0) > waitingBytes;
  try {
    for (;;) {
      if (isFull()) await confirmed;
      const taken = await segments.take(set, { signal, worker: w.worker, silentMs });
      if (taken !== undefined) {
        const begun = await begin({ segments, set, options }, taken, silentMs / beatsPerSilence);
        if (begun !== undefined) confirmLater(begun);
        continue;
      }
      await confirmed;
      if (w.settled === undefined || (await w.settled())) return;
      await clock.sleep(w.pollMs ?? silentMs, signal);
    }
  } catch (error) {
    // What stopped the others is told, not that they were stopped.
    const first = stop.signal.aborted && !w.options.signal.aborted ? (stop.signal.reason as unknown) : error;
    stop.abort(error);
    await confirmed.catch(() => {});
    for (const one of waiting) await one.drop();
    throw first;
  }
};

/** Detects the differences of a segment. Undefined: it is no longer ours. */
const begin = async (
  { segments, set, options }: Pick<SegmentWork, 'segments' | 'set' | 'options'>,
  taken: TakenSegment,
  beatMs: number,
): Promise<Begun | undefined> => {
  const held = hold(segments, taken, options.clock, options.signal, beatMs);
  const writer = segments.writer(taken);
  let left = set.kept;
  const drop = async (): Promise<void> => {
    await held.stop();
    // If that fails, its worker is missed.
    await segments.giveBack(taken, { signal: AbortSignal.timeout(5000) }).catch(() => {});
  };
  /** What fails because the segment was taken from us is not our failure. */
  const orLost = async (work: () => Promise<void>): Promise<boolean> => {
    try {
      await work();
      return true;
    } catch (error) {
      await drop();
      if (held.isLost() && !options.signal.aborted) return false;
      throw error;
    }
  };
  let detected: Detected | undefined;
  const isOurs = await orLost(async () => {
    detected = await detect({
      ...options,
      pair: shareOf(options.pair, set.total),
      range: taken.range,
      force: set.way as NonNullable<DiffOptions['force']>,
      signal: held.signal,
      sink: {
        wanted: () => left,
        write: async (_, differences) => {
          left -= differences.length;
          await writer.add(differences, { signal: held.signal });
        },
      },
    });
  });
  if (!isOurs) return undefined;
  return {
    size: detected!.size,
    drop,
    end: async () => {
      await orLost(async () => {
        const { positions, confirm } = detected!;
        const { counted } = await confirm();
        const result: RangeCounted = { counted, positions };
        await writer.end(result as unknown as JsonValue, { signal: held.signal });
        await held.stop();
      });
    },
  };
};

/** The pair as a segment shows it: its tables have their share of the rows. */
const shareOf = (pair: DiffOptions['pair'], segments: number): DiffOptions['pair'] => {
  const share = (table: Table): Table =>
    table.estimatedRows === undefined
      ? table
      : { ...table, estimatedRows: Math.ceil(table.estimatedRows / Math.max(1, segments)) };
  return { ...pair, source: share(pair.source), target: share(pair.target) };
};

interface Held {
  /** Aborted when the caller's is, or when the segment is lost. */
  readonly signal: AbortSignal;
  isLost(): boolean;
  stop(): Promise<void>;
}

/** Gives signs of life until it is stopped. */
const hold = (segments: Segments, taken: TakenSegment, clock: Clock, signal: AbortSignal, beatMs: number): Held => {
  const lost = new AbortController();
  const stopped = new AbortController();
  const until = AbortSignal.any([signal, stopped.signal]);
  const beating = (async () => {
    for (;;) {
      await clock.sleep(beatMs, until);
      if (await segments.beat(taken, { signal: until })) continue;
      lost.abort(new Error('the segment has another worker, or nobody wants it any more'));
      return;
    }
  })().catch((error: unknown) => {
    // Without signs of life the segment is soon another's.
    if (!until.aborted) lost.abort(error);
  });
  return {
    signal: AbortSignal.any([signal, lost.signal]),
    isLost: () => lost.signal.aborted,
    stop: async () => {
      stopped.abort();
      await beating;
    },
  };
};
