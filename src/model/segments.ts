import type { Cancel } from './cancel.ts';
import type { Difference } from './change.ts';
import type { JsonValue } from './json.ts';
import type { Batch } from './row.ts';
import type { KeyRange } from './selected.ts';

/** A pair of a run that is compared in ranges of its key, each by whoever takes it. */
export interface NewSegmentSet {
  /** New each time a pair is cut. */
  readonly id: string;
  readonly run: string;
  readonly pair: string;
  /** Stands for what is compared with what, and how: equal exactly when that is. */
  readonly what: string;
  /** How each segment is compared, chosen once for all: a word of the comparison's own, and why, for people. */
  readonly way: string;
  readonly why: string;
  /** How many differences of the pair are wanted with their values; may be Infinity. */
  readonly kept: number;
}

export interface SegmentSet extends NewSegmentSet {
  /** How many segments it has. */
  readonly total: number;
}

type SetId = Pick<SegmentSet, 'id'>;

/** A segment as a worker has it. It is the worker's until it is done, given back, or the worker is taken for dead. */
export interface TakenSegment {
  /** Id of its set. */
  readonly set: string;
  /** In key order, from 0. */
  readonly n: number;
  readonly range: KeyRange;
  /** Rises each time the segment is taken: only the newest one's work counts. */
  readonly attempt: number;
}

export interface SegmentCounts {
  /** 0: the set is gone. */
  readonly total: number;
  readonly done: number;
  /** That somebody could take now. */
  readonly free: number;
  /** Not done, and has cost too many workers to be tried once more. One that gave it back is not counted. */
  readonly worn: number;
}

/** Takes in the differences of one segment, in key order. Nothing is visible before `end`. */
export interface SegmentWriter {
  add(differences: Batch<Difference>, o: Cancel): Promise<void>;
  /**
   * The segment is done: its result and its differences become visible at once. False: another attempt has been begun
   * meanwhile, and nothing of this one counts.
   */
  end(result: JsonValue, o: Cancel): Promise<boolean>;
}

/** Segments of comparisons that go on now. Nothing of them is lost with a process, and nothing is counted twice. */
export interface Segments {
  /** From now on, and for as long as it lives, this process takes segments of others' comparisons. */
  join(o: Cancel): Promise<void>;
  /** How many processes do, this one included. */
  members(o: Cancel): Promise<number>;
  /** Writes a set down with its ranges, in the place of one that is there. FENCED: the run is another process's now. */
  open(set: NewSegmentSet, ranges: readonly KeyRange[], o: Cancel): Promise<void>;
  /** The set of a run that goes on; undefined: there is none, or nobody has been at work on it for an hour. */
  find(run: string, pair: string, o: Cancel): Promise<SegmentSet | undefined>;
  /**
   * Takes the first segment that nobody is at work on: it was not taken, or who took it has died (at once), or has given
   * no sign of life for `silentMs`. Undefined: there is none now, or the run does not go on.
   */
  take(
    set: SetId,
    o: Cancel & { readonly worker: string; readonly silentMs: number },
  ): Promise<TakenSegment | undefined>;
  /** Says that its worker is at it. False: the segment is no longer the worker's, or nobody wants it any more. */
  beat(taken: TakenSegment, o: Cancel): Promise<boolean>;
  giveBack(taken: TakenSegment, o: Cancel): Promise<void>;
  writer(taken: TakenSegment): SegmentWriter;
  counts(set: SetId, o: Cancel & { readonly silentMs: number }): Promise<SegmentCounts>;
  /** Of the segments that are done, in key order. */
  results(set: SetId, o: Cancel): Promise<readonly JsonValue[]>;
  /** Of the segments that are done, in key order. */
  differences(set: SetId, o: Cancel): AsyncIterable<Batch<Difference>>;
  /** Forgets the set, unless its run is another process's now. Who is still at work on it finds that out by its next beat. */
  close(set: Pick<SegmentSet, 'id' | 'run'>, o: Cancel): Promise<void>;
}
