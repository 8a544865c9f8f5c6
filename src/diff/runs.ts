import { LockstepError } from '../model/errors.ts';
import type { HashSpec } from '../model/hash/spec.ts';
import { compareKeys } from '../model/order.ts';
import type { Reader } from '../model/reader.ts';
import type { Cell, Key, Row, Text } from '../model/row.ts';
import { type ColumnType, tableLabel } from '../model/schema.ts';
import type { Segment, Selection } from '../model/selected.ts';
import { ahead } from './concurrent.ts';

/** What is read of each row: its hash (by its key, or by the hash of its key), its cells, or (without a key) each distinct row with its count. */
export type Form =
  | { readonly kind: 'hash'; readonly spec: HashSpec }
  | { readonly kind: 'key_hash'; readonly spec: HashSpec }
  | { readonly kind: 'rows' }
  | { readonly kind: 'multiset' };

/**
 * Rows of one side in key order: those from `start` to before `end`. Either `int64` or `keys` is there; with cells,
 * `keys` holds the whole rows (the key is their prefix).
 */
export interface Run {
  readonly start: number;
  readonly end: number;
  readonly int64?: BigInt64Array;
  readonly keys?: readonly Key[];
  readonly hashes?: Int32Array;
  /** Like `hashes`, beside whole rows: each side by a hash of its own, so that those of the two are never compared. */
  readonly prints?: Int32Array;
  /** First row of each key that occurs more than once: how many rows it has in all, and where the next key starts. */
  readonly repeats?: ReadonlyMap<number, { readonly rows: number; readonly next: number }>;
}

/** A key as it was delivered: a single 64-bit integer, or cells (possibly more than the key's). */
export type AnyKey = bigint | Key;

export const keyAt = (run: Run, i: number): AnyKey => (run.int64 ? run.int64[i]! : run.keys![i]!);

export const asKey = (key: AnyKey, width: number): Key =>
  typeof key === 'bigint' ? [String(key) as Text] : key.length === width ? key : key.slice(0, width);

export const compareAny = (types: readonly ColumnType[], a: AnyKey, b: AnyKey): number => {
  if (typeof a === 'bigint' && typeof b === 'bigint') return a < b ? -1 : a > b ? 1 : 0;
  // Only as many cells are looked at as there are types.
  return compareKeys(types, typeof a === 'bigint' ? asKey(a, 1) : a, typeof b === 'bigint' ? asKey(b, 1) : b);
};

/** What the merge and the confirmation need to know of how a side is read. */
export interface Reading {
  readonly form: Form;
  /** Types of the key's cells; of all cells without a key. */
  readonly types: readonly ColumnType[];
  /** Present where a key may hold a NULL: such rows cannot be paired, so they are taken out and counted. The example may have more cells than its key. */
  readonly onNullKey?: (rows: number, example: Key) => void;
}

const delivered = async function* (
  reader: Reader,
  selection: Selection,
  segment: Segment,
  form: Form,
  signal: AbortSignal,
): AsyncGenerator<Run> {
  if (form.kind === 'hash' || form.kind === 'key_hash') {
    const hashing = reader.hashing!;
    const batches =
      form.kind === 'hash'
        ? hashing.hashes(selection, segment, form.spec, { signal })
        : hashing.byKeyHash!(selection, segment, form.spec, { signal });
    for await (const batch of batches) {
      const common = { start: 0, end: batch.count, hashes: batch.hashes };
      yield batch.keys.kind === 'int64'
        ? { ...common, int64: batch.keys.values }
        : { ...common, keys: batch.keys.values };
    }
  } else {
    for await (const rows of reader.scan(selection, segment, { signal }))
      yield { start: 0, end: rows.length, keys: rows };
  }
};

const hasNull = (key: Key, width: number): boolean => {
  for (let i = 0; i < width; i++) if (key[i] === null) return true;
  return false;
};

const withoutNullKeys = (run: Run, reading: Reading): Run => {
  const { keys, hashes, prints } = run;
  const width = reading.types.length;
  if (!reading.onNullKey || !keys?.some((key) => hasNull(key, width))) return run;
  const kept: Key[] = [];
  const keptHashes: number[] = [];
  const keptPrints: number[] = [];
  let nulls = 0;
  let example: Key | undefined;
  for (let i = run.start; i < run.end; i++) {
    if (hasNull(keys[i]!, width)) {
      nulls++;
      example ??= keys[i]!;
    } else {
      kept.push(keys[i]!);
      if (hashes) keptHashes.push(hashes[2 * i]!, hashes[2 * i + 1]!);
      if (prints) keptPrints.push(prints[2 * i]!, prints[2 * i + 1]!);
    }
  }
  reading.onNullKey(nulls, example!);
  return {
    start: 0,
    end: kept.length,
    keys: kept,
    ...(hashes ? { hashes: Int32Array.from(keptHashes) } : {}),
    ...(prints ? { prints: Int32Array.from(keptPrints) } : {}),
  };
};

/** Is `b` after `a` (positive), the same (0), or before it (negative: the side broke the order)? */
const step = (types: readonly ColumnType[], a: AnyKey, b: AnyKey): number => compareAny(types, b, a);

const ascendingText = (keys: readonly Key[], start: number, end: number): boolean => {
  // For text, JavaScript's order is the byte order wherever no surrogates are involved, and far cheaper to ask for.
  for (let i = start + 1; i < end; i++) if (!((keys[i - 1]![0] as string) < (keys[i]![0] as string))) return false;
  return true;
};

