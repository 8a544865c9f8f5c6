import type { Change } from '../../model/change.ts';
import type { Row } from '../../model/row.ts';
import { columnOf, type Work } from './write-sql.ts';

/** A change of the batch, and the places of the references to its own table that cannot hold while it is written. */
export interface SelfLinked {
  readonly change: Change;
  readonly places: readonly number[];
}

/**
 * Foreign keys are checked row by row, so that new rows that refer to each other in a ring could not be inserted, nor
 * old ones deleted: such references are set after the inserts, and let go before the deletes. `changes` are all of one
 * kind, in the order they are written. Only nullable columns apart from the key can wait.
 */
export const selfLinks = (w: Work, changes: readonly Change[]): readonly SelfLinked[] => {
  const { table, selection } = w;
  const own = table.foreignKeys.filter((k) => k.references.name === table.name);
  const op = changes[0]?.op;
  if (own.length === 0 || op === undefined || op === 'update') return [];
  const image = (change: Change): Row => (change.op === 'delete' ? change.before : change.after);
  const place = (name: string): number => w.columns.findIndex((c) => c.column.name === name);
  const identity = (row: Row, at: readonly number[]): string | undefined => {
    const cells = at.map((i) => row[i] ?? null);
    return cells.includes(null) ? undefined : JSON.stringify(cells);
  };
  const references = own.map((key) => {
    const to = key.referencedColumns.map(place);
    const found = new Map(changes.map((change, i) => [identity(image(change), to), i]));
    found.delete(undefined);
    return { from: key.columns.map(place), found };
  });
  return changes.flatMap((change, i) => {
    const row = image(change);
    const places = new Set<number>();
    for (const { from, found } of references) {
      const id = identity(row, from);
      const other = id === undefined ? undefined : found.get(id);
      if (other === undefined || (op === 'insert' ? other < i : other > i)) continue;
      for (const at of from) if (at >= selection.keyWidth && columnOf(w, at).nullable) places.add(at);
    }
    return places.size === 0 ? [] : [{ change, places: [...places] }];
  });
};
