import type { HashSpec } from '../../model/hash/spec.ts';
import type { Pair } from '../../model/pair.ts';
import type { Reader } from '../../model/reader.ts';
import { pairSelection } from '../../model/selection.ts';
import type { Side, Sides } from '../context.ts';
import { keyMayBeNull } from '../key.ts';

/**
 * Who hashes the rows of a side. `exact`: where the data is, and this process makes the same number of the same cells ·
 * `engine`: where the data is, by a writing of JSON that is its own · `process`: here, of the cells. A side is compared
 * with its own earlier hashes, so the two need not share a way, and where the way of a side has become another one its
 * rows are looked at once and are found to be what they were.
 */
export type HashWay = 'exact' | 'engine' | 'process';

const wayOf = (pair: Pair, side: Side, { hashing }: Reader): HashWay => {
  if (hashing === undefined || (side === 'source' && pair.transform !== undefined)) return 'process';
  // Packed keys cannot carry a NULL.
  if (keyMayBeNull(pair)) return 'process';
  const support = pairSelection(pair, side).columns.map((c) => hashing.supports(c));
  if (support.includes(undefined)) return 'process';
  return support.every((s) => s === 'exact') ? 'exact' : 'engine';
};

/** The ways of both sides, and a form of hash that they have in common. */
export const waysOf = (
  pair: Pair,
  readers: Sides<Reader>,
): { readonly ways: Sides<HashWay>; readonly form: HashSpec['form'] } => {
  const ways = { source: wayOf(pair, 'source', readers.source), target: wayOf(pair, 'target', readers.target) };
  const can = (side: Side, form: HashSpec['form']): boolean =>
    ways[side] === 'process' || readers[side].hashing!.forms.includes(form);
  const form = (['bytes', 'hex'] as const).find((f) => can('source', f) && can('target', f)) ?? 'hex';
  return { ways: heeding(ways, readers, form), form };
};

/** A side that cannot make this form of a hash has its rows hashed here. */
const heeding = (ways: Sides<HashWay>, readers: Sides<Reader>, form: HashSpec['form']): Sides<HashWay> => {
  const of = (side: Side): HashWay =>
    ways[side] !== 'process' && !readers[side].hashing!.forms.includes(form) ? 'process' : ways[side];
  return { source: of('source'), target: of('target') };
};

/** The ways of both sides under the form that an archive was begun with. */
export const waysUnder = (pair: Pair, readers: Sides<Reader>, form: HashSpec['form']): Sides<HashWay> =>
  heeding(
    { source: wayOf(pair, 'source', readers.source), target: wayOf(pair, 'target', readers.target) },
    readers,
    form,
  );

/** Do equal rows of the two sides have equal hashes, and is nothing but equal rows agreed? */
export const isShared = (pair: Pair, ways: Sides<HashWay>): boolean =>
  ways.source !== 'engine' && ways.target !== 'engine' && pair.columns.every((c) => c.tolerance === undefined);
