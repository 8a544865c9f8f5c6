import type { Clock } from '../../lib/clock.ts';
import type { Cancel } from '../../model/cancel.ts';
import { tableLabel } from '../../model/schema.ts';
import { nativeSelection } from '../../model/selection.ts';
import type { Applied, StepMark, TableChanges, Writer, Written } from '../../model/writer.ts';
import {
  beatingLock,
  commitFailure,
  fenced,
  lockHeld,
  lockTtlMs,
  thisProcess,
  unknownHolder,
} from '../sql/step-lock.ts';
import { columnsSql, tableFacts } from './columns.ts';
import { freeLock, hasMarker, makeOwnTables, renewLock, setMarker, takeLock } from './own-tables.ts';
import { literal, tableId } from './quote.ts';
import { advanceSequence } from './sequences.ts';
import type { Session, StatementOptions } from './session.ts';
import type { ServerFacts } from './settings.ts';
import { refuseUnsafe } from './transactional.ts';
import { writeBatch } from './write-batch.ts';
import type { WrittenTable } from './write-sql.ts';

export interface WriterContext {
  readonly side: string;
  readonly clock: Clock;
  readonly facts: ServerFacts;
  readonly random: () => number;
  lend(o: Cancel): Promise<Session>;
  release(session: Session): Promise<void>;
  /** Waits for one that is at work where there is no room for more. */
  lendInTurn(o: Cancel): Promise<Session>;
  keep(session: Session): Promise<void>;
}

const maxBatch = 1000;

export const openWriter = (x: WriterContext): Writer => {
  const tables = new Map<string, WrittenTable>();
  let prepared: Promise<'marker' | 'state'> | undefined;
  let localTokens = 0n;

  const within = async <T>(o: Cancel, work: (session: Session) => Promise<T>): Promise<T> => {
    const session = await x.lendInTurn(o);
    try {
      return await work(session);
    } finally {
      await session.rollback();
      await x.keep(session);
    }
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

  const writtenTable = async (
    session: Session,
    { table, key }: TableChanges,
    at: StatementOptions,
  ): Promise<WrittenTable> => {
    const name = JSON.stringify([tableId(table), ...key]);
    const known = tables.get(name);
    if (known) return known;
    await refuseUnsafe(session, table, at);
    const facts = await tableFacts(session, table, x.facts.mariadb, at);
    const made = { table, columns: columnsSql(nativeSelection(table, key), facts, x.side), width: key.length };
    tables.set(name, made);
    return made;
  };

  /** Everything of a step up to its commit. */
  const runStep = async (
    session: Session,
    mark: StepMark,
    mode: 'marker' | 'state',
    batches: Iterable<TableChanges> | AsyncIterable<TableChanges>,
    at: StatementOptions,
    written: ((w: Written) => void | Promise<void>) | undefined,
  ): Promise<Applied> => {
    await session.query('start transaction', at);
    if (mode === 'marker') {
      const marked = await setMarker(session, mark, at);
      if (marked === 'already') return { status: 'already' };
      if (marked === 'fenced') {
        throw fenced(x.side, mark);
      }
    }
    for await (const batch of batches) {
      const context = {
        session,
        written: await writtenTable(session, batch, at),
        changes: batch.changes,
        maxAllowedPacket: x.facts.maxAllowedPacket,
        random: x.random,
      };
      const result = await writeBatch(context, at.signal);
      if (result.status === 'stale')
        return { status: 'stale', rows: result.rows.map((r) => ({ ...r, table: batch.table })) };
      if (result.status === 'rejected') return { ...result, table: batch.table };
      await written?.({ batch, stored: result.stored });
    }
    await commit(session, mark, at);
    return { status: 'done' };
  };

  const commit = async (session: Session, mark: StepMark, at: StatementOptions): Promise<void> => {
    try {
      await session.raw('commit', at);
    } catch (error) {
      throw commitFailure(x.side, mark, session.explain(error, at), session.broken, error);
    }
  };

  return {
    maxBatch,
    prepare,
    lock: async (holder, o) => {
      const mode = await prepare(o);
      const name = holder.pair;
      const session = await x.lend(o);
      const at: StatementOptions = { signal: o.signal, doing: `taking the lock for ${name}` };
      try {
        const who = thisProcess().slice(0, 255);
        if (mode === 'state') {
          const lock = `concat('lockstep ', md5(${literal(`${session.context.config.database} ${name}`)}))`;
          const [row] = await session.query(`select get_lock(${lock}, 0)`, at);
          if (row![0] !== '1') throw lockHeld(x.side, name, unknownHolder);
          return { token: ++localTokens, [Symbol.asyncDispose]: () => x.release(session) };
        }
        const taken = await takeLock(session, { name, run: holder.run, holder: who }, at);
        if (!taken.taken) {
          const expiresInMs = Math.min(taken.expiresInMs, lockTtlMs);
          throw lockHeld(x.side, name, { ...taken, since: `${taken.since} UTC`, expiresInMs });
        }
        const { token } = taken;
        return beatingLock(token, {
          session,
          clock: x.clock,
          beat: () => renewLock(session, name, token),
          free: () => freeLock(session, name, token),
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
      return within(o, async (session) => {
        try {
          return await runStep(session, mark, mode, batches, at, o.written);
        } catch (error) {
          tables.clear();
          throw error;
        }
      });
    },
    applied: async (mark, o) => {
      if ((await prepare(o)) === 'state') return false;
      return within(o, (session) =>
        hasMarker(session, mark, { signal: o.signal, doing: `looking up step ${mark.step}` }),
      );
    },
    advanceSequences: (tables, o) =>
      within(o, async (session) => {
        for (const table of tables) {
          const at: StatementOptions = { signal: o.signal, doing: `moving on AUTO_INCREMENT of ${tableLabel(table)}` };
          for (const column of table.columns) if (column.serial) await advanceSequence(session, table, column.name, at);
        }
      }),
  };
};
