import { id } from '../sql/quote.ts';
import { type Bound, bindCell } from './binds.ts';
import { type CatalogueTable, findTable } from './catalogue.ts';
import type { Bind, Database } from './database.ts';
import { isSqliteFailure, resultCode, resultCodes } from './failures.ts';
import type { LoadArgs } from './operations.ts';

const refusing = new Set<number>([resultCodes.CONSTRAINT, resultCodes.MISMATCH, resultCodes.TOOBIG]);

/** Inserts rows inside the step's transaction; which of them SQLite would not take, and why. */
export const loadRows = (
  db: Database,
  { table, columns, rows }: LoadArgs,
  known: Map<string, CatalogueTable>,
): readonly { readonly index: number; readonly reason: string }[] => {
  let catalogue = known.get(table.name);
  if (catalogue === undefined) {
    catalogue = findTable(db, table.name);
    known.set(table.name, catalogue);
  }
  const { affinities } = catalogue;
  const types = columns.map((name) => table.columns.find((c) => c.name === name)!.type);
  const into = `insert or abort into ${id(table.name)} (${columns.map(id).join(', ')}) values (`;
  const plain = `${into}${columns.map(() => '?').join(', ')})`;
  const refused: { index: number; reason: string }[] = [];
  rows.forEach((row, index) => {
    const values: Bind[] = [];
    const places: string[] = [];
    let odd = false;
    for (let i = 0; i < columns.length; i++) {
      const bound: Bound = bindCell(types[i]!, affinities.get(columns[i]!) ?? 'BLOB', row[i]!, db.encoding);
      if ('reason' in bound) {
        refused.push({ index, reason: `${columns[i]} cannot be stored: ${bound.reason}` });
        return;
      }
      odd ||= bound.sql !== '?';
      places.push(bound.sql);
      values.push(bound.value);
    }
    try {
      db.run(odd ? `${into}${places.join(', ')})` : plain, ...values);
    } catch (error) {
      if (!isSqliteFailure(error) || !refusing.has(resultCode(error)!)) throw error;
      refused.push({ index, reason: error.message });
    }
  });
  return refused;
};
