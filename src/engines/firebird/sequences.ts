import type { Table } from '../../model/schema.ts';
import { id, literal } from '../sql/quote.ts';
import { tableFacts, triggerGenerators } from './catalogue.ts';
import type { Session, StatementOptions } from './session.ts';

/**
 * Moves the generators behind a table's identity columns, and those that its triggers draw its key from, past the
 * greatest value; never back. A generator is no part of a transaction: it is moved by steps, never set.
 */
export const advanceSequences = async (session: Session, table: Table, o: StatementOptions): Promise<void> => {
  const serial = table.columns.filter((c) => c.serial);
  if (serial.length === 0) return;
  const facts = await tableFacts(session, table, o);
  for (const column of serial) {
    const own = facts.columns.get(column.name)?.generator;
    const generators = own === undefined ? await triggerGenerators(session, table.name, column.name, o) : [own];
    for (const generator of generators) {
      const [found] = await session.query(
        `select coalesce(rdb$generator_increment, 1) from rdb$generators where rdb$generator_name = ${literal(generator)}`,
        o,
      );
      const down = String(found?.[0] ?? '1').startsWith('-');
      const [row] = await session.query(
        `select gen_id(${id(generator)}, 0), (select ${down ? 'min' : 'max'}(${id(column.name)}) from ${id(table.name)}) from rdb$database`,
        o,
      );
      if (row![1] === null) continue;
      const step = BigInt(row![1] as string) - BigInt(row![0] as string);
      // What others draw meanwhile is added to: the sum is never lower than the greatest value.
      if (down ? step < 0n : step > 0n)
        await session.query(`select gen_id(${id(generator)}, ${step}) from rdb$database`, o);
    }
  }
};
