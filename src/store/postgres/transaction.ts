import type { Cancel } from '../../model/cancel.ts';
import type { Connection, Database } from './database.ts';

/** All or nothing, on one connection. */
export const inTransaction = <T>(
  database: Database,
  o: Cancel,
  use: (connection: Connection) => Promise<T>,
): Promise<T> =>
  database.lend(o, async (connection) => {
    await connection.query('begin', [], o);
    const result = await use(connection);
    await connection.query('commit', [], o);
    return result;
  });
