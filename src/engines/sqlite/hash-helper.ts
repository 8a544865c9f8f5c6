import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { LockstepError } from '../../model/errors.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import type { Partition, Selection } from '../../model/selected.ts';
import type { Framed, Hand } from './chunks.ts';
import type { Sums } from './digest.ts';

/**
 * A second thread that hashes chunks while this one reads the next: reading and hashing take about as long as each other.
 * Both threads share a ring of chunks. This one puts a chunk there where there is room, and else hashes it itself; so
 * it never waits but at the end, and loses little where there is no second processor for the other.
 */

/** What is hashed. */
export interface HelperTask {
  readonly selection: Selection;
  readonly framed: Framed;
  readonly partition: Partition | undefined;
  readonly hash: HashSpec;
}

/** What the other thread is given to start with. */
export interface HelperData extends HelperTask {
  readonly ring: Ring;
}

/** Memory that both threads see. */
export interface Ring {
  /** See `at`. */
  readonly control: Int32Array;
  /** Of each slot: what is in it (see `slot`), its bytes and rows. */
  readonly slots: Int32Array;
  readonly bytes: Uint8Array;
  /** Written by the helper when all is done, per part: rows, and the sum of their hashes. */
  readonly rows: Float64Array;
  readonly sums: BigUint64Array;
}

export const slotCount = 4;
export const slotBytes = 256 * 1024;
/**
 * Places in `control`. `ready`: 1 when the helper runs. `put`: how many chunks were put, and the end as one more. `end`: 0
 * until it is known how many that will be in all. `done`: 1 when the sums are there, 2 when it failed.
 */
export const at = { ready: 0, put: 1, end: 2, done: 3 } as const;
export const slot = { free: 0, full: 1, broken: 2 } as const;

/** Rows of a slot's state: what is in it, bytes, rows. */
export const slotWidth = 3;

/** So many chunks are hashed before a helper is worth its start. */
const startAfter = 40;

const entry = fileURLToPath(
  new URL(`./hash-thread${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url),
);

const shared = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);

const ringOf = (parts: number): Ring => ({
  control: new Int32Array(shared(4 * 4)),
  slots: new Int32Array(shared(4 * slotCount * slotWidth)),
  bytes: new Uint8Array(shared(slotCount * slotBytes)),
  rows: new Float64Array(shared(8 * parts)),
  sums: new BigUint64Array(shared(8 * parts)),
});

const failed = (how: string): LockstepError =>
  new LockstepError('INTERNAL', `the thread that hashes rows beside SQLite has failed: ${how}.`, {
    hint: 'Nothing was decided about the rows. Please report this with the types of the columns.',
  });

export interface Helper extends Disposable {
  readonly hand: Hand;
  /** Chunks that were handed on and are not what their frames should be: each is to be read again. */
  broken(): readonly (() => void)[];
  /** Waits for what was handed on, and adds its sums. */
  finish(total: Sums): void;
}

/** Undefined where there is only one processor. */
export const helperFor = (
  given: HelperTask,
  processors = availableParallelism(),
  after = startAfter,
): Helper | undefined => {
  if (processors < 2) return undefined;
  let ring: Ring | undefined;
  let seen = 0;
  let put = 0;
  /** Rows that were handed on, without those of broken chunks that were read again. */
  let handed = 0;
  let gaveUp = false;
  const again: (() => void)[] = [];

  const start = (): void => {
    ring = ringOf(given.partition?.count ?? 1);
    const data: HelperData = { ...given, ring };
    // Its output is not joined to ours, see `watchdog.ts`.
    const thread = new Worker(entry, { workerData: data, stdout: true, stderr: true });
    // One that cannot start is never ready.
    thread.on('error', () => {});
    thread.unref();
  };
  const end = (): void => {
    if (ring === undefined || Atomics.load(ring.control, at.end) !== 0) return;
    Atomics.store(ring.control, at.end, put + 1);
    Atomics.add(ring.control, at.put, 1);
    Atomics.notify(ring.control, at.put);
  };

  return {
    hand: (blob, rows, readAgain) => {
      if (ring === undefined) {
        if (++seen >= after) start();
        return false;
      }
      const { control, slots, bytes } = ring;
      if (gaveUp || rows === 0 || blob.length > slotBytes || Atomics.load(control, at.ready) === 0) return false;
      const place = put % slotCount;
      if (Atomics.load(slots, place * slotWidth) !== slot.free) return false;
      bytes.set(blob, place * slotBytes);
      slots[place * slotWidth + 1] = blob.length;
      slots[place * slotWidth + 2] = rows;
      again[place] = readAgain;
      Atomics.store(slots, place * slotWidth, slot.full);
      put++;
      handed += rows;
      Atomics.add(control, at.put, 1);
      Atomics.notify(control, at.put);
      return true;
    },
    broken: () => {
      if (ring === undefined) return [];
      const found: (() => void)[] = [];
      for (let place = 0; place < slotCount; place++) {
        if (Atomics.load(ring.slots, place * slotWidth) !== slot.broken) continue;
        found.push(again[place]!);
        handed -= ring.slots[place * slotWidth + 2]!;
        Atomics.store(ring.slots, place * slotWidth, slot.free);
        // A table that one chunk of is not as it should be may have many: this thread knows when to read by rows only.
        gaveUp = true;
      }
      return found;
    },
    finish: (total) => {
      end();
      if (ring === undefined || put === 0) return;
      const { control, slots, rows, sums } = ring;
      while (Atomics.load(control, at.done) === 0) Atomics.wait(control, at.done, 0);
      if (Atomics.load(control, at.done) !== 1) throw failed('it ended early');
      let missing = handed;
      for (let place = 0; place < slotCount; place++)
        if (slots[place * slotWidth] === slot.broken) missing -= slots[place * slotWidth + 2]!;
      for (let part = 0; part < rows.length; part++) {
        if (rows[part] === 0) continue;
        missing -= rows[part]!;
        total.addSum(part, rows[part]!, sums[part]!);
      }
      if (missing !== 0) throw failed(`${missing} rows are missing from its sums`);
    },
    [Symbol.dispose]: end,
  };
};
