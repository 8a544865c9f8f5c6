import type { Change } from '../model/change.ts';
import { tableLabel } from '../model/schema.ts';
import { identity, linkedGraph } from './linked-graph.ts';
import { inOrder, type LinkedItem, type Node, nameOf, type Reference, type Stage, type Wants } from './linked-order.ts';
import { sameTable } from './order.ts';
import { lane, type Planner } from './planner.ts';
import { spareCell } from './spare-cell.ts';
import type { TargetShape } from './target-row.ts';

/**
 * A renumbered row: it is to be inserted under a new key, the old one is to be deleted, and both hold the same value
 * of a unique column. The new one cannot come before the old one has gone, the old one cannot go before the rows that
 * refer to it have moved, and those cannot move before the new one is there. Such rows are written in one transaction:
 * the old row gives its unique value up first, for one that nobody has.
 */

export interface Linked {
  /** Each in the order it is written, all of it or nothing. */
  readonly groups: readonly (readonly LinkedItem[])[];
  /** Is a change of a lane in one of the groups? */
  has(lane: string, change: Change): boolean;
  /** Updates that only give a unique value up, by pair: what the groups add to the lanes' changes. */
  readonly parks: ReadonlyMap<number, number>;
  readonly warnings: readonly string[];
}

/** Rows looked at; with more, they are written one after another as others are. */
const linkedMost = 200_000;

interface Unique {
  readonly pair: number;
  readonly places: readonly number[];
  /** Where a value can be given up. */
  readonly park: number;
}

const placesOf = (shape: TargetShape, names: readonly string[]): readonly number[] =>
  names.map((name) => shape.columns.findIndex((c) => c.name === name));

const referencesOf = (shapes: readonly TargetShape[]): readonly Reference[] =>
  shapes.flatMap((shape, child) =>
    shape.pair.target.foreignKeys.flatMap((key): Reference[] => {
      const parent = shapes.findIndex((s) => sameTable(key.references, s.pair.target));
      if (parent === -1) return [];
      const from = placesOf(shape, key.columns);
      const to = placesOf(shapes[parent]!, key.referencedColumns);
      return [{ child, parent, from, to, leaving: new Map(), coming: new Map(), needed: new Map() }];
    }),
  );

/** The unique keys of a pair's target, apart from the key itself, of which a row can give up its value. */
const uniquesOf = (planner: Planner, pair: number): readonly Unique[] => {
  const shape = planner.shapes[pair]!;
  const table = shape.pair.target;
  const referred = new Set(
    planner.schema.tables.flatMap((t) =>
      t.foreignKeys.flatMap((k) => (sameTable(k.references, table) ? k.referencedColumns : [])),
    ),
  );
  const refers = new Set(table.foreignKeys.flatMap((k) => k.columns));
  return table.uniques.flatMap((u): Unique[] => {
    const places = placesOf(shape, u.columns);
    if (places.includes(-1) || u.columns.every((name) => shape.key.includes(name))) return [];
    const free = places.filter((at) => {
      const column = shape.columns[at]!;
      if (column.generated !== undefined || shape.key.includes(column.name) || referred.has(column.name)) return false;
      return column.nullable || (!refers.has(column.name) && spareCell(column, '') !== undefined);
    });
    const park = free.find((at) => !refers.has(shape.columns[at]!.name)) ?? free[0];
    return park === undefined ? [] : [{ pair, places, park }];
  });
};

const findWants = async (planner: Planner, pairs: readonly number[]): Promise<Wants> => {
  const holders = new Map<string, string[]>();
  const parks = new Map<string, Set<number>>();
  for (const pair of pairs) {
    const shape = planner.shapes[pair]!;
    for (const unique of uniquesOf(planner, pair)) {
      const byValue = new Map<string, string>();
      let exact = true;
      for await (const changes of planner.spool.read(lane('delete', pair))) {
        for (const change of changes) {
          const value = identity(shape, change.before!, unique.places);
          if (value === undefined) continue;
          // An index on an expression, or on some rows only: its columns alone do not tell.
          if (byValue.has(value)) exact = false;
          byValue.set(value, nameOf('delete', pair, change));
        }
      }
      if (!exact) continue;
      for await (const changes of planner.spool.read(lane('insert', pair))) {
        for (const change of changes) {
          const value = identity(shape, change.after!, unique.places);
          const holder = value === undefined ? undefined : byValue.get(value);
          if (holder === undefined) continue;
          const name = nameOf('insert', pair, change);
          holders.set(name, [...(holders.get(name) ?? []), holder]);
          parks.set(holder, (parks.get(holder) ?? new Set()).add(unique.park));
        }
      }
    }
  }
  return { holders, parks, held: new Set(parks.keys()) };
};

