import type { Clock } from '../../lib/clock.ts';
import type { Cancel } from '../../model/cancel.ts';
import { tableLabel } from '../../model/schema.ts';
import { nativeSelection } from '../../model/selection.ts';
import type { Applied, StepMark, TableChanges, Writer, Written } from '../../model/writer.ts';
import { beatingLock, commitFailure, lockHeld, thisProcess } from '../sql/step-lock.ts';
import { tableFacts } from './catalogue.ts';
import { type ColumnSql, columnsSql } from './columns.ts';
import { beginStep, freeLock, hasMarker, makeOwnTables, renewHeld, renewLock, takeLock } from './own-tables.ts';
import { advanceSequences } from './sequences.ts';
import type { Session, StatementOptions } from './session.ts';
import { writeBatch } from './write-batch.ts';

export interface WriterContext {
  readonly side: string;
  readonly clock: Clock;
  readonly noneCharset: string;
  lend(o: Cancel): Promise<Session>;
  release(session: Session): Promise<void>;
}

const maxBatch = 1000;

/** Writes one step at a time: two transactions that write beside each other would only get into each other's way. */
export const openWriter = (x: WriterContext): Writer => {
  let turn: Promise<unknown> = Promise.resolve();
  let prepared: Promise<'marker' | 'state'> | undefined;
  let localTokens = 0n;

  const within = async <T>(o: Cancel, work: (session: Session) => Promise<T>): Promise<T> => {
    const session = await x.lend(o);
    try {
      return await work(session);
    } finally {
      await x.release(session);
    }
  };
  /** Runs `work` when all that came before is done. */
  const alone = <T>(o: Cancel, work: (session: Session) => Promise<T>): Promise<T> => {
    const mine = turn.then(() => within(o, work));
    turn = mine.catch(() => {});
    return mine;
  };

  const prepare = (o: Cancel): Promise<'marker' | 'state'> => {
    prepared ??= within(o, async (session) =>
      (await makeOwnTables(session, { signal: o.signal, doing: 'preparing the marker table' })) ? 'marker' : 'state',
    );
    prepared.catch(() => {
      prepared = undefined;
    });
    return prepared;
  };

  const runStep = async (
    session: Session,
    mark: StepMark,
    mode: 'marker' | 'state',
    batches: Iterable<TableChanges> | AsyncIterable<TableChanges>,
    at: StatementOptions,
    written: ((w: Written) => void | Promise<void>) | undefined,
  ): Promise<Applied> => {
    if (mode === 'state') await session.begin('write', at);
    else if ((await beginStep(session, mark, at)) === 'already') return { status: 'already' };
    const known = new Map<string, readonly ColumnSql[]>();
    for await (const batch of batches) {
      const { table, key } = batch;
      const name = JSON.stringify([table.name, ...key]);
      let columns = known.get(name);
      if (!columns) {
        const facts = await tableFacts(session, table, at);
        columns = columnsSql(nativeSelection(table, key), facts.columns, { side: x.side, noneCharset: x.noneCharset });
        known.set(name, columns);
      }
      const result = await writeBatch(session, columns, batch, at.signal);
      if (result.status === 'stale') return { status: 'stale', rows: result.rows.map((r) => ({ ...r, table })) };
      if (result.status === 'rejected') return { ...result, table };
      await written?.({ batch, stored: result.stored });
      at.signal.throwIfAborted();
    }
    try {
      if (mode === 'marker') await renewHeld(session, mark.token, at);
    } catch (error) {
      throw session.explain(error, at);
    }
    await commit(session, mark, at);
    return { status: 'done' };
  };

  const commit = async (session: Session, mark: StepMark, at: StatementOptions): Promise<void> => {
    at.signal.throwIfAborted();
    try {
      await session.commit(at);
    } catch (error) {
      throw commitFailure(x.side, mark, session.explain(error, at), session.broken, error);
    }
  };

  return {
    maxBatch,
    prepare,
    lock: async (holder, o) => {
      // Without the right to our tables there is no lock: the state of the rows guards, as the output says.
      if ((await prepare(o)) === 'state') return { token: ++localTokens, [Symbol.asyncDispose]: async () => {} };
      const name = holder.pair;
      const session = await x.lend(o);
      try {
        const at: StatementOptions = { signal: o.signal, doing: `taking the lock for ${name}` };
        const who = thisProcess();
        const taken = await takeLock(session, { name, run: holder.run, holder: who }, at);
        if (!taken.taken) throw lockHeld(x.side, name, { ...taken, since: `${taken.since} of the server` });
        const { token } = taken;
        return beatingLock(token, {
          session,
          clock: x.clock,
          beat: () => renewLock(session, token),
          free: () => freeLock(session, token),
          release: () => x.release(session),
        });
      } catch (error) {
        await x.release(session);
        throw error;
      }
    },
    apply: async (mark, batches, o) => {
      const mode = await prepare(o);
      const at: StatementOptions = { signal: o.signal, doing: `writing step ${mark.step}` };
      return alone(o, (session) => runStep(session, mark, mode, batches, at, o.written));
    },
    applied: async (mark, o) => {
      if ((await prepare(o)) === 'state') return false;
      return within(o, async (session) => {
        const at: StatementOptions = { signal: o.signal, doing: `looking up step ${mark.step}` };
        await session.begin('read', at);
        return hasMarker(session, mark, at);
      });
    },
    advanceSequences: (tables, o) =>
      alone(o, async (session) => {
        for (const table of tables) {
          const at: StatementOptions = { signal: o.signal, doing: `moving on the generators of ${tableLabel(table)}` };
          await session.begin('write', at);
          await advanceSequences(session, table, at);
          await session.rollback();
        }
      }),
  };
};
