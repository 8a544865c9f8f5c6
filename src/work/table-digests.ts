import type { Endpoint } from '../model/endpoint.ts';
import type { HashSpec } from '../model/hash/spec.ts';
import type { Reader } from '../model/reader.ts';
import type { Selection } from '../model/selected.ts';
import { pairSelection } from '../model/selection.ts';
import { alignAll, type CompareOptions, type PairRequest } from './compare.ts';

/** A table's rows in one number on each side: their count, and the sum of their hashes modulo 2^64, in hex. */
export interface TableDigest {
  readonly source: string;
  /** How rows were hashed, to make the numbers again. */
  readonly hash: { readonly seed: string; readonly form: HashSpec['form'] };
  readonly rows: { readonly source: number; readonly target: number };
  readonly sum: { readonly source: string; readonly target: string };
}

const exact = (reader: Reader, selection: Selection): boolean =>
  reader.hashing !== undefined && selection.columns.every((c) => reader.hashing!.supports(c) === 'exact');

/**
 * Digests of both sides of each table, where both can hash all of its columns alike; undefined where they cannot: the
 * comparison of values stands alone there.
 */
export const tableDigests = async (
  o: {
    readonly source: Endpoint;
    readonly target: Endpoint;
    readonly seed: bigint;
    readonly signal: AbortSignal;
  } & Pick<CompareOptions, 'schemas'>,
  pairs: readonly PairRequest[],
): Promise<readonly (TableDigest | undefined)[]> => {
  const aligned = await alignAll({ ...o, pairs });
  await using source = await o.source.snapshot(o);
  await using target = await o.target.snapshot(o);
  const both = (source.hashing?.forms ?? []).filter((form) => target.hashing?.forms.includes(form));
  const form = both.includes('bytes') ? 'bytes' : both[0];
  const found: (TableDigest | undefined)[] = [];
  for (const pair of aligned.pairs) {
    const [s, t] = [pairSelection(pair, 'source'), pairSelection(pair, 'target')];
    // what is transformed, or may differ a little, has no common digest
    const plain = pair.transform === undefined && pair.columns.every((c) => c.tolerance === undefined);
    if (!plain || form === undefined || pair.keyWidth === 0 || !exact(source, s) || !exact(target, t)) {
      found.push(undefined);
      continue;
    }
    const hash: HashSpec = { seed: o.seed, form };
    const [a] = await source.hashing!.digest(s, undefined, hash, o);
    const [b] = await target.hashing!.digest(t, undefined, hash, o);
    const hex = (sum: bigint | undefined): string => (sum ?? 0n).toString(16).padStart(16, '0');
    found.push({
      source: pair.name,
      hash: { seed: String(o.seed), form },
      rows: { source: a?.rows ?? 0, target: b?.rows ?? 0 },
      sum: { source: hex(a?.sum), target: hex(b?.sum) },
    });
  }
  return found;
};
