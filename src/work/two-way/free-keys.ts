import { lookUp } from '../../diff/reread.ts';
import type { Cancel } from '../../model/cancel.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import { compareKeys } from '../../model/order.ts';
import type { Pair } from '../../model/pair.ts';
import type { Key } from '../../model/row.ts';
import { keyTypes, pairSelection } from '../../model/selection.ts';
import { sourceOf } from '../../model/transform.ts';

const sides = ['source', 'target'] as const;

/** Of these keys, those that a row of either side has, whatever the pair's filter hides; as JSON. */
export const takenKeys = async (
  o: Cancel & { readonly source: Endpoint; readonly target: Endpoint },
  pair: Pair,
  keys: readonly Key[],
): Promise<ReadonlySet<string>> => {
  const taken = new Set<string>();
  const types = keyTypes(pairSelection(pair, 'source'));
  const sorted = keys.toSorted((a, b) => compareKeys(types, a, b));
  const endpoints = { source: sourceOf(pair, o.source, o.target), target: o.target };
  for (const side of sides) {
    const { filter: _, ...selection } = pairSelection(pair, side);
    await using reader = await endpoints[side].snapshot(o);
    const found = await lookUp(reader, selection, sorted, { form: { kind: 'rows' }, types }, o.signal);
    sorted.forEach((key, i) => {
      if (found[i] !== undefined) taken.add(JSON.stringify(key));
    });
  }
  return taken;
};
