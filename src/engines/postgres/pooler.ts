import type { Session, StatementOptions } from './session.ts';

/**
 * Is there a pooler such as PgBouncer between us and the server? It gives itself away: the process that it named at
 * connect is not the one that answers. Transactions are whole through one; what a session keeps between them is not.
 */
export const behindPooler = async (session: Session, o: StatementOptions): Promise<boolean> => {
  const { processID } = session.client as unknown as { readonly processID: number | null };
  const [row] = await session.query('select pg_catalog.pg_backend_pid()::text', undefined, o);
  return Number(row![0]) !== processID;
};
