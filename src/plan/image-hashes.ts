import type { Cancel } from '../model/cancel.ts';
import type { Change } from '../model/change.ts';
import type { HashSpec } from '../model/hash/spec.ts';
import type { PlanHeader, PlanItem, PlanTable } from '../model/plans.ts';
import type { Row } from '../model/row.ts';
import type { ImageHashing } from '../model/writer.ts';

/** What a new plan for this target says of its hashes. */
export const planHash = (hashing: ImageHashing | undefined): Pick<PlanHeader, 'hash'> =>
  hashing === undefined ? {} : { hash: { seed: String(hashing.spec.seed), form: hashing.spec.form } };

export const hashOf = (header: Pick<PlanHeader, 'hash'>): HashSpec | undefined =>
  header.hash === undefined ? undefined : { seed: BigInt(header.hash.seed), form: header.hash.form };

type NewItem = Omit<PlanItem, 'seq'>;
type RowHasher = (row: Row, out: Int32Array) => void;

/** Gives changes the hashes of their images while they are planned: whoever applies them need not read the images. */
export interface ImageHashes {
  add(items: readonly NewItem[], o: Cancel): Promise<readonly NewItem[]>;
}

const hashed = (change: Change, hash: RowHasher, out: Int32Array): Change => {
  const hashes: number[] = [];
  for (const row of [change.before, change.after]) {
    if (row === null) continue;
    hash(row, out);
    hashes.push(out[0]!, out[1]!);
  }
  return { ...change, hashes };
};

export const imageHashes = (
  hashing: ImageHashing | undefined,
  tables: readonly Omit<PlanTable, 'pair'>[],
): ImageHashes => {
  const hashers = new Map<number, RowHasher | undefined>();
  const out = new Int32Array(2);
  return {
    add: async (items, o) => {
      if (hashing === undefined) return items;
      const ready: NewItem[] = [];
      for (const item of items) {
        const { table, change } = item;
        if (!hashers.has(table))
          hashers.set(table, await hashing.of(tables[table]!.table, tables[table]!.key, hashing.spec, o));
        const hash = hashers.get(table);
        ready.push(hash === undefined ? item : { group: item.group, table, change: hashed(change, hash, out) });
      }
      return ready;
    },
  };
};
