import { LockstepError } from '../model/errors.ts';
import { rowHasher } from '../model/hash/row-hash.ts';
import type { HashSpec } from '../model/hash/spec.ts';
import type { Reader } from '../model/reader.ts';
import type { Key, Row } from '../model/row.ts';
import type { ColumnType } from '../model/schema.ts';
import type { Segment } from '../model/selected.ts';
import { keyTypes } from '../model/selection.ts';
import type { Candidate, Candidates } from './candidates.ts';
import type { Sides, Work } from './context.ts';
import { mergeRuns } from './merge.ts';
import { type Reading, readRuns } from './runs.ts';

/** The type of a key that is known by its hash only. */
export const hashTypes: readonly ColumnType[] = [{ kind: 'int', bits: 64 }];

/** Entries that one scan looks for. */
export const mostSought = 200_000;

/** Two keys of one side share a hash: rows could be paired wrongly, so nothing is decided. */
export const sharedHash = (pair: string): never => {
  throw new LockstepError('INTERNAL', `${pair}: two keys have the same 64-bit hash, so rows cannot be paired by it`, {
    hint: 'This is chance, about one in a million runs over millions of rows. Run it again: another hash is drawn.',
  });
};

/**
 * Finds the rows of entries (`mostSought` at most) that are known by the hashes of their keys, by one scan of each side,
 * in key order. Throws when one is not found: it was there in the same snapshot.
 */
export const findByKeyHash = async (
  work: Work,
  readers: Sides<Reader>,
  spec: HashSpec,
  entries: Candidates,
  found: (entry: Candidate, key: Key, source: Row | undefined, target: Row | undefined) => Promise<void> | undefined,
): Promise<void> => {
  if (entries.count === 0) return;
  const { selections, signal, pair } = work;
  const types = keyTypes(selections.source);
  const width = pair.keyWidth;
  const hasher = rowHasher(selections.source.columns, width, spec);
  const wanted = new Map<bigint, Candidate>();
  for (const c of entries.entries()) {
    wanted.set(c.key as bigint, { ...c, source: { ...c.source }, target: { ...c.target } });
  }
  const reading: Reading = { form: { kind: 'rows' }, types };
  let ready: [Candidate, Row | undefined, Row | undefined][] = [];
  const met = (source: Row | undefined, target: Row | undefined): void => {
    const hash = hasher.key((source ?? target)!);
    const entry = wanted.get(hash);
    if (!entry) return;
    wanted.delete(hash);
    ready.push([entry, source, target]);
  };
  const handOn = async (): Promise<void> => {
    const rows = ready;
    ready = [];
    for (const [entry, source, target] of rows) {
      const pause = found(entry, (source ?? target)!.slice(0, width), source, target);
      if (pause) await pause;
    }
  };
  await mergeRuns(
    types,
    (side, s) => readRuns(readers[side], selections[side], segmentOf(wanted.keys(), spec), reading, s),
    {
      same: (a, i, b, j) => {
        met(a.keys![i]!, b.keys![j]!);
        return true;
      },
      unequal: (_, a, i, b, j) => met(a?.keys?.[i], b?.keys?.[j]),
      duplicate: () => {
        throw lost(pair.name);
      },
      breathe: () => (ready.length > 0 ? handOn() : undefined),
    },
    signal,
  );
  await handOn();
  if (wanted.size > 0) throw lost(pair.name);
};

/** The rows whose key hashes end in the same 32 bits: the wanted ones, and hardly any other. */
const segmentOf = (hashes: Iterable<bigint>, hash: HashSpec): Segment => {
  const parts = [...new Set(Array.from(hashes, (h) => Number(BigInt.asUintN(32, h))))];
  return { kind: 'parts', partition: { by: 'hash', count: 2 ** 32, hash }, parts };
};

const lost = (pair: string): LockstepError =>
  new LockstepError('INTERNAL', `${pair}: a row was not found again by the hash of its key in the same snapshot`, {
    hint: 'Nothing was decided about it. Please report this with the key type and the engine versions.',
  });
