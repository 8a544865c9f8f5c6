import type { Loader } from '../../model/build.ts';
import type { Cancel } from '../../model/cancel.ts';
import type { Change } from '../../model/change.ts';
import type { Batch, Row } from '../../model/row.ts';
import { tableLabel } from '../../model/schema.ts';
import type { Selection } from '../../model/selected.ts';
import { commitFailure } from '../sql/step-lock.ts';
import { tableFacts } from './catalogue.ts';
import { columnsSql } from './columns.ts';
import { beginStep, renewHeld } from './own-tables.ts';
import { runAll } from './run-statements.ts';
import type { Session, StatementOptions } from './session.ts';
import { insertOf, Refused, type Statement, type Work } from './write-sql.ts';

export interface LoaderContext {
  readonly side: string;
  readonly noneCharset: string;
  lend(o: Cancel): Promise<Session>;
  release(session: Session): Promise<void>;
  prepare(o: Cancel): Promise<'marker' | 'state'>;
}

const stepRows = 20_000;
const groupRows = 1000;

/** Loads by blocks of inserts, one step at a time: two writing transactions would only get into each other's way. */
export const openLoader = (x: LoaderContext): Loader => ({
  stepRows,
  lanes: 1,
  load: async (mark, table, columns, rows, o) => {
    const mode = await x.prepare(o);
    const at: StatementOptions = {
      signal: o.signal,
      doing: `loading ${tableLabel(table)}`,
      table: table.name,
      privilege: 'insert',
    };
    const session = await x.lend(o);
    try {
      if (mode === 'state') await session.begin('write', at);
      else if ((await beginStep(session, mark, at)) === 'already') return { status: 'already' as const };
      const selection: Selection = {
        table: { name: table.name },
        columns: columns.map((name) => {
          const c = table.columns.find((column) => column.name === name)!;
          return { name, stored: c.type, as: c.type };
        }),
        keyWidth: 0,
      };
      const facts = await tableFacts(session, table, at);
      const known = columnsSql(selection, facts.columns, { side: x.side, noneCharset: x.noneCharset });
      const w: Work = { session, table, selection, columns: known, at };
      const places = columns.map((_, i) => i);
      /** Halves what the server refuses until it is one row. */
      const insert = async (some: Batch<Row>): Promise<number> => {
        if (some.length === 0) return 0;
        try {
          const statements: Statement[] = [];
          for (const after of some) {
            const change: Change = { op: 'insert', key: [], before: null, after, columns: places };
            statements.push(await insertOf(w, change));
          }
          await runAll(w, statements);
          return some.length;
        } catch (error) {
          if (!(error instanceof Refused)) throw session.explain(error, at);
          if (some.length === 1) {
            o.refused(some[0]!, error.message);
            return 0;
          }
          throw error;
        }
      };
      const insertAll = async (some: Batch<Row>): Promise<number> => {
        await session.query('savepoint lockstep_rows', at);
        try {
          return await insert(some);
        } catch (error) {
          if (!(error instanceof Refused)) throw error;
          // some of its blocks may be in
          await session.query('rollback to savepoint lockstep_rows', at);
          const half = some.length >> 1;
          return (await insertAll(some.slice(0, half))) + (await insertAll(some.slice(half)));
        }
      };
      let written = 0;
      for await (const batch of rows) {
        for (let i = 0; i < batch.length; i += groupRows) written += await insertAll(batch.slice(i, i + groupRows));
        o.signal.throwIfAborted();
      }
      await o.beforeCommit();
      try {
        if (mode === 'marker') await renewHeld(session, mark.token, at);
        await session.commit(at);
      } catch (error) {
        throw commitFailure(x.side, mark, session.explain(error, at), session.broken, error);
      }
      return { status: 'done' as const, rows: written };
    } finally {
      await x.release(session);
    }
  },
});
