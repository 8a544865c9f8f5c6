import type { DifferenceKind } from '../../model/change.ts';
import type { Key } from '../../model/row.ts';

/** What became of a key that did not agree. */
export type Unsettled = DifferenceKind | 'apart';

/** Keys that a comparison leaves open: they are looked at again by the next one, changed or not. */
export interface OpenKeys {
  add(key: Key, what: Unsettled): void;
  /** Undefined: more than are kept. */
  /** Keys of one pair that are kept; a comparison that leaves more is not started from. */
  readonly most: number;
  list(): readonly { readonly key: Key; readonly what: Unsettled }[] | undefined;
}

export const keyName = (key: Key): string => JSON.stringify(key);

export const openKeys = (most = 50_000): OpenKeys => {
  let kept: { key: Key; what: Unsettled }[] | undefined = [];
  return {
    most,
    add: (key, what) => {
      if (kept === undefined) return;
      if (kept.length === most) kept = undefined;
      else kept.push({ key, what });
    },
    list: () => kept,
  };
};