const byText = new Set(['text', 'uuid', 'bytes', 'enum', 'bit', 'interval', 'opaque', 'json']);

const strictlyAscending = (run: Run, types: readonly ColumnType[]): boolean => {
  if (run.int64) {
    const values = run.int64;
    for (let i = run.start + 1; i < run.end; i++) if (values[i]! <= values[i - 1]!) return false;
    return true;
  }
  return types.length === 1 && byText.has(types[0]!.kind) && ascendingText(run.keys!, run.start, run.end);
};

/**
 * Reads rows of one side in key order, checks that they are in that order (a merge of unordered rows would invent and
 * hide differences), and groups rows that share a key. Throws INTERNAL when the side breaks the order.
 */
export const readRuns = (
  reader: Reader,
  selection: Selection,
  segment: Segment,
  reading: Reading,
  signal: AbortSignal,
): AsyncGenerator<Run> => inOrder(delivered(reader, selection, segment, reading.form, signal), selection, reading);

/** The same of rows that were read otherwise. */
export async function* inOrder(runs: AsyncIterable<Run>, selection: Selection, reading: Reading): AsyncGenerator<Run> {
  const { types } = reading;
  const source = ahead(runs);
  const nextRun = async (): Promise<Run | undefined> => {
    for (;;) {
      const item = await source.next();
      if (item.done) return undefined;
      const run = reading.form.kind === 'multiset' ? item.value : withoutNullKeys(item.value, reading);
      if (run.end > run.start) return run;
    }
  };
  try {
    let run = await nextRun();
    while (run) {
      let next = await nextRun();
      const repeats = strictlyAscending(run, types) ? new Map() : findRepeats(run, types, selection);
      // A key may go on in the following batches.
      const lastStart = lastGroup(run, repeats);
      const last = keyAt(run, lastStart);
      let further = 0;
      while (next) {
        let i = next.start;
        while (i < next.end && compareAny(types, keyAt(next, i), last) === 0) i++;
        further += i - next.start;
        if (i < next.end) {
          if (step(types, last, keyAt(next, i)) < 0) throw outOfOrder(selection);
          next = i === next.start ? next : { ...next, start: i };
          break;
        }
        next = await nextRun();
      }
      if (further > 0) repeats.set(lastStart, { rows: run.end - lastStart + further, next: run.end });
      yield repeats.size > 0 ? { ...run, repeats } : run;
      run = next;
    }
  } finally {
    await source.return(undefined);
  }
}

type Repeats = Map<number, { rows: number; next: number }>;

const findRepeats = (run: Run, types: readonly ColumnType[], selection: Selection): Repeats => {
  const repeats: Repeats = new Map();
  let first = run.start;
  for (let i = run.start + 1; i <= run.end; i++) {
    const order = i === run.end ? 1 : step(types, keyAt(run, i - 1), keyAt(run, i));
    if (order === 0) continue;
    if (order < 0) throw outOfOrder(selection);
    if (i - first > 1) repeats.set(first, { rows: i - first, next: i });
    first = i;
  }
  return repeats;
};

const lastGroup = (run: Run, repeats: Repeats): number => {
  for (const [start, group] of repeats) if (group.next === run.end) return start;
  return run.end - 1;
};

export const outOfOrder = (selection: Selection): LockstepError =>
  new LockstepError(
    'INTERNAL',
    `rows of ${tableLabel(selection.table)} did not arrive in key order, so they cannot be compared`,
    {
      hint: 'Nothing was compared wrongly. Please report this with the column types of the key and the engine version.',
    },
  );

/** 64 bits that tell one state of a row from another between two reads of it. */
export interface Print {
  hi: number;
  lo: number;
}

/** The print of row `i`: its hash, a hash of its cells, or its count. */
export const printOf = (form: Form, run: Run, i: number, out: Print): void => {
  if (form.kind === 'hash' || form.kind === 'key_hash') {
    out.hi = run.hashes![2 * i]!;
    out.lo = run.hashes![2 * i + 1]!;
  } else if (form.kind === 'rows') {
    printCells(run.keys![i]!, out);
  } else {
    const count = countOf(run.keys![i]!);
    out.hi = Math.floor(count / 2 ** 32) | 0;
    out.lo = count | 0;
  }
};

/** Occurrences of a distinct row of a keyless table: its last cell. */
export const countOf = (row: Row): number => Number(row[row.length - 1]);

/** The count that a multiset's print holds. */
export const countIn = (print: Print): number => (print.hi >>> 0) * 2 ** 32 + (print.lo >>> 0);

/** Two multiply-xor hashes over framed UTF-16 units (after MurmurHash3's mixing): only ever compared with itself. */
const printCells = (row: readonly Cell[], out: Print): void => {
  let a = 0x9e3779b9 | 0;
  let b = 0x85ebca6b | 0;
  for (const cell of row) {
    const length = cell === null ? -1 : cell.length;
    a = Math.imul(a ^ length, 0xcc9e2d51);
    b = Math.imul(b ^ (length + 7), 0x1b873593);
    for (let i = 0; i < length; i++) {
      const unit = cell!.charCodeAt(i);
      a = Math.imul(a ^ unit, 0xcc9e2d51);
      a ^= a >>> 15;
      b = Math.imul(b ^ unit, 0x1b873593);
      b ^= b >>> 13;
    }
  }
  out.hi = a;
  out.lo = b;
};
