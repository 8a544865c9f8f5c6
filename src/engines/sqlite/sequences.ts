import type { Table } from '../../model/schema.ts';
import { id } from '../sql/quote.ts';
import { findTable, rowidName } from './catalogue.ts';
import type { Database } from './database.ts';

/** Moves the counters of AUTOINCREMENT tables past their greatest rowid; other tables count from what they hold. */
export const advanceSequences = (db: Database, tables: readonly Table[]): void => {
  for (const { name } of tables) {
    const table = findTable(db, name);
    const rowid = rowidName(table);
    if (!table.autoincrement || rowid === undefined) continue;
    const greatest = `(select max(${rowid}) from ${id(name)})`;
    const moved = db.run(`update sqlite_sequence set seq = max(seq, coalesce(${greatest}, 0)) where name = ?`, name);
    if (moved === 0) db.run(`insert into sqlite_sequence (name, seq) values (?, coalesce(${greatest}, 0))`, name);
  }
};
