import type { Cancel } from '../model/cancel.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { Settled } from '../model/journal.ts';
import { judge } from '../model/judge.ts';
import type { Pair } from '../model/pair.ts';
import type { Plan } from '../model/plans.ts';
import type { Reader } from '../model/reader.ts';
import type { Progress } from '../model/report.ts';
import type { Key, Row } from '../model/row.ts';
import { pairSelection } from '../model/selection.ts';
import type { Store } from '../model/store.ts';
import { rejectionOf, sourceOf } from '../model/transform.ts';
import { asCompared } from '../plan/target-row.ts';

/** What both sides show, read fresh, for the keys that a run touched. */
export interface Verification {
  /** Keys that agree. */
  readonly verified: number;
  /** Keys that do not: changed meanwhile, or by the target itself. */
  readonly unverified: number;
  readonly examples: readonly { readonly pair: string; readonly key: Key; readonly columns: readonly string[] }[];
}

const examplesMost = 100;
const keysAtOnce = 1000;

/** The key as the pair compares it, from the target's own. */
export const commonKey = (pair: Pair, key: Key): Key => key.map((cell, i) => asCompared(pair, i, cell));

const rowsByKey = async (reader: Reader, pair: Pair, side: 'source' | 'target', keys: readonly Key[], o: Cancel) => {
  const selection = pairSelection(pair, side);
  const found = new Map<string, Row>();
  for await (const batch of reader.scan(selection, { kind: 'keys', keys }, o)) {
    for (const row of batch) found.set(JSON.stringify(row.slice(0, pair.keyWidth)), row);
  }
  return found;
};

/** Snapshots of the source, opened when they are needed: one for all pairs, and one for each that is transformed. */
const sourceReaders = (o: Cancel & { readonly source: Endpoint; readonly target: Endpoint }) => {
  const open = new Map<Pair | undefined, Reader>();
  return {
    of: async (pair: Pair): Promise<Reader> => {
      const shared = pair.transform ? pair : undefined;
      const known = open.get(shared);
      if (known) return known;
      const reader = await sourceOf(pair, o.source, o.target).snapshot(o);
      open.set(shared, reader);
      return reader;
    },
    [Symbol.asyncDispose]: async () => {
      for (const reader of open.values()) await reader[Symbol.asyncDispose]();
    },
  };
};

/** Reads every key that a run wrote, or found already written, again from both sides. */
export const verifyWritten = async (
  o: Cancel & {
    readonly store: Pick<Store, 'journal'>;
    readonly run: string;
    readonly plan: Plan;
    readonly pairs: readonly Pair[];
    readonly source: Endpoint;
    readonly target: Endpoint;
    /** What rows of these keys shall show, by key, where that is not what the source shows. */
    readonly expected?: (pair: Pair, keys: readonly Key[]) => Promise<ReadonlyMap<string, Row>>;
    /** The key of a written row as the pair compares it; default: of a row of the target. */
    readonly keyOf?: (pair: Pair, key: Key) => Key;
    readonly onProgress?: ((progress: Progress) => void) | undefined;
  },
): Promise<Verification> => {
  const keyOf = o.keyOf ?? commonKey;
  await using sources = sourceReaders(o);
  await using target = await o.target.snapshot(o);
  let verified = 0;
  let unverified = 0;
  const examples: { pair: string; key: Key; columns: readonly string[] }[] = [];
  const { counts } = o.plan.header;
  const total = counts.insert + counts.update + counts.delete;
  const tick = (): void => o.onProgress?.({ pair: '', phase: 'verify', rows: verified + unverified, total });
  tick();
  const check = async (pair: Pair, keys: readonly Key[]): Promise<void> => {
    const left =
      o.expected === undefined
        ? await rowsByKey(await sources.of(pair), pair, 'source', keys, o)
        : await o.expected(pair, keys);
    const right = await rowsByKey(target, pair, 'target', keys, o);
    for (const key of keys) {
      const a = left.get(JSON.stringify(key));
      const b = right.get(JSON.stringify(key));
      const names = pair.columns.map((c) => c.source.name);
      const columns =
        a !== undefined && rejectionOf(a, names.length)
          ? names
          : a !== undefined && b !== undefined
            ? judge(pair.columns, a, b).columns.map((i) => names[i]!)
            : a === undefined && b === undefined
              ? []
              : names;
      if (columns.length === 0) verified++;
      else {
        unverified++;
        if (examples.length < examplesMost) examples.push({ pair: pair.name, key, columns });
      }
    }
    tick();
  };
  const byName = new Map(o.pairs.map((p) => [p.name, p]));
  /** Keys still to be read again: many at once, however small the batches were that they were written in. */
  const waiting = new Map<Pair, Key[]>();
  const add = async (pair: Pair, settled: readonly Settled[]): Promise<void> => {
    const keys = waiting.get(pair) ?? [];
    for (const s of settled) keys.push(keyOf(pair, s.item.change.key));
    waiting.set(pair, keys);
    if (keys.length < keysAtOnce) return;
    waiting.delete(pair);
    await check(pair, keys);
  };
  for await (const batch of o.store.journal.outcomes(o.run, { signal: o.signal, statuses: ['applied', 'already'] })) {
    // A write that only made room (a reference set in a second step) is checked with its last write.
    for (const [table, settled] of Map.groupBy(batch, (s) => s.item.table)) {
      const pair = byName.get(o.plan.header.tables[table]!.pair);
      if (pair !== undefined) await add(pair, settled);
    }
  }
  for (const [pair, keys] of waiting) await check(pair, keys);
  return { verified, unverified, examples };
};
