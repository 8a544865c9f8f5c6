import type { Change } from '../model/change.ts';
import type { Row } from '../model/row.ts';

/** Places of a self reference in a native row. */
export interface SelfReference {
  readonly from: readonly number[];
  readonly to: readonly number[];
}

const identity = (row: Row, places: readonly number[]): string | undefined => {
  const cells = places.map((p) => row[p] ?? null);
  return cells.includes(null) ? undefined : JSON.stringify(cells);
};

/**
 * Orders rows of a table that refers to itself: referenced rows first. Rows that refer to each other in a circle stay
 * where they were met.
 */
export const parentsFirst = <C extends Change>(
  changes: readonly C[],
  references: readonly SelfReference[],
  image: (change: C) => Row,
): readonly C[] => {
  const parents = references.map((reference) => {
    const byIdentity = new Map<string, number>();
    changes.forEach((change, i) => {
      const id = identity(image(change), reference.to);
      if (id !== undefined) byIdentity.set(id, i);
    });
    return (i: number): number | undefined => {
      const id = identity(image(changes[i]!), reference.from);
      const parent = id === undefined ? undefined : byIdentity.get(id);
      return parent === i ? undefined : parent;
    };
  });
  const ordered: C[] = [];
  const state = new Uint8Array(changes.length);
  for (let root = 0; root < changes.length; root++) {
    const path = [root];
    while (path.length > 0) {
      const at = path.at(-1)!;
      if (state[at] === 2) {
        path.pop();
        continue;
      }
      state[at] = 1;
      const open = parents.map((of) => of(at)).find((p) => p !== undefined && state[p] === 0);
      if (open !== undefined) {
        path.push(open);
        continue;
      }
      state[at] = 2;
      ordered.push(changes[at]!);
      path.pop();
    }
  }
  return ordered;
};
