import type { Agreed } from '../../model/archive.ts';
import type { Cancel } from '../../model/cancel.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import { rowHasher } from '../../model/hash/row-hash.ts';
import { compareKeys } from '../../model/order.ts';
import type { Pair } from '../../model/pair.ts';
import type { Reader } from '../../model/reader.ts';
import type { Batch, Key, Row } from '../../model/row.ts';
import type { Selection } from '../../model/selected.ts';
import { keyTypes, pairSelection } from '../../model/selection.ts';
import { both } from '../concurrent.ts';
import type { Side, Sides } from '../context.ts';
import { valueKeys } from '../lists.ts';
import type { Reading } from '../runs.ts';
import type { Met } from './options.ts';
import type { PairArchive } from './pair-archive.ts';
import { type Hashed, rowRuns } from './rows-and-hashes.ts';
import { waysUnder } from './ways.ts';

/** What both sides are taken to have agreed on for a key: both rows; or, where one is null, nothing: the key is forgotten. */
export interface AgreedRow {
  readonly key: Key;
  readonly source: Row | null;
  readonly target: Row | null;
}

export interface KeepOptions extends Cancel {
  readonly pair: Pair;
  readonly archive: PairArchive;
  /** The run that agrees, and when: milliseconds since 1970. */
  readonly run: string;
  readonly at: number;
}

/** Makes what is kept of a row; `hashes` of the rows as the sides make them. */
const agreedWith = (o: KeepOptions): ((row: AgreedRow, hashes: Sides<bigint | null>) => Agreed) => {
  const { archive, cells } = o.archive;
  const hasher = rowHasher(pairSelection(o.pair, 'source').columns, o.pair.keyWidth, archive.facts.hash);
  return ({ key, source, target }, hashes) => {
    const keyHash = hasher.key(key);
    if (source === null || target === null) return { key, keyHash, base: null, source: null, target: null };
    const base = { source: cells.of(source), target: cells.of(target), at: o.at, run: o.run };
    return { key, keyHash, base, ...hashes };
  };
};

/** Takes down rows as a detection handed them on, with the hashes that it saw: what the sides show alike. */
export const keepSeen = async (o: KeepOptions, rows: Batch<Met>): Promise<void> => {
  const agreed = agreedWith(o);
  await o.archive.archive.keep(
    rows.map((row) => agreed(row, row.seen)),
    o,
  );
};

/**
 * Takes down what both sides are taken to have agreed on, as after writing to them. Every row is read again, in one
 * snapshot of each side: where it is what was agreed its hash is kept, so that it counts as unchanged; where it is not,
 * or not any more, a hash that no row has, so that it is looked at again. `random`: 64 bits.
 */
export const keepAgreed = async (
  o: KeepOptions & { readonly endpoints: Sides<Endpoint>; readonly random: () => bigint },
  batches: AsyncIterable<Batch<AgreedRow>> | Iterable<Batch<AgreedRow>>,
): Promise<void> => {
  const { pair, endpoints, signal } = o;
  const { archive } = o.archive;
  const [source, target] = await both(
    signal,
    (s) => endpoints.source.snapshot({ signal: s }),
    (s) => endpoints.target.snapshot({ signal: s }),
  );
  await using _source = source;
  await using _target = target;
  const readers = { source, target };
  const ways = waysUnder(pair, readers, archive.facts.hash.form);
  const agreed = agreedWith(o);
  const types = keyTypes(pairSelection(pair, 'source'));
  for await (const batch of batches) {
    // of keys that come twice the last one counts
    const rows = [...new Map(batch.map((row) => [JSON.stringify(row.key), row])).values()];
    rows.sort((a, b) => compareKeys(types, a.key, b.key));
    for (let i = 0; i < rows.length; i += valueKeys) {
      const some = rows.slice(i, i + valueKeys);
      const there = some.filter((r) => r.source !== null && r.target !== null);
      const hashesOf = (side: Side, s: AbortSignal): Promise<ReadonlyMap<string, bigint>> =>
        matching(
          readers[side],
          pairSelection(pair, side),
          { way: ways[side], spec: archive.facts.hash },
          new Map(there.map((r) => [JSON.stringify(r.key), r[side]!])),
          there.map((r) => r.key),
          s,
        );
      const [s, t] = await both(
        signal,
        (x) => hashesOf('source', x),
        (x) => hashesOf('target', x),
      );
      const orOther = (hash: bigint | undefined): bigint => hash ?? BigInt.asIntN(64, o.random());
      await archive.keep(
        some.map((row) => {
          const name = JSON.stringify(row.key);
          return agreed(row, { source: orOther(s.get(name)), target: orOther(t.get(name)) });
        }),
        { signal },
      );
    }
  }
};

/** The hashes of those rows that are exactly what is wanted, by key. */
const matching = async (
  reader: Reader,
  selection: Selection,
  hashed: Hashed,
  wanted: ReadonlyMap<string, Row>,
  keys: readonly Key[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, bigint>> => {
  const found = new Map<string, bigint>();
  if (keys.length === 0) return found;
  const reading: Reading = { form: { kind: 'rows' }, types: keyTypes(selection) };
  for await (const run of rowRuns(reader, selection, { kind: 'keys', keys }, hashed, reading, signal)) {
    for (let i = run.start; i < run.end; i++) {
      const row = run.keys![i]!;
      const name = JSON.stringify(row.slice(0, selection.keyWidth));
      const want = wanted.get(name);
      const isDouble = run.repeats?.has(i) === true;
      if (!isDouble && want?.length === row.length && want.every((cell, c) => cell === row[c]))
        found.set(name, (BigInt(run.prints![2 * i]!) << 32n) | BigInt(run.prints![2 * i + 1]! >>> 0));
    }
  }
  return found;
};
