import type { ForeignKey, Table, TableName } from '../model/schema.ts';
import { tableLabel } from '../model/schema.ts';

/** How a table's rows are ordered against the others'. */
export interface TableOrder {
  /** Parents have smaller ranks than their children. */
  readonly rank: number;
  /** Foreign keys to its own table: rows are ordered among themselves. */
  readonly self: readonly ForeignKey[];
  /** Nullable foreign keys that close a cycle: written as null first, then set. */
  readonly broken: readonly ForeignKey[];
  /** In a cycle that only deferred checks can pass: all rows of this rank go in one transaction. */
  readonly together: boolean;
}

export interface PlanOrder {
  /** Parallel to the tables given. */
  readonly tables: readonly TableOrder[];
  readonly ranks: number;
  readonly warnings: readonly string[];
}

export const sameTable = (a: TableName, b: TableName): boolean =>
  a.name === b.name && (a.schema === undefined || b.schema === undefined || a.schema === b.schema);

interface Edge {
  readonly child: number;
  readonly parent: number;
  readonly key: ForeignKey;
}

/** Strongly connected components of child -> parent edges, parents first (Tarjan 1972; its stack kept on the heap). */
const components = (count: number, edges: readonly Edge[]): readonly (readonly number[])[] => {
  const next = Array.from({ length: count }, (): number[] => []);
  for (const edge of edges) next[edge.child]!.push(edge.parent);
  const index = new Int32Array(count).fill(-1);
  const low = new Int32Array(count);
  const onStack = new Uint8Array(count);
  const stack: number[] = [];
  const found: number[][] = [];
  let counter = 0;
  for (let root = 0; root < count; root++) {
    if (index[root] !== -1) continue;
    const work: { node: number; edge: number }[] = [{ node: root, edge: 0 }];
    while (work.length > 0) {
      const top = work.at(-1)!;
      const { node } = top;
      if (top.edge === 0) {
        index[node] = low[node] = counter++;
        stack.push(node);
        onStack[node] = 1;
      }
      const to = next[node]![top.edge];
      if (to !== undefined) {
        top.edge++;
        if (index[to] === -1) work.push({ node: to, edge: 0 });
        else if (onStack[to] === 1) low[node] = Math.min(low[node]!, index[to]!);
        continue;
      }
      work.pop();
      const parent = work.at(-1);
      if (parent !== undefined) low[parent.node] = Math.min(low[parent.node]!, low[node]!);
      if (low[node] === index[node]) {
        const component: number[] = [];
        for (let member = -1; member !== node; ) {
          member = stack.pop()!;
          onStack[member] = 0;
          component.push(member);
        }
        found.push(component);
      }
    }
  }
  return found;
};

const nullable = (table: Table, key: ForeignKey): boolean =>
  key.columns.every((name) => table.columns.find((c) => c.name === name)?.nullable === true);

/**
 * The order in which tables are written: inserts by ascending rank, deletes by descending rank. `canBreak` says
 * whether an inserted row of a table is wholly known, so that a second write can follow it.
 */
export const orderTables = (tables: readonly Table[], canBreak: (table: number) => boolean): PlanOrder => {
  const all: Edge[] = tables.flatMap((table, child) =>
    table.foreignKeys.flatMap((key): Edge[] => {
      const parent = tables.findIndex((other) => sameTable(key.references, other));
      return parent === -1 || parent === child ? [] : [{ child, parent, key }];
    }),
  );
  const warnings: string[] = [];
  const broken = new Set<Edge>();
  const together = new Set<number>();
  let groups = components(tables.length, all);
  for (;;) {
    const live = all.filter((e) => !broken.has(e));
    groups = components(tables.length, live);
    const cycle = groups.find((g) => g.length > 1 && !together.has(g[0]!));
    if (cycle === undefined) break;
    const inside = live.filter((e) => cycle.includes(e.child) && cycle.includes(e.parent));
    const open = inside.find((e) => nullable(tables[e.child]!, e.key) && canBreak(e.child));
    if (open !== undefined) {
      broken.add(open);
      continue;
    }
    for (const member of cycle) together.add(member);
    if (!inside.some((e) => e.key.deferrable)) {
      const names = cycle.map((t) => tableLabel(tables[t]!)).toSorted();
      warnings.push(
        `${names.join(', ')} refer to each other by foreign keys that are neither deferrable nor nullable: new rows that need each other will be rejected. Make one of ${inside.map((e) => e.key.name).join(', ')} deferrable.`,
      );
    }
  }
  const rankOf = new Map<number, number>();
  const live = all.filter((e) => !broken.has(e));
  for (const group of groups) {
    const parents = live.filter((e) => group.includes(e.child) && !group.includes(e.parent));
    const rank = Math.max(-1, ...parents.map((e) => rankOf.get(e.parent)!)) + 1;
    for (const member of group) rankOf.set(member, rank);
  }
  return {
    tables: tables.map((table, i) => ({
      rank: rankOf.get(i)!,
      self: table.foreignKeys.filter((key) => sameTable(key.references, table)),
      broken: all.filter((e) => broken.has(e) && e.child === i).map((e) => e.key),
      together: together.has(i),
    })),
    ranks: Math.max(0, ...[...rankOf.values()].map((r) => r + 1)),
    warnings,
  };
};
