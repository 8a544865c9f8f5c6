import { LockstepError } from '../model/errors.ts';
import { rowHasher } from '../model/hash/row-hash.ts';
import type { HashSpec } from '../model/hash/spec.ts';
import type { Reader } from '../model/reader.ts';
import type { Key } from '../model/row.ts';
import { tableLabel } from '../model/schema.ts';
import type { Segment } from '../model/selected.ts';
import { keyTypes } from '../model/selection.ts';
import { type Candidate, inSource, inTarget } from './candidates.ts';
import { both } from './concurrent.ts';
import type { Side, Sides, Work } from './context.ts';
import { namedKey } from './key.ts';
import type { Hit } from './reread.ts';
import { asKey, readRuns } from './runs.ts';

/** So many rows of a side are looked for again, of each second reading. */
const most = 1000;

/** Rows that a side showed at first, and not when they were looked for by their keys. */
export interface Gone {
  note(c: Candidate, source: Hit | null, target: Hit | null): void;
  /** Looks for them in another way, in the same snapshots. Throws INTERNAL when one is there. */
  check(readers: Sides<Reader>): Promise<void>;
}

/**
 * A row that was there and is not found by its key has been deleted since, or the database was asked for another key than it
 * has. The second would hide a difference, so the keys of all rows are read, by buckets of their hashes. For comparisons
 * that read whole tables: one that looks keys up from the start has found them by their keys before.
 */
export const lookForGone = (work: Work, spec: HashSpec): Gone => {
  const { selections, signal, pair } = work;
  const keys = { source: [] as Key[], target: [] as Key[] };
  const note = (side: Side, c: Candidate): void => {
    if (keys[side].length < most) keys[side].push(asKey(c.key, pair.keyWidth));
  };

  const check = async (reader: Reader, side: Side, s: AbortSignal): Promise<void> => {
    const gone = keys[side];
    keys[side] = [];
    const selection = { ...selections[side], columns: selections[side].columns.slice(0, pair.keyWidth) };
    const { hashing } = reader;
    if (gone.length === 0 || selection.columns.some((c) => hashing?.supports(c) === undefined)) return;
    const own = hashing!.forms.includes(spec.form) ? spec : { seed: spec.seed, form: hashing!.forms[0]! };
    const hasher = rowHasher(selection.columns, pair.keyWidth, own);
    const partition = { by: 'hash', count: 2 ** 32, hash: own } as const;
    const parts = [...new Set(gone.map((key) => hasher.bucket(key, partition.count)))];
    const segment: Segment = { kind: 'parts', partition, parts };
    const names = new Set(gone.map((key) => JSON.stringify(key)));
    const reading = { form: { kind: 'rows' }, types: keyTypes(selection), onNullKey: () => {} } as const;
    for await (const { keys: rows, start, end } of readRuns(reader, selection, segment, reading, s))
      for (let i = start; i < end; i++) if (names.has(JSON.stringify(rows![i]))) throw notFound(work, side, rows![i]!);
  };

  return {
    note: (c, source, target) => {
      if (c.sides & inSource && source === null) note('source', c);
      if (c.sides & inTarget && target === null) note('target', c);
    },
    check: async (readers) => {
      await both(
        signal,
        (s) => check(readers.source, 'source', s),
        (s) => check(readers.target, 'target', s),
      );
    },
  };
};

const notFound = ({ pair, endpoints, selections }: Work, side: Side, key: Key): LockstepError => {
  return new LockstepError(
    'INTERNAL',
    `${pair.name}: ${endpoints[side].name} does not find the row ${namedKey(pair, key, side)} of ${tableLabel(selections[side].table)} by its key, and it is there`,
    {
      side: endpoints[side].name,
      hint: 'Nothing was decided about it. Please report this with the type of the key and the engine version.',
    },
  );
};
