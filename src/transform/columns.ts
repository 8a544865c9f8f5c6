import { closest } from '../lib/suggest.ts';
import { LockstepError } from '../model/errors.ts';
import { type Column, type Table, tableLabel } from '../model/schema.ts';

/** The column of this name: exact, then unique without regard to case; undefined when there is none. */
export const findColumn = (table: Table, name: string): Column | undefined => {
  const exact = table.columns.find((c) => c.name === name);
  if (exact) return exact;
  const alike = table.columns.filter((c) => c.name.toLowerCase() === name.toLowerCase());
  return alike.length === 1 ? alike[0] : undefined;
};

/** Like `findColumn`; throws COLUMN_NOT_FOUND. `where` names the setting. */
export const columnOf = (table: Table, name: string, where: string): Column => {
  const found = findColumn(table, name);
  if (found) return found;
  const names = table.columns.map((c) => c.name);
  const near = closest(name, names);
  throw new LockstepError('COLUMN_NOT_FOUND', `${where}: ${tableLabel(table)} has no column ${name}`, {
    hint: near ? `Did you mean ${near}?` : `Its columns are: ${names.join(', ')}.`,
  });
};
