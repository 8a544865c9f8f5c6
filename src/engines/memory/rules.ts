import type { Row } from '../../model/row.ts';
import { type ForeignKey, tableLabel } from '../../model/schema.ts';
import type { MemoryDatabase } from './store.ts';

type RowsOf = (label: string) => readonly (Row | undefined)[];

/**
 * Which constraint is broken, in words: by one row (NOT NULL, length, check), or by the tables after a batch (unique
 * keys, foreign keys that cannot wait) or at commit (all foreign keys).
 */
export const brokenRule = (
  database: MemoryDatabase,
  rowsOf: RowsOf,
  label: string,
  what: Row | 'batch' | 'commit',
): string | undefined => {
  const { table, check } = database.tables.get(label)!;
  const column = (name: string): number => table.columns.findIndex((c) => c.name === name);
  if (typeof what !== 'string') {
    for (const [i, c] of table.columns.entries()) {
      const cell = what[i] ?? null;
      if (cell === null && !c.nullable) return `null value in column "${c.name}" of "${label}"`;
      if (cell !== null && c.type.kind === 'text' && [...cell].length > (c.type.maxLength ?? Infinity)) {
        return `value too long for column "${c.name}" of "${label}"`;
      }
    }
    return check?.(Object.fromEntries(table.columns.map((c, i) => [c.name, what[i]!])));
  }
  if (what === 'batch') {
    for (const unique of table.uniques) {
      const at = unique.columns.map(column);
      const seen = new Set<string>();
      for (const row of rowsOf(label)) {
        if (!row || at.some((i) => row[i] === null)) continue;
        const key = JSON.stringify(at.map((i) => row[i]));
        if (seen.has(key)) return `duplicate key value violates unique constraint "${unique.name}"`;
        seen.add(key);
      }
    }
  }
  for (const other of database.tables.values()) {
    for (const fk of other.table.foreignKeys) {
      if (what === 'batch' && fk.deferrable) continue;
      if (tableLabel(other.table) !== label && tableLabel(fk.references) !== label) continue;
      if (orphan(database, rowsOf, tableLabel(other.table), fk)) {
        return `rows of "${tableLabel(other.table)}" violate foreign key constraint "${fk.name}"`;
      }
    }
  }
  return undefined;
};

const orphan = (database: MemoryDatabase, rowsOf: RowsOf, label: string, fk: ForeignKey): boolean => {
  const child = database.tables.get(label)!.table;
  const parent = database.find(fk.references).table;
  const childAt = fk.columns.map((name) => child.columns.findIndex((c) => c.name === name));
  const parentAt = fk.referencedColumns.map((name) => parent.columns.findIndex((c) => c.name === name));
  const parents = new Set(
    rowsOf(tableLabel(parent)).flatMap((row) => (row ? [JSON.stringify(parentAt.map((i) => row[i]))] : [])),
  );
  return rowsOf(label).some(
    (row) => row && childAt.every((i) => row[i] !== null) && !parents.has(JSON.stringify(childAt.map((i) => row[i]))),
  );
};