const none: Linked = { groups: [], has: () => false, parks: new Map(), warnings: [] };

/**
 * Finds what has to be written together. From each delete that holds a value which an insert wants, and that is
 * referred to: the rows that leave it, the rows those need, what stands in the way of these, and so on.
 */
export const linkRows = async (planner: Planner, dropped: ReadonlySet<number>): Promise<Linked> => {
  const { shapes, spool, order } = planner;
  const references = referencesOf(shapes);
  const count = (stage: Stage, pair: number): number => spool.count(lane(stage, pair));
  const both = shapes.flatMap((_, pair) =>
    !dropped.has(pair) && count('insert', pair) > 0 && count('delete', pair) > 0 ? [pair] : [],
  );
  const tooMany = both.filter((pair) => count('insert', pair) + count('delete', pair) > linkedMost);
  const able = both.filter((pair) => !tooMany.includes(pair) && references.some((r) => r.parent === pair));
  if (able.length === 0) return none;
  const wants = await findWants(planner, able);
  if (wants.held.size === 0) return none;

  const byName = new Map<string, Node>();
  for (const pair of able) {
    for (const stage of ['insert', 'delete'] as const) {
      for await (const changes of spool.read(lane(stage, pair))) {
        for (const change of changes) {
          const name = nameOf(stage, pair, change);
          if (wants.holders.has(name) || wants.held.has(name)) byName.set(name, { stage, pair, change });
        }
      }
    }
  }

  const { nodes, together, enter, partner } = linkedGraph({ shapes, references, wants, byName });
  for (const [name] of wants.holders) enter(name, byName.get(name)!);

  const all = shapes.flatMap((_, pair) =>
    (['unset', 'insert', 'update', 'delete'] as const).flatMap((stage) =>
      count(stage, pair) === 0 ||
      !references.some((r) => r.child === pair || r.parent === pair) ||
      (dropped.has(pair) && (stage === 'unset' || stage === 'delete'))
        ? []
        : [{ stage, pair }],
    ),
  );
  for (let size = -1; size !== nodes.size; ) {
    size = nodes.size;
    for (const { stage, pair } of all) {
      for await (const changes of spool.read(lane(stage, pair))) {
        for (const change of changes) {
          const name = nameOf(stage, pair, change);
          const other = partner({ stage, pair, change });
          if (other === undefined) continue;
          enter(name, { stage, pair, change });
          together.join(name, other);
        }
      }
      if (nodes.size > linkedMost) {
        const label = tableLabel(shapes[able[0]!]!.pair.target);
        return {
          ...none,
          warnings: [
            `more than ${linkedMost.toLocaleString('en-US')} rows hang together by unique values that pass from rows that go to rows that come (${label}): they are not written in one transaction, and some may be rejected`,
          ],
        };
      }
    }
  }
  const parts = Map.groupBy(nodes, ([name]) => together.root(name));
  // Where nobody has to move first, an insert that is refused is tried again after the delete: that is enough.
  const tied = [...parts.values()].filter((part) =>
    part.some(
      ([, n]) =>
        n.stage === 'update' ||
        n.stage === 'unset' ||
        (n.stage === 'delete' && !byName.has(nameOf('delete', n.pair, n.change))),
    ),
  );
  const kept = new Set(tied.flatMap((part) => part.map(([name]) => name)));
  const counts = new Map<number, number>();
  return {
    groups: tied.map((part) =>
      inOrder(
        part.map(([, node]) => node),
        { shapes, order, references, wants, counts },
      ),
    ),
    has: (from, change) => kept.has(`${from} ${JSON.stringify(change.key)}`),
    parks: counts,
    warnings: [],
  };
};
