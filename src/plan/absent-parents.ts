import type { Cancel } from '../model/cancel.ts';
import { convert } from '../model/canon/convert.ts';
import { plainCell } from '../model/canon/spelling.ts';
import type { Change } from '../model/change.ts';
import type { Pair } from '../model/pair.ts';
import type { Key } from '../model/row.ts';
import { inSample } from '../model/sample.ts';
import { tableLabel } from '../model/schema.ts';
import { pairSelection } from '../model/selection.ts';
import type { TargetShape } from './target-row.ts';

/** A reference of a table to one of which only a sample is written. */
interface SampledParent {
  readonly parent: TargetShape;
  /** Places of the referring columns in the child's rows, in the order of the parent's key. */
  readonly places: readonly number[];
  /** Is the parent with this key, as the target stores it, one of the sample? */
  readonly isPlanned: (key: Key) => boolean;
}

const planning = ({ pair }: TargetShape): ((key: Key) => boolean) => {
  const isIn = inSample(pairSelection(pair, 'target'), pair.sample!);
  return (key) =>
    isIn(
      key.map((cell, i) => {
        const rewrite = pair.rewrites?.[i];
        const { target, as } = pair.columns[i]!;
        return rewrite === undefined ? convert(cell, target.type, as) : rewrite.forth(cell);
      }),
    );
};

/** The references of each table to tables of which only a sample is written, by that table's key. */
const sampledParents = (shapes: readonly TargetShape[], child: TargetShape): readonly SampledParent[] =>
  child.pair.target.foreignKeys.flatMap((reference) => {
    const { references, columns, referencedColumns } = reference;
    const parent = shapes.find(
      ({ pair: { target } }) =>
        target.name === references.name &&
        (references.schema === undefined || target.schema === undefined || target.schema === references.schema),
    );
    if (parent?.pair.sample === undefined || parent.key.length !== columns.length) return [];
    const places = parent.key.map((name) => {
      const own = columns[referencedColumns.indexOf(name)];
      return child.columns.findIndex((c) => c.name === own);
    });
    return places.includes(-1) ? [] : [{ parent, places, isPlanned: planning(parent) }];
  });

const parentKey = (child: TargetShape, { after }: Change, { places }: SampledParent): Key | undefined => {
  if (after === null) return undefined;
  const key = places.map((at) => {
    const { exact, stored } = child.selection.columns[at]!;
    return exact ? plainCell(stored, after[at]!) : after[at]!;
  });
  return key.includes(null) ? undefined : key;
};

/**
 * Why rows cannot be written before their parents are: of a table of which only a sample is written the target may lack
 * rows that others refer to. `stored`: which of these keys a table of the target has, as JSON.
 */
export const absentParents = (
  shapes: readonly TargetShape[],
  stored: (parent: TargetShape, keys: readonly Key[], o: Cancel) => Promise<ReadonlySet<string>>,
): ((child: number, changes: readonly Change[], o: Cancel) => Promise<ReadonlyMap<Change, string>>) => {
  const parents = shapes.map((shape) => sampledParents(shapes, shape));
  return async (child, changes, o) => {
    const absent = new Map<Change, string>();
    for (const reference of parents[child]!) {
      const shape = shapes[child]!;
      const asked = changes.flatMap((change): (readonly [Change, Key])[] => {
        const isWritten =
          change.op === 'insert' ||
          (change.op === 'update' && reference.places.some((at) => change.columns.includes(at)));
        const key = isWritten ? parentKey(shape, change, reference) : undefined;
        return key === undefined || reference.isPlanned(key) ? [] : [[change, key]];
      });
      if (asked.length === 0) continue;
      const keys = new Map(asked.map(([, key]) => [JSON.stringify(key), key]));
      const there = await stored(reference.parent, [...keys.values()], o);
      for (const [change, key] of asked)
        if (!there.has(JSON.stringify(key))) absent.set(change, outside(reference.parent.pair, key));
    }
    return absent;
  };
};

const outside = (parent: Pair, key: Key): string =>
  `it refers to ${key.join(', ')} of ${tableLabel(parent.target)}, which is outside the sample and not in the target yet`;
