import { closest } from '../lib/suggest.ts';
import { LockstepError } from '../model/errors.ts';
import { type Column, type Table, tableLabel } from '../model/schema.ts';
import type { SelectedColumn } from '../model/selected.ts';

/** The column of this name: exact, then unique without regard to case; undefined when there is none. */
export const findColumn = (table: Table, name: string): Column | undefined => {
  const exact = table.columns.find((c) => c.name === name);
  if (exact) return exact;
  const alike = table.columns.filter((c) => c.name.toLowerCase() === name.toLowerCase());
  return alike.length === 1 ? alike[0] : undefined;
};

/** A column to be read as its own type. */
export const asStored = ({ name, type, loose }: Column): SelectedColumn => ({
  name,
  stored: type,
  as: type,
  ...(loose ? { loose: true as const } : {}),
});

/** Throws CONFIG for a column whose cells no SQL shows. */
export const readable = (column: Column, where: string): Column => {
  if (column.unreadable === undefined) return column;
  throw new LockstepError('CONFIG', `${where}: ${column.name} cannot be read: ${column.unreadable}`);
};

/** Like `findColumn`; throws COLUMN_NOT_FOUND. `where` names the setting. */
export const columnOf = (table: Table, name: string, where: string): Column => {
  const found = findColumn(table, name);
  if (found) return readable(found, where);
  const names = table.columns.map((c) => c.name);
  const near = closest(name, names);
  throw new LockstepError('COLUMN_NOT_FOUND', `${where}: ${tableLabel(table)} has no column ${name}`, {
    hint: near ? `Did you mean ${near}?` : `Its columns are: ${names.join(', ')}.`,
  });
};
