import { hashed } from '../../lib/lookup3.ts';
import { halves } from '../../model/hash/column-hash.ts';
import { partOf } from '../../model/hash/part-of.ts';
import { rowHasher } from '../../model/hash/row-hash.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import type { Digest } from '../../model/reader.ts';
import type { Partition, Selection } from '../../model/selected.ts';
import { readInteger } from '../sql/read-bytes.ts';
import { findTable, rowidName } from './catalogue.ts';
import { type Framed, framed, mostRows, type Sink, walk } from './chunks.ts';
import { type Sums, sums } from './digest.ts';
import { separator } from './frame.ts';
import { type Cursor, cellAt, locate } from './frame-cursor.ts';
import { frameHashing, hashFrame } from './frame-hash.ts';
import type { Helper, HelperTask } from './hash-helper.ts';
import type { Snapshot } from './reading.ts';
import type { Meter } from './scan.ts';

/** The part of an integer key, in two halves, in a range partition. */
const rangePartOf = (p: Extract<Partition, { by: 'range' }>): ((high: number, low: number) => number) => {
  const origin = Number(p.origin);
  const width = Number(p.width);
  const small = Number.isSafeInteger(origin) && Number.isSafeInteger(width);
  return (high, low) => {
    const key = high * 4_294_967_296 + (low >>> 0);
    const distance = key - origin;
    if (small && Number.isSafeInteger(key) && Number.isSafeInteger(distance)) {
      return distance < 0 ? 0 : Math.min(p.count - 1, Math.floor(distance / width));
    }
    const exact = ((BigInt(high) << 32n) | BigInt(low >>> 0)) - p.origin;
    const part = exact / p.width;
    return exact < 0n ? 0 : part >= BigInt(p.count) ? p.count - 1 : Number(part);
  };
};

/** Finds the part of the framed row that begins at the cursor, and leaves the cursor there. */
const framePart = (
  selection: Selection,
  { frames }: Framed,
  partition: Partition | undefined,
): ((c: Cursor) => number) => {
  if (partition === undefined) return () => 0;
  const { columns } = selection;
  if (partition.by === 'range') {
    const inRange = rangePartOf(partition);
    const slow = partOf(selection, partition);
    const numeric = frames[0]!.kind === 'number';
    return (c) => {
      const begin = c.at;
      if (numeric && c.bytes[readInteger(c.bytes, begin)] === separator) return inRange(halves[0]!, halves[1]!);
      locate(c, frames[0]!.kind);
      c.at = begin;
      return slow([cellAt(columns[0]!, frames[0]!, c)]);
    };
  }
  const keys = frameHashing(columns.slice(0, selection.keyWidth), frames, 'key', partition.hash);
  return (c) => {
    const begin = c.at;
    hashFrame(c, keys);
    c.at = begin;
    return (hashed[1]! >>> 0) % partition.count;
  };
};

/** What hashes the rows of a selection, chunk by chunk. */
export interface Digesting {
  readonly sink: Sink;
  /** The chunk was read to its end: its rows count. */
  keep(): void;
  readonly total: Sums;
}

/** Sums of the hashes of a selection's rows. What it takes can be sent to another thread. */
export const digesting = (
  selection: Selection,
  f: Framed,
  partition: Partition | undefined,
  hash: HashSpec,
): Digesting => {
  const hashing = frameHashing(f.columns, f.frames, 'row', hash);
  const part = framePart(selection, f, partition);
  const slowHash = rowHasher(f.columns, selection.keyWidth, hash);
  const slowPart = partOf(selection, partition);
  const hashes = new Int32Array(2 * mostRows);
  const parts = new Int32Array(mostRows);
  const total = sums(partition);
  let rows = 0;
  const add = (p: number, high: number, low: number): void => {
    parts[rows] = p;
    hashes[2 * rows] = high;
    hashes[2 * rows + 1] = low;
    rows++;
  };
  return {
    total,
    keep: () => {
      for (let i = 0; i < rows; i++) total.add(parts[i]!, hashes[2 * i]!, hashes[2 * i + 1]!);
      rows = 0;
    },
    sink: {
      start: () => {
        rows = 0;
      },
      frame: (c) => {
        const p = part(c);
        hashFrame(c, hashing);
        add(p, hashed[0]!, hashed[1]!);
      },
      row: (row) => {
        const p = slowPart(row);
        slowHash.hash(row);
        add(p, slowHash.out[0]!, slowHash.out[1]!);
      },
      last: (greatest) => [greatest as bigint],
    },
  };
};

/**
 * One pass in rowid order; undefined when this selection cannot be read as frames. `beside`: a second thread that hashes
 * some of what this one reads.
 */
export const digestOfFrames = (
  s: Snapshot,
  selection: Selection,
  partition: Partition | undefined,
  hash: HashSpec,
  meter: Meter,
  beside?: (given: HelperTask) => Helper | undefined,
): readonly Digest[] | undefined => {
  const rowid = rowidName(findTable(s.db, selection.table.name));
  const f = framed(s, selection, hash);
  if (rowid === undefined || f === undefined) return undefined;
  const d = digesting(selection, f, partition, hash);
  using helper = beside?.({ selection, framed: f, partition, hash });
  const mend = (): void => {
    for (const again of helper?.broken() ?? []) {
      again();
      d.keep();
    }
  };
  const order = { number: rowid, order: rowid, after: `${rowid} > ?` };
  for (const _ of walk(s, selection, f, order, { sql: '', values: [] }, d.sink, meter, helper?.hand)) {
    d.keep();
    mend();
  }
  helper?.finish(d.total);
  mend();
  return d.total.digests();
};
