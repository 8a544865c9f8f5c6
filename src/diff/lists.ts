import { isMisfit } from '../model/canon/misfit.ts';
import type { Key } from '../model/row.ts';
import type { Segment } from '../model/selected.ts';
import type { Candidate, Candidates } from './candidates.ts';
import { asKey } from './runs.ts';

/** Keys per look-up of hashes, and of values. */
export const hashKeys = 4000;
export const valueKeys = 1000;

export interface KeyBatch {
  readonly entries: readonly Candidate[];
  readonly keys: readonly Key[];
  readonly segment: Segment;
}

/** Cuts a list into batches of keys. The entries are copies: the list hands out one reused object. */
export function* keyBatches(list: Candidates, size: number, width: number): Generator<KeyBatch> {
  let entries: Candidate[] = [];
  const batch = (): KeyBatch => {
    const keys = entries.map((c) => asKey(c.key, width));
    return { entries, keys, segment: { kind: 'keys', keys } };
  };
  for (const c of list.entries()) {
    entries.push(copyOf(c));
    if (entries.length === size) {
      yield batch();
      entries = [];
    }
  }
  if (entries.length > 0) yield batch();
}

export const copyOf = (c: Candidate): Candidate => ({ ...c, source: { ...c.source }, target: { ...c.target } });

/** The first entry of a list and the last one; undefined: it has none. */
export const ends = (list: Candidates): readonly [Candidate, Candidate] | undefined => {
  let first: Candidate | undefined;
  let last: Candidate | undefined;
  for (const c of list.entries()) {
    first ??= copyOf(c);
    last = c;
  }
  return first && last && [first, copyOf(last)];
};

/** Can a database be asked for what comes from a key on? Where it keeps a value that its type cannot be read as, it cannot. */
export const isBound = (key: Key): boolean => !key.some((cell) => cell !== null && isMisfit(cell));

/** From the first key of the list to the end of the table: whoever reads it stops after the last key. */
export const wholeRange = (list: Candidates, width: number): Segment => {
  for (const c of list.entries()) {
    const from = asKey(c.key, width);
    return isBound(from) ? { kind: 'range', from } : { kind: 'all' };
  }
  return { kind: 'keys', keys: [] };
};

/** From the first to the last key of a list whose keys are hashes: they are sorted by whoever reads them, once all are read. */
export const hashRange = (list: Candidates): Segment => {
  const found = ends(list);
  if (found === undefined) return { kind: 'keys', keys: [] };
  const [from, last] = found.map((c) => c.key as bigint) as [bigint, bigint];
  return { kind: 'range', from: asKey(from, 1), ...(last === 2n ** 63n - 1n ? {} : { to: asKey(last + 1n, 1) }) };
};
