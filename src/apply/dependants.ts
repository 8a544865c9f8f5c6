import type { Row } from '../model/row.ts';
import { tableLabel } from '../model/schema.ts';
import type { PlanItem } from '../model/store.ts';
import type { ApplyTable } from './images.ts';

interface Reference {
  readonly child: number;
  readonly parent: number;
  readonly from: readonly number[];
  readonly to: readonly number[];
  /** Identities of parents that were refused, and why. */
  readonly missing: Map<string, string>;
}

/** Knows which rows cannot be written because the row they refer to was refused. */
export interface Dependants {
  refused(item: PlanItem, reason: string): void;
  /** Why this item need not be tried. */
  waitsFor(item: PlanItem): string | undefined;
  clear(): void;
}

const identity = (row: Row, places: readonly number[]): string => JSON.stringify(places.map((p) => row[p]));

export const dependants = (tables: readonly ApplyTable[]): Dependants => {
  const place = (t: ApplyTable, names: readonly string[]): readonly number[] =>
    names.map((name) => t.columns.findIndex((c) => c.name === name));
  const references: readonly Reference[] = tables.flatMap((t, child) =>
    t.table.foreignKeys.flatMap((key): Reference[] => {
      const parent = tables.findIndex(
        ({ table }) =>
          table.name === key.references.name &&
          (key.references.schema === undefined || table.schema === undefined || table.schema === key.references.schema),
      );
      if (parent === -1) return [];
      const to = place(tables[parent]!, key.referencedColumns);
      return [{ child, parent, from: place(t, key.columns), to, missing: new Map() }];
    }),
  );
  return {
    refused: ({ table, change }, reason) => {
      if (change.op !== 'insert') return;
      for (const r of references) {
        if (r.parent !== table) continue;
        const t = tables[table]!;
        r.missing.set(
          identity(change.after, r.to),
          `it refers to ${tableLabel(t.table)} ${change.key.map((c) => JSON.stringify(c)).join(', ')}, which was rejected: ${reason}`,
        );
      }
    },
    waitsFor: ({ table, change }) => {
      if (change.op === 'delete') return undefined;
      for (const r of references) {
        if (r.child !== table || r.missing.size === 0) continue;
        if (change.op === 'update' && !r.from.some((at) => change.columns.includes(at))) continue;
        const reason = r.missing.get(identity(change.after, r.from));
        if (reason !== undefined) return reason;
      }
      return undefined;
    },
    clear: () => {
      for (const r of references) r.missing.clear();
    },
  };
};
