import { plainCell } from '../model/canon/spelling.ts';
import type { Row } from '../model/row.ts';
import { type Node, nameOf, type Reference, type Wants } from './linked-order.ts';
import type { TargetShape } from './target-row.ts';

/** The values of a row at these places; undefined where one is NULL. */
export const identity = (shape: TargetShape, row: Row, places: readonly number[]): string | undefined => {
  const cells = places.map((p) => (p === -1 ? null : plainCell(shape.columns[p]!.type, row[p]!)));
  return cells.includes(null) ? undefined : JSON.stringify(cells);
};

/** Union of sets of names (Galler and Fischer 1964, with path halving). */
const unions = (): { join(a: string, b: string): void; root(a: string): string } => {
  const up = new Map<string, string>();
  const root = (a: string): string => {
    let at = a;
    for (let next = up.get(at); next !== undefined && next !== at; next = up.get(at)) {
      const over = up.get(next) ?? next;
      up.set(at, over);
      at = over;
    }
    return at;
  };
  return { root, join: (a, b) => void (root(a) === root(b) || up.set(root(a), root(b))) };
};

/** Which changes have to be written together: those that were entered, and whatever has to go with one of them. */
export const linkedGraph = (x: {
  readonly shapes: readonly TargetShape[];
  readonly references: readonly Reference[];
  readonly wants: Wants;
  /** The changes that want a value, or hold one that is wanted. */
  readonly byName: ReadonlyMap<string, Node>;
}) => {
  const { shapes, references, wants, byName } = x;
  const nodes = new Map<string, Node>();
  const together = unions();

  const enter = (name: string, node: Node): void => {
    if (nodes.has(name)) return;
    nodes.set(name, node);
    const { stage, pair, change } = node;
    const shape = shapes[pair]!;
    for (const r of references) {
      if (stage === 'delete' && r.parent === pair) {
        const value = identity(shape, change.before!, r.to);
        if (value !== undefined) r.leaving.set(value, name);
      }
      if (stage === 'insert' && r.parent === pair) {
        const value = identity(shape, change.after!, r.to);
        if (value !== undefined) r.coming.set(value, name);
        for (const child of (value !== undefined && r.needed.get(value)) || []) together.join(name, child);
      }
      if (stage !== 'delete' && r.child === pair) {
        const value = identity(shape, change.after!, r.from);
        if (value === undefined) continue;
        const parent = r.coming.get(value);
        if (parent !== undefined) together.join(name, parent);
        else if (r.needed.has(value)) r.needed.get(value)!.push(name);
        else r.needed.set(value, [name]);
      }
    }
    for (const holder of wants.holders.get(name) ?? []) {
      together.join(name, holder);
      enter(holder, byName.get(holder)!);
    }
  };
  /** The node that this change has to go with. */
  const partner = ({ stage, pair, change }: Node): string | undefined => {
    const shape = shapes[pair]!;
    for (const r of references) {
      if (stage !== 'insert' && r.child === pair && r.leaving.size > 0) {
        const from = identity(shape, change.before!, r.from);
        const to = change.after === null ? undefined : identity(shape, change.after, r.from);
        const parent = from === undefined || from === to ? undefined : r.leaving.get(from);
        if (parent !== undefined) return parent;
      }
      if (stage === 'insert' && r.parent === pair && r.needed.size > 0) {
        const id = identity(shape, change.after!, r.to);
        const child = id === undefined ? undefined : r.needed.get(id)?.[0];
        if (child !== undefined) return child;
      }
    }
    const own = stage === 'unset' ? nameOf('delete', pair, change) : undefined;
    return own !== undefined && nodes.has(own) ? own : undefined;
  };
  return { nodes, together, enter, partner };
};
