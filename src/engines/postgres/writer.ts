import type { Clock } from '../../lib/clock.ts';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import { type Table, tableLabel } from '../../model/schema.ts';
import { nativeSelection } from '../../model/selection.ts';
import type { Applied, StepMark, TableChanges, Writer, Written } from '../../model/writer.ts';
import { tableId } from '../sql/quote.ts';
import type { Room } from '../sql/room.ts';
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
import { refusalReason } from './failures.ts';
import { freeLock, hasMarker, makeOwnTables, renewLock, setMarker, takeLock } from './own-tables.ts';
import { behindPooler } from './pooler.ts';
import { advanceSequence } from './sequences.ts';
import type { Session, StatementOptions } from './session.ts';
import { type WrittenTable, writeBatch } from './write-batch.ts';
import { hashedWrites, imageHasher, tableHabits } from './write-hashed.ts';

export interface WriterContext {
  readonly side: string;
  readonly clock: Clock;
  /** How rows are hashed here and there; absent: the server does not hash as we do, and cells are compared. */
  readonly hash?: HashSpec | undefined;
  readonly room: Room<Session>;
}

const maxBatch = 5000;

/** The lock of a session is nobody's when sessions are handed round. */
const noLock = (side: string, name: string): LockstepError =>
  new LockstepError(
    'PRIVILEGE',
    `${side}: the lock for ${name} cannot be kept through a connection pooler without a table for it, and there is no right to create one`,
    {
      side,
      hint: 'Grant CREATE on the database (our tables are made in a schema of their own), or connect to the server itself.',
    },
  );

/** The images are read only if somebody looks. */
const storedAsPlanned = (batch: TableChanges): Written => ({
  batch,
  asPlanned: true,
  get stored() {
    return batch.changes.map((change) => change.after);
  },
});

export const openWriter = (x: WriterContext): Writer => {
  const tables = new Map<string, WrittenTable>();
  let prepared: Promise<'marker' | 'state'> | undefined;
  let localTokens = 0n;

  const within = async <T>(o: Cancel, work: (session: Session) => Promise<T>): Promise<T> => {
    const session = await x.room.lendInTurn(o);
    try {
      return await work(session);
    } finally {
      await session.rollback();
      await x.room.keep(session);
    }
  };

  const prepare = (o: Cancel): Promise<'marker' | 'state'> => {
    prepared ??= within(o, async (session) =>
      (await makeOwnTables(session, {
        signal: o.signal,
        doing: 'preparing the marker table',
        table: 'schema lockstep',
        privilege: 'create',
      }))
        ? 'marker'
        : 'state',
    );
    prepared.catch(() => {
      prepared = undefined;
    });
    return prepared;
  };

  const writtenTable = async (
    session: Session,
    { table, key, hash: planned }: TableChanges,
    at: StatementOptions,
  ): Promise<WrittenTable> => {
    const hash = x.hash && (planned ?? x.hash);
    const name = JSON.stringify([tableId(table), key, String(hash?.seed), hash?.form]);
    const known = tables.get(name);
    if (known) return known;
    const columns = columnsSql(nativeSelection(table, key), await tableFacts(session, table, at), x.side);
    const habits = await tableHabits(session, table, at);
    const hashed = hash && hashedWrites(table, key, columns, { hash, habits });
    const made: WrittenTable = { columns, hashed };
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
    await session.begin('write', at);
    if (mode === 'marker') {
      const marked = await setMarker(session, mark, at);
      if (marked === 'already') return { status: 'already' };
      if (marked === 'fenced') {
        throw fenced(x.side, mark);
      }
    }
    let last: Table | undefined;
    for await (const batch of batches) {
      last = batch.table;
      const result = await writeBatch(session, await writtenTable(session, batch, at), batch, at.signal);
      if (result.status === 'stale')
        return { status: 'stale', rows: result.rows.map((r) => ({ ...r, table: batch.table })) };
      if (result.status === 'rejected') return { ...result, table: batch.table };
      await written?.(result.stored === undefined ? storedAsPlanned(batch) : { batch, stored: result.stored });
    }
    try {
      // together: what a constraint refuses now is not committed
      const { command } = await session.raw('set constraints all immediate; commit', undefined, at);
      // the server answers a commit of a failed transaction with its roll-back, and without an error
      if (command !== 'COMMIT')
        throw new LockstepError('INTERNAL', `${x.side}: step ${mark.step} was rolled back at its commit`);
    } catch (error) {
      const refused = refusalReason(error);
      if (refused !== undefined && last !== undefined) return { status: 'rejected', table: last, ...refused };
      throw commitFailure(x.side, mark, session.explain(error, at), session.broken, error);
    }
    return { status: 'done' };
  };

  return {
    maxBatch,
    prepare,
    lock: async (holder, o) => {
      const mode = await prepare(o);
      const name = holder.pair;
      const doing = `taking the lock for ${name}`;
      const session = await x.room.lend(o);
      const at: StatementOptions = { signal: o.signal, doing };
      try {
        const who = thisProcess();
        if (mode === 'state') {
          if (await behindPooler(session, at)) throw noLock(x.side, name);
          const [row] = await session.query(
            `select pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended('lockstep ' || $1, 0))::text`,
            [name],
            at,
          );
          if (row![0] !== 'true') throw lockHeld(x.side, name, unknownHolder);
          return { token: ++localTokens, [Symbol.asyncDispose]: () => x.room.release(session) };
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
          release: () => x.room.release(session),
        });
      } catch (error) {
        await x.room.release(session);
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
      return within(o, async (session) => {
        const at: StatementOptions = { signal: o.signal, doing: `looking up step ${mark.step}` };
        await session.begin('read', at);
        return hasMarker(session, mark, at);
      });
    },
    ...(x.hash === undefined
      ? {}
      : {
          hashing: {
            spec: x.hash,
            of: (table, key, hash, o) =>
              within(o, async (session) => {
                const at: StatementOptions = {
                  signal: o.signal,
                  doing: `reading the catalogue of ${tableLabel(table)}`,
                };
                await session.begin('read', at);
                const columns = columnsSql(nativeSelection(table, key), await tableFacts(session, table, at), x.side);
                return imageHasher(table, columns, hash);
              }),
          },
        }),
    advanceSequences: (tables, o) =>
      within(o, async (session) => {
        for (const table of tables) {
          const at: StatementOptions = { signal: o.signal, doing: `moving on the sequences of ${tableLabel(table)}` };
          await session.begin('write', at);
          for (const column of table.columns) {
            if (column.serial || column.generated === 'identity')
              await advanceSequence(session, table, column.name, at);
          }
          await session.query('commit', undefined, at);
        }
      }),
  };
};
