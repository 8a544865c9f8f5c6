import { workerData } from 'node:worker_threads';
import { readBlob } from './chunks.ts';
import { cursor } from './frame-cursor.ts';
import { digesting } from './frame-digest.ts';
import { at, type HelperData, slot, slotBytes, slotCount, slotWidth } from './hash-helper.ts';

/** Entry of the thread that `hash-helper.ts` starts: hashes the chunks of the ring, one after the other, to its end. */
const { selection, framed, partition, hash, ring } = workerData as HelperData;
const { control, slots, bytes } = ring;

const work = (): void => {
  const d = digesting(selection, framed, partition, hash);
  const c = cursor(framed.token);
  const chunk = Buffer.alloc(slotBytes);
  Atomics.store(control, at.ready, 1);
  for (let taken = 0; ; taken++) {
    while (Atomics.load(control, at.put) === taken) Atomics.wait(control, at.put, taken);
    if (Atomics.load(control, at.end) === taken + 1) break;
    const place = taken % slotCount;
    const length = slots[place * slotWidth + 1]!;
    chunk.set(bytes.subarray(place * slotBytes, place * slotBytes + length));
    d.sink.start();
    const whole = readBlob(c, chunk.subarray(0, length), slots[place * slotWidth + 2]!, d.sink);
    if (whole) d.keep();
    Atomics.store(slots, place * slotWidth, whole ? slot.free : slot.broken);
  }
  for (const { part, rows, sum } of d.total.digests()) {
    ring.rows[part] = rows;
    ring.sums[part] = sum;
  }
};

let done = 2;
try {
  work();
  done = 1;
} finally {
  Atomics.store(control, at.done, done);
  Atomics.notify(control, at.done);
}
