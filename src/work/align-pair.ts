import { align, type PairOptions } from '../diff/align.ts';
import { findTable } from '../diff/find-table.ts';
import { LockstepError } from '../model/errors.ts';
import type { Pair } from '../model/pair.ts';
import { sampled } from '../model/sample.ts';
import { type Schema, type Table, tableLabel } from '../model/schema.ts';

/** The key's columns whose names differ, as source column -> target column. */
const keyMap = (key: PairOptions['key']): Record<string, string> =>
  Object.fromEntries((key ?? []).flatMap((part) => (typeof part === 'string' ? [] : [part])));

/**
 * Aligns two tables; where the pair transforms or validates its source rows, as they are afterwards. Throws what `align`
 * throws, CONFIG, and KEY_MISSING when there is no key by which an invalid row could be told.
 */
export const alignPair = async (
  p: { readonly source: Table; readonly target: Table; readonly options: PairOptions },
  schemas: { readonly source: Schema; readonly target: Schema },
  names: { readonly source: string; readonly target: string },
): Promise<Pair> => {
  const { source, target, options } = p;
  const settings = options.transform;
  // Few pairs need it, and it brings two libraries along.
  const { transformed } = settings ? await import('../transform/transform.ts') : {};
  const made =
    settings &&
    transformed?.({
      source,
      target,
      settings,
      map: { ...options.map, ...keyMap(options.key) },
      concealed: Object.keys(options.concealed ?? {}),
      key: (options.key ?? []).map((part) => (typeof part === 'string' ? part : part[0])),
      lookupTable: (side, name) => findTable(schemas[side], name, names[side]),
    });
  const aligned = align(made?.table ?? source, target, options, names);
  const pair = options.sample === undefined ? aligned : sampled(aligned, options.sample, tableLabel(target));
  if (made === undefined) return pair;
  if (pair.keyWidth === 0) {
    throw new LockstepError('KEY_MISSING', `${pair.name} is transformed or validated, and has no key on both sides`, {
      hint: 'Name columns that identify a row on both sides: key: [a, b].',
    });
  }
  return { ...pair, transform: made.transform };
};
