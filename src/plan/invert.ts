import type { Change } from '../model/change.ts';
import type { Cell, Row } from '../model/row.ts';
import type { Column } from '../model/schema.ts';

/** Why part of a row is not taken back. */
export interface Kept {
  /** Columns whose value is no longer what was written; empty: the row as a whole. */
  readonly columns: readonly string[];
  readonly reason: string;
}

export interface Inverse {
  /** Undefined: there is nothing to take back (any more). */
  readonly change: Change | undefined;
  readonly kept?: Kept;
}

const sameRow = (a: Row, b: Row): boolean => a.every((cell, i) => cell === b[i]);

/**
 * Takes one write back, cell by cell: only what still holds what was written is restored; what others edited since
 * is kept and told. `stored`: the row as it was left by the write; `now`: as it is.
 */
export const invert = (columns: readonly Column[], change: Change, stored: Row | null, now: Row | null): Inverse => {
  const writable = (at: number): boolean => columns[at]!.generated !== 'always';
  const names = (places: readonly number[]): readonly string[] => places.map((at) => columns[at]!.name);
  if (change.op === 'insert') {
    if (now === null) return { change: undefined };
    const edited = now.flatMap((cell, at) => (cell === stored?.[at] ? [] : [at]));
    if (edited.length > 0) {
      return { change: undefined, kept: { columns: names(edited), reason: 'the inserted row was edited since' } };
    }
    return { change: { key: change.key, op: 'delete', before: now, after: null } };
  }
  if (change.op === 'delete') {
    if (now !== null) {
      if (sameRow(now, change.before)) return { change: undefined };
      return { change: undefined, kept: { columns: [], reason: 'another row has taken the key of the deleted one' } };
    }
    const written = columns.flatMap((_, at) => (writable(at) ? [at] : []));
    return { change: { key: change.key, op: 'insert', before: null, after: change.before, columns: written } };
  }
  const touched = change.before.flatMap((cell, at) => (cell !== stored?.[at] && writable(at) ? [at] : []));
  if (now === null) {
    return { change: undefined, kept: { columns: names(touched), reason: 'the updated row was deleted since' } };
  }
  const edited = touched.filter((at) => now[at] !== stored?.[at] && now[at] !== change.before[at]);
  const restored = touched.filter((at) => now[at] === stored?.[at]);
  const after: Cell[] = [...now];
  for (const at of restored) after[at] = change.before[at]!;
  return {
    change:
      restored.length === 0 ? undefined : { key: change.key, op: 'update', before: now, after, columns: restored },
    ...(edited.length === 0 ? {} : { kept: { columns: names(edited), reason: 'edited since' } }),
  };
};
