import type { RawBatch } from '../../model/reader.ts';
import type { Cell } from '../../model/row.ts';
import type { RowSink } from './copy-out.ts';
import { headerBytes, tupleStart } from './copy-rows.ts';
import type { Read } from './spell.ts';

const batchRows = 2048;
const batchBytes = 256 * 1024;
/** Room for what a last block adds. */
const slotBytes = batchBytes + 128 * 1024;
/** One batch is with the consumer, one is asked for, one is filled. */
const slots = 3;

const messageHead = 5;
const trailerBytes = 2;

/** Gathers the rows of a binary COPY as they lie, each with the head of its message, which holds its length. */
export const rawRows = (reads: readonly Read[]): RowSink<RawBatch> => {
  const ring = Array.from({ length: slots }, () => Buffer.allocUnsafeSlow(slotBytes));
  let slot = 0;
  let bytes = ring[0]!;
  let used = 0;
  let ends = new Int32Array(batchRows * 2);
  let count = 0;
  let opened = false;

  const ensure = (more: number): void => {
    if (used + more <= bytes.length) return;
    const wider = Buffer.allocUnsafeSlow(Math.max(bytes.length * 2, used + more));
    bytes.copy(wider, 0, 0, used);
    bytes = wider;
    ring[slot] = wider;
  };

  const rowOf = (from: Buffer, start: number, end: number): Cell[] => {
    let at = tupleStart(from, start + messageHead, end) + 2;
    const row: Cell[] = [];
    for (let i = 0; i < reads.length; i++) {
      const size = from.readInt32BE(at);
      at += 4;
      if (size < 0) row.push(null);
      else {
        row.push(reads[i]!(from, at, at + size));
        at += size;
      }
    }
    return row;
  };

  return {
    row: () => {
      throw new Error('rows are taken by the block');
    },
    block: (from, start, rowEnds, rows) => {
      let first = 0;
      let begin = start;
      if (!opened) {
        opened = true;
        const size = rowEnds[0]! - start - messageHead;
        // the file's header alone, or with the trailer where there are no rows
        if (size === headerBytes || size === headerBytes + trailerBytes) {
          first = 1;
          begin = rowEnds[0]!;
        }
      }
      let last = rows;
      if (last > first && rowEnds[last - 1]! - (last > 1 ? rowEnds[last - 2]! : start) === messageHead + trailerBytes)
        last--;
      if (last <= first) return;
      const stop = rowEnds[last - 1]!;
      ensure(stop - begin);
      from.copy(bytes, used, begin, stop);
      const shift = used - begin;
      used += stop - begin;
      if (count + last - first > ends.length) {
        const wider = new Int32Array(Math.max(ends.length * 2, count + last - first));
        wider.set(ends);
        ends = wider;
      }
      for (let i = first; i < last; i++) ends[count++] = rowEnds[i]! + shift;
    },
    take: (last) => {
      if (count === 0 || (!last && count < batchRows && used < batchBytes)) return undefined;
      const [held, heldEnds, heldCount] = [bytes, ends.slice(0, count), count];
      slot = (slot + 1) % slots;
      // a slot that a huge row has widened is not kept
      if (ring[slot]!.length > 4 * slotBytes) ring[slot] = Buffer.allocUnsafeSlow(slotBytes);
      bytes = ring[slot]!;
      used = 0;
      count = 0;
      return {
        bytes: held,
        start: 0,
        ends: heldEnds,
        count: heldCount,
        row: (i) => rowOf(held, i === 0 ? 0 : heldEnds[i - 1]!, heldEnds[i]!),
      };
    },
  };
};
