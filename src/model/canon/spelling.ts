import type { Cell } from '../row.ts';
import type { ColumnType } from '../schema.ts';
import { canonical } from './canonical.ts';
import { isMisfit } from './misfit.ts';
import { storedAgain } from './stored.ts';

/**
 * An exact cell (`SelectedColumn.exact`) is the canonical text wherever writing that leaves what is stored, byte for
 * byte. Otherwise it is the spelling: in a loose column (SQLite) a misfit of what is stored, though the column's type
 * could read it (`2024-02-29T12:00:00`, a uuid in a blob, the text `true` in a BOOLEAN column); in PostgreSQL JSON
 * and numbers as they were written (`{"a": 1}`, `1.50`).
 *
 * This is the value of one, in canonical text. A canonical text is itself.
 */
export const plainCell = (type: ColumnType, cell: Cell): Cell => {
  if (cell === null) return null;
  if (isMisfit(cell)) return storedAgain(type, type, cell);
  return type.kind === 'json' || type.kind === 'decimal' ? canonical(type, cell) : cell;
};

/** Does a stored cell hold what was to be written? A canonical value in any spelling; a spelling only in itself. */
export const holds = (type: ColumnType, stored: Cell, wanted: Cell): boolean =>
  stored === wanted || (stored !== null && wanted !== null && plainCell(type, stored) === wanted);

/** Two exact cells as they may be shown beside each other: as values, or as spellings where only those differ. */
export const shownSpellings = (type: ColumnType, a: Cell, b: Cell): readonly [Cell, Cell] => {
  const plain = [plainCell(type, a), plainCell(type, b)] as const;
  return plain[0] === plain[1] && a !== b ? [a, b] : plain;
};
