import { plainCell } from '../model/canon/spelling.ts';
import type { PlanItem } from '../model/plans.ts';
import type { Row } from '../model/row.ts';
import { tableLabel } from '../model/schema.ts';
import type { ApplyTable } from './images.ts';

interface Reference {
  readonly child: number;
  readonly parent: number;
  readonly from: readonly number[];
  readonly to: readonly number[];
  /** Identities of parents that were refused, and why. */
  readonly missing: Map<string, string>;
  /** Deleting a parent would take these children along: identities of parents, and which child stayed. */
  readonly kept: Map<string, { readonly reason: string; readonly final: boolean }> | undefined;
}

/** Knows which rows cannot be written because the row they refer to was refused. */
export interface Dependants {
  refused(item: PlanItem, reason: string): void;
  /** A row that was to be changed or deleted is still there, as `found`: its parent must not take it along. */
  stayed(item: PlanItem, found: Row | null): void;
  /** Why this item need not be tried. */
  waitsFor(item: PlanItem): string | undefined;
  /** Forgets what was refused, to try it again; rows that moved stay. */
  clear(): void;
}

const identity = (t: ApplyTable, row: Row, places: readonly number[]): string =>
  JSON.stringify(places.map((p) => plainCell(t.columns[p]!.type, row[p]!)));

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
      return [
        {
          child,
          parent,
          from: place(t, key.columns),
          to,
          missing: new Map(),
          kept: key.onDelete === undefined ? undefined : new Map(),
        },
      ];
    }),
  );
  const stay = ({ table, change }: PlanItem, found: Row | null, final: boolean): void => {
    if (found === null) return;
    for (const r of references) {
      if (r.child !== table || r.kept === undefined) continue;
      const t = tables[table]!;
      const child = `${tableLabel(t.table)} ${change.key.map((c) => JSON.stringify(c)).join(', ')}`;
      const reason = `${child} refers to it, was not written, and would be changed with it`;
      r.kept.set(identity(t, found, r.from), { reason, final });
    }
  };
  return {
    stayed: (item, found) => stay(item, found, true),
    refused: (item, reason) => {
      const { table, change } = item;
      stay(item, change.before, false);
      if (change.op !== 'insert') return;
      for (const r of references) {
        if (r.parent !== table) continue;
        const t = tables[table]!;
        r.missing.set(
          identity(t, change.after, r.to),
          `it refers to ${tableLabel(t.table)} ${change.key.map((c) => JSON.stringify(c)).join(', ')}, which was rejected: ${reason}`,
        );
      }
    },
    waitsFor: ({ table, change }) => {
      if (change.op === 'delete') {
        for (const r of references) {
          if (r.parent !== table || r.kept === undefined || r.kept.size === 0) continue;
          const reason = r.kept.get(identity(tables[table]!, change.before, r.to))?.reason;
          if (reason !== undefined) return reason;
        }
        return undefined;
      }
      for (const r of references) {
        if (r.child !== table || r.missing.size === 0) continue;
        if (change.op === 'update' && !r.from.some((at) => change.columns.includes(at))) continue;
        const reason = r.missing.get(identity(tables[table]!, change.after, r.from));
        if (reason !== undefined) return reason;
      }
      return undefined;
    },
    clear: () => {
      for (const r of references) {
        r.missing.clear();
        for (const [parent, { final }] of r.kept ?? []) if (!final) r.kept!.delete(parent);
      }
    },
  };
};
