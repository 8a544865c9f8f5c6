import { plainCell } from '../model/canon/spelling.ts';
import type { Change } from '../model/change.ts';
import type { Cell, Row } from '../model/row.ts';
import { tableLabel } from '../model/schema.ts';
import type { PlanOrder } from './order.ts';
import { lane } from './planner.ts';
import { parentsFirst } from './row-order.ts';
import { spareCell } from './spare-cell.ts';
import type { TargetShape } from './target-row.ts';

/** What a row is planned to do: the lanes of the planner. */
export type Stage = 'unset' | 'insert' | 'update' | 'delete';

export interface LinkedItem {
  readonly pair: number;
  readonly change: Change;
}

export interface Node {
  readonly stage: Stage;
  readonly pair: number;
  readonly change: Change;
}

export interface Reference {
  readonly child: number;
  readonly parent: number;
  readonly from: readonly number[];
  readonly to: readonly number[];
  /** Identities of parents: who goes, who comes, and who needs it. Names of the nodes. */
  readonly leaving: Map<string, string>;
  readonly coming: Map<string, string>;
  readonly needed: Map<string, string[]>;
}

export const nameOf = (stage: Stage, pair: number, change: Change): string =>
  `${lane(stage, pair)} ${JSON.stringify(change.key)}`;

/** Which rows to be inserted want a value of which rows to be deleted, and where those can give it up. */
export interface Wants {
  readonly holders: ReadonlyMap<string, readonly string[]>;
  /** By the name of a delete. */
  readonly parks: ReadonlyMap<string, ReadonlySet<number>>;
  /** Deletes that hold a value somebody wants. */
  readonly held: ReadonlySet<string>;
}

/** A part in the order it is written: values given up, inserts, updates, deletes; parents before and after children. */
export const inOrder = (
  nodes: readonly Node[],
  x: {
    readonly shapes: readonly TargetShape[];
    readonly order: PlanOrder;
    readonly references: readonly Reference[];
    readonly wants: Wants;
    readonly counts: Map<number, number>;
  },
): readonly LinkedItem[] => {
  const of = (stage: Stage): readonly Node[] => {
    const rank = (pair: number): number => x.order.tables[pair]!.rank;
    const byPair = [
      ...Map.groupBy(
        nodes.filter((n) => n.stage === stage),
        (n) => n.pair,
      ),
    ];
    byPair.sort(([a], [b]) => rank(a) - rank(b) || a - b);
    return byPair.flatMap(([pair, some]) => {
      const self = x.references.filter((r) => r.child === pair && r.parent === pair);
      if (self.length === 0 || stage === 'update' || stage === 'unset') return some;
      const { columns } = x.shapes[pair]!;
      const image = (change: Change): Row =>
        (change.after ?? change.before!).map((cell, at) => plainCell(columns[at]!.type, cell));
      return parentsFirst(
        some.map((n) => n.change),
        self,
        image,
      ).map((change): Node => ({ stage, pair, change }));
    });
  };
  const unset = new Map(of('unset').map((n) => [nameOf('delete', n.pair, n.change), n.change]));
  const parked = new Map<string, Row>();
  const first: LinkedItem[] = [];
  for (const { pair, change } of of('delete')) {
    const name = nameOf('delete', pair, change);
    const places = x.wants.parks.get(name);
    if (places === undefined) continue;
    const { columns } = x.shapes[pair]!;
    const label = tableLabel(x.shapes[pair]!.pair.target);
    const after = (change.before as Row).map(
      (cell, at): Cell => (places.has(at) ? spareCell(columns[at]!, JSON.stringify([label, change.key, at]))! : cell),
    );
    // Its reference is given up with its value: a row is written once.
    const given = unset.get(name);
    unset.delete(name);
    if (given === undefined) x.counts.set(pair, (x.counts.get(pair) ?? 0) + 1);
    const all = new Set([...places, ...(given?.op === 'update' ? given.columns : [])]);
    const cells = [...all].toSorted((a, b) => a - b);
    const before = given?.before ?? change.before!;
    first.push({ pair, change: { key: change.key, op: 'update', before, after, columns: cells } });
    parked.set(name, after);
  }
  for (const node of of('unset')) if (unset.has(nameOf('delete', node.pair, node.change))) first.push(node);
  const deletes = of('delete')
    .toReversed()
    .map(({ pair, change }): LinkedItem => {
      const before = parked.get(nameOf('delete', pair, change)) ?? change.before!;
      return { pair, change: { key: change.key, op: 'delete', before, after: null } };
    });
  return [...first, ...of('insert'), ...of('update'), ...deletes].map(({ pair, change }) => ({ pair, change }));
};
