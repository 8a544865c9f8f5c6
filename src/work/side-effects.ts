import type { NotCompared, Pair } from '../model/pair.ts';
import { tableLabel } from '../model/schema.ts';

/**
 * Tables whose rows the target may have changed by itself while updates were written: a foreign key with `on update
 * cascade` (or set null, set default) onto columns other than the parent's compared key. Reading the touched keys
 * again does not see such rows, so a run that wrote them cannot vouch for these tables.
 */
export const changedByTarget = (pairs: readonly Pair[]): readonly NotCompared[] =>
  pairs.flatMap((child) =>
    child.target.foreignKeys.flatMap((key): NotCompared[] => {
      if (key.onUpdate === undefined) return [];
      const parent = pairs.find(
        ({ target }) =>
          target.name.toLowerCase() === key.references.name.toLowerCase() &&
          (key.references.schema === undefined ||
            target.schema === undefined ||
            key.references.schema === target.schema),
      );
      const fixed = parent?.columns.slice(0, parent.keyWidth).map((c) => c.target.name) ?? [];
      if (parent === undefined || key.referencedColumns.every((name) => fixed.includes(name))) return [];
      return [
        {
          what: tableLabel(child.target),
          reason: `updates of ${tableLabel(parent.target)} may have changed its rows through the foreign key ${key.name} (on update ${key.onUpdate.replace('_', ' ')})`,
          fix: 'compare again: lockstep diff, with the same arguments',
        },
      ];
    }),
  );
