import { LockstepError } from '../../model/errors.ts';
import { type Table, tableLabel } from '../../model/schema.ts';
import { literal, tableId } from './quote.ts';
import type { Session, StatementOptions } from './session.ts';

/**
 * What is written must be undone by a roll-back: MyISAM and the like keep half of a step. Throws NOT_WRITABLE for
 * them, and for views.
 */
export const refuseUnsafe = async (session: Session, table: Table, at: StatementOptions): Promise<void> => {
  const database = table.schema ?? session.context.config.database;
  const [row] = await session.query(
    `select t.table_type, t.engine, e.transactions from information_schema.tables t
     left join information_schema.engines e on e.engine = t.engine
     where t.table_schema = ${literal(database)} and t.table_name = ${literal(table.name)}`,
    at,
  );
  const [type, engine, transactions] = row ?? [];
  if (type === 'VIEW' || engine == null) {
    throw new LockstepError(
      'NOT_WRITABLE',
      `${session.context.name}: ${tableLabel(table)} is a view and cannot be written`,
      {
        side: session.context.name,
      },
    );
  }
  if (transactions === 'YES') return;
  throw new LockstepError(
    'NOT_WRITABLE',
    `${session.context.name}: ${tableLabel(table)} is kept by ${engine}, which has no transactions: what fails halfway could not be undone`,
    { side: session.context.name, hint: `alter table ${tableId(table)} engine = InnoDB;` },
  );
};
