import type { RawRow, Session, StatementOptions } from './session.ts';

/**
 * Is there a pooler such as PgBouncer between us and the server? It gives itself away: the process that it named at
 * connect is not the one that answers. Transactions are whole through one; what a session keeps between them is not.
 */
export const behindPooler = async (session: Session, o: StatementOptions): Promise<boolean> => {
  const { processID } = session.client as unknown as { readonly processID: number | null };
  const [row] = await session.query('select pg_catalog.pg_backend_pid()::text', undefined, o);
  return Number(row![0]) !== processID;
};

const pooled = new WeakMap<Session, boolean>();

/** The same, asked once for each session. */
export const isPooled = async (session: Session, o: StatementOptions): Promise<boolean> => {
  let behind = pooled.get(session);
  if (behind === undefined) {
    behind = await behindPooler(session, o);
    pooled.set(session, behind);
  }
  return behind;
};

/**
 * Rows of a statement that is sent with every step, which the server therefore keeps parsed and planned under `name`: one
 * name for one text. Behind a pooler, where the next step may meet another server process, it is parsed each time.
 */
export const preparedHere = async (
  session: Session,
  name: string,
  sql: string,
  values: readonly string[],
  o: StatementOptions,
): Promise<RawRow[]> => {
  const behind = await isPooled(session, o);
  try {
    return await session.prepared(behind ? undefined : name, sql, values, o);
  } catch (error) {
    throw session.explain(error, o);
  }
};
