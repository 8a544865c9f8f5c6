import { hashed } from '../../lib/lookup3.ts';
import { halves } from '../../model/hash/column-hash.ts';
import { rowHasher } from '../../model/hash/row-hash.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import type { HashBatch } from '../../model/reader.ts';
import type { Cell, Key } from '../../model/row.ts';
import type { Segment, SelectedColumn, Selection } from '../../model/selected.ts';
import { readInteger } from '../sql/read-bytes.ts';
import { type Framed, framed, mostRows, type Sink, type Walk, walk } from './chunks.ts';
import { separator } from './frame.ts';
import { BrokenFrame, cellAt, locate } from './frame-cursor.ts';
import { frameHashing, hashFrame } from './frame-hash.ts';
import { keyBinds } from './key-order.ts';
import { isRowid, orderOf, planRead, type ReadPlan } from './read-plan.ts';
import type { Snapshot } from './reading.ts';
import { type Meter, refuseNullKey } from './scan.ts';

/** `key > bound`, column by column. */
const keyAfter = (expressions: readonly string[], columns: readonly SelectedColumn[]): string => {
  const from = (i: number): string => {
    const value = binary.has(columns[i]!.as.kind) ? '?' : 'cast(? as text)';
    return i === expressions.length - 1
      ? `${expressions[i]} > ${value}`
      : `${expressions[i]} >= ${value} and (${expressions[i]} > ${value} or (${from(i + 1)}))`;
  };
  return from(0);
};

/** Kinds whose keys are bound as they are; other keys are text, perhaps as bytes. */
const binary = new Set<string>(['int', 'decimal', 'float', 'bool', 'bytes']);

/** Keys of a chunk, as they come. */
interface Keys {
  clear(): void;
  add(key: Key): void;
  last(): Key;
  batch(count: number): HashBatch['keys'];
}

const noKey: Key = [];

/** A single integer key, packed, taken from `halves`. A plain key is always an integer (see `key-order.ts`). */
const intKeys = (): Keys => {
  const words = new Int32Array(2 * mostRows);
  const values = new BigInt64Array(words.buffer);
  let n = 0;
  return {
    clear: () => {
      n = 0;
    },
    add: () => {
      words[2 * n] = halves[1]!;
      words[2 * n + 1] = halves[0]!;
      n++;
    },
    last: () => [String(values[n - 1]!) as Cell],
    batch: (count) => ({ kind: 'int64', values: values.slice(0, count) }),
  };
};

const cellKeys = (): Keys => {
  let keys: Key[] = [];
  return {
    clear: () => {
      keys = [];
    },
    add: (key) => void keys.push(key),
    last: () => keys.at(-1)!,
    batch: () => ({ kind: 'keys', values: keys }),
  };
};

/** Rows that are looked up by the rowid: all by one statement. */
const planRowids = (s: Snapshot, selection: Selection, keys: readonly Key[]): ReadPlan | undefined => {
  if (selection.columns[0]!.as.kind !== 'int' || !isRowid(s, selection)) return undefined;
  const order = orderOf(s.db, selection, s.orders);
  const numbers = keys.flatMap((key) => keyBinds(selection, key, s.db)?.map((b) => b.value) ?? []);
  if (!numbers.every((n) => typeof n === 'bigint')) return undefined;
  const sql = `${order.expressions[0]} in (select value from json_each(?))`;
  return { order, pieces: [{ sql, values: [`[${numbers.join(',')}]`] }], lookup: true };
};

/**
 * Keys and hashes in key order from frames; undefined when this segment cannot be read so: it needs an order that
 * SQLite's own is, and pieces that are ranges of it.
 */
export const hashesOfFrames = (
  s: Snapshot,
  selection: Selection,
  segment: Segment,
  hash: HashSpec,
  meter: Meter,
): Generator<HashBatch> | undefined => {
  if (selection.keyWidth === 0) return undefined;
  const plan =
    segment.kind === 'keys' ? planRowids(s, selection, segment.keys) : planRead(s.db, selection, segment, s.orders);
  if (plan === undefined) return undefined;
  if (!plan.order.plain || plan.keep) return undefined;
  const f = framed(s, selection, hash);
  return f && stream(s, selection, f, plan, hash, meter);
};

function* stream(
  s: Snapshot,
  selection: Selection,
  f: Framed,
  plan: ReadPlan,
  hash: HashSpec,
  meter: Meter,
): Generator<HashBatch> {
  const { columns, keyWidth } = selection;
  const hashing = frameHashing(columns, f.frames, 'row', hash);
  const slow = rowHasher(columns, keyWidth, hash);
  const isInt = keyWidth === 1 && columns[0]!.as.kind === 'int';
  const keys = isInt ? intKeys() : cellKeys();
  const hashes = new Int32Array(2 * mostRows);
  let rows = 0;
  const keep = (high: number, low: number): void => {
    hashes[2 * rows] = high;
    hashes[2 * rows + 1] = low;
    rows++;
  };
  const sink: Sink = {
    start: () => {
      rows = 0;
      keys.clear();
    },
    frame: (c) => {
      const begin = c.at;
      // A key that a plain one cannot be: what is framed here is not what it seems, or the row breaks the rules.
      if (isInt) {
        if (c.bytes[readInteger(c.bytes, begin)] !== separator) throw new BrokenFrame();
        keys.add(noKey);
      } else {
        const key: Cell[] = [];
        for (let i = 0; i < keyWidth; i++) {
          locate(c, f.frames[i]!.kind);
          if (c.start < 0) throw new BrokenFrame();
          key.push(cellAt(columns[i]!, f.frames[i]!, c));
        }
        c.at = begin;
        keys.add(key);
      }
      hashFrame(c, hashing);
      keep(hashed[0]!, hashed[1]!);
    },
    row: (row) => {
      refuseNullKey(selection, row);
      if (isInt) {
        const key = BigInt(row[0]!);
        halves[0] = Number(BigInt.asIntN(32, key >> 32n));
        halves[1] = Number(BigInt.asIntN(32, key));
      }
      keys.add(isInt ? noKey : row.slice(0, keyWidth));
      slow.hash(row);
      keep(slow.out[0]!, slow.out[1]!);
    },
    last: () => {
      const binds = keyBinds(selection, keys.last(), s.db)!.map((b) => b.value);
      // Each bound but the last is compared twice (see `keyAfter`).
      return binds.flatMap((value, i) => (i === binds.length - 1 ? [value] : [value, value]));
    },
  };
  const { expressions } = plan.order;
  // Rows that are looked up are found by what is looked for, never by going through all that come after the last one.
  const after = `${plan.lookup ? '+' : ''}${keyAfter(expressions, columns)}`;
  const order: Walk = { order: expressions.join(', '), after };
  for (const piece of plan.pieces) {
    for (const count of walk(s, selection, f, order, piece, sink, meter)) {
      yield { count, keys: keys.batch(count), hashes: hashes.slice(0, 2 * count) };
    }
  }
}
