import type { DifferenceKind } from '../../model/change.ts';
import type { Key } from '../../model/row.ts';

/** What became of a key that did not agree. */
export type Unsettled = DifferenceKind | 'apart';

/** Keys that a comparison leaves open: they are looked at again by the next one, changed or not. */
export interface OpenKeys {
  add(key: Key, what: Unsettled): void;
  /** Undefined: more than are kept. */
  list(): readonly { readonly key: Key; readonly what: Unsettled }[] | undefined;
}

/** Keys of one pair that are kept open; a comparison that leaves more is not started from. */
export const mostOpen = 50_000;

export const keyName = (key: Key): string => JSON.stringify(key);

export const openKeys = (): OpenKeys => {
  let kept: { key: Key; what: Unsettled }[] | undefined = [];
  return {
    add: (key, what) => {
      if (kept === undefined) return;
      if (kept.length === mostOpen) kept = undefined;
      else kept.push({ key, what });
    },
    list: () => kept,
  };
};
