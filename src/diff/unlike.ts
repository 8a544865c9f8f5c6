import type { HashSpec } from '../model/hash/spec.ts';
import { compareKeys } from '../model/order.ts';
import type { LooseBatch, Reader } from '../model/reader.ts';
import type { Key } from '../model/row.ts';
import type { Segment } from '../model/selected.ts';
import { keyTypes } from '../model/selection.ts';
import { both } from './concurrent.ts';
import type { Side, Sides, Work } from './context.ts';
import type { Run } from './runs.ts';

/** Up to so many rows of both sides are held at once, and so many bytes of keys on each. */
const mostRows = 1_000_000;
const mostBytes = 24 * 1024 * 1024;

/** Some rows of both sides, without those that both have. */
export interface Unlike {
  /** As they were read. */
  readonly rows: Sides<number>;
  /** Pairs of rows that both sides have. */
  readonly identical: number;
  /** What is left of each side, in key order. */
  readonly left: Sides<Run>;
}

/**
 * Takes the rows out that both sides have, by the hashes of whole rows (their keys are part of them), before the keys of
 * the rest are read and put in order: for parts that hold few differences among many rows. Undefined: that many rows are
 * not held here, or a side only delivers them in order.
 */
export const unlikeRows = async (
  work: Work,
  readers: Sides<Reader>,
  segment: Segment,
  spec: HashSpec,
  expected: number,
): Promise<Unlike | undefined> => {
  const { selections, signal } = work;
  const [s, t] = [readers.source.hashing!, readers.target.hashing!];
  if (s.loose === undefined || t.loose === undefined || expected > mostRows) return undefined;
  const read = async (side: Side, x: AbortSignal): Promise<Held | undefined> => {
    const batches: LooseBatch[] = [];
    let bytes = 0;
    for await (const batch of readers[side].hashing!.loose!(selections[side], segment, spec, { signal: x })) {
      bytes += batch.bytes;
      if (bytes <= mostBytes) batches.push(batch);
      // to the end all the same: whoever stops a statement may lose the snapshot, which is wanted still
      else batches.length = 0;
    }
    return bytes <= mostBytes ? held(batches) : undefined;
  };
  const [source, target] = await both(
    signal,
    (x) => read('source', x),
    (x) => read('target', x),
  );
  if (source === undefined || target === undefined) return undefined;
  const identical = takeOut(source, target);
  const types = keyTypes(selections.source);
  const order = (a: Key, b: Key): number => compareKeys(types, a, b);
  return {
    rows: { source: source.count, target: target.count },
    identical,
    left: { source: remaining(source, order), target: remaining(target, order) },
  };
};

/** The rows of one side; `isOut` marks those that the other side has. */
interface Held {
  readonly count: number;
  readonly batches: readonly LooseBatch[];
  readonly hashes: Int32Array;
  readonly isOut: Uint8Array;
}

const held = (batches: readonly LooseBatch[]): Held => {
  const count = batches.reduce((n, b) => n + b.count, 0);
  const hashes = new Int32Array(2 * count);
  let at = 0;
  for (const batch of batches) {
    hashes.set(batch.hashes.subarray(0, 2 * batch.count), at);
    at += 2 * batch.count;
  }
  return { count, batches, hashes, isOut: new Uint8Array(count) };
};

/** Marks the rows of one hash on both sides, one by one; returns how many pairs. */
const takeOut = (source: Held, target: Held): number => {
  let slots = 1024;
  while (slots < source.count) slots *= 2;
  // lists of the source's rows by the low bits of their hashes: 1 is row 0, and 0 ends a list
  const first = new Int32Array(slots);
  const next = new Int32Array(source.count);
  const a = source.hashes;
  const b = target.hashes;
  for (let i = 0; i < source.count; i++) {
    const slot = a[2 * i + 1]! & (slots - 1);
    next[i] = first[slot]!;
    first[slot] = i + 1;
  }
  let pairs = 0;
  for (let j = 0; j < target.count; j++) {
    let i = first[b[2 * j + 1]! & (slots - 1)]! - 1;
    while (i >= 0 && (source.isOut[i] !== 0 || a[2 * i] !== b[2 * j] || a[2 * i + 1] !== b[2 * j + 1]))
      i = next[i]! - 1;
    if (i < 0) continue;
    source.isOut[i] = 1;
    target.isOut[j] = 1;
    pairs++;
  }
  return pairs;
};

const remaining = ({ batches, hashes, isOut }: Held, order: (a: Key, b: Key) => number): Run => {
  const rows: { readonly key: Key; readonly i: number }[] = [];
  let i = 0;
  for (const batch of batches)
    for (let n = 0; n < batch.count; n++, i++) if (isOut[i] === 0) rows.push({ key: batch.key(n), i });
  rows.sort((x, y) => order(x.key, y.key));
  return {
    start: 0,
    end: rows.length,
    keys: rows.map((r) => r.key),
    hashes: Int32Array.from(rows.flatMap((r) => [hashes[2 * r.i]!, hashes[2 * r.i + 1]!])),
  };
};
