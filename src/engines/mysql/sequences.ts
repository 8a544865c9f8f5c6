import type { Table } from '../../model/schema.ts';
import { id, literal, tableId } from './quote.ts';
import type { Session, StatementOptions } from './session.ts';

/**
 * Moves AUTO_INCREMENT past the column's greatest value. InnoDB does so itself when rows are inserted with a value, but
 * not when a value is changed. A definition, so it ends a transaction: outside of any, and only where it must be.
 */
export const advanceSequence = async (
  session: Session,
  table: Table,
  column: string,
  o: StatementOptions,
): Promise<void> => {
  const database = table.schema ?? session.context.config.database;
  const [next] = await session.query(
    `select auto_increment from information_schema.tables where table_schema = ${literal(database)} and table_name = ${literal(table.name)}`,
    o,
  );
  const [greatest] = await session.query(`select max(${id(column)}) + 0 from ${tableId(table)}`, o);
  if (next?.[0] == null || greatest?.[0] == null || !/^\d+$/.test(greatest[0])) return;
  if (BigInt(greatest[0]) < BigInt(next[0])) return;
  await session.query(`alter table ${tableId(table)} auto_increment = ${BigInt(greatest[0]) + 1n}`, o);
};
