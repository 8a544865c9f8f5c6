import type { Cancel } from '../../model/cancel.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import type { Position, Reader } from '../../model/reader.ts';
import type { Throttle } from '../sql/throttle.ts';
import { openReader } from './reader.ts';
import type { ServerFacts } from './server-facts.ts';
import type { Session } from './session.ts';
import type { Sessions } from './sessions.ts';

/** Where its sessions come from, and how they read. */
interface SnapshotContext {
  readonly sessions: Sessions;
  readonly throttle: Throttle;
  readonly facts: ServerFacts;
}

/** Takes a snapshot; more sessions that see the same one are opened when they are asked for. */
export const takeSnapshot = async (
  { sessions, throttle, facts }: SnapshotContext,
  c: Parameters<Endpoint['snapshot']>[0],
): Promise<Reader> => {
  const readerOf = (session: Session, position: Position, share?: (again: Cancel) => Promise<Reader>): Reader =>
    openReader({
      session,
      throttle,
      position,
      validUtf8: facts.encoding !== 'SQL_ASCII',
      hashForms: facts.hashForms,
      onQuery: c.onQuery,
      release: () => sessions.rest(session),
      share,
    });
  const session = await sessions.borrow(c);
  try {
    const at = { signal: c.signal, doing: 'taking a snapshot' };
    await session.begin('read', at);
    const [row] = await session.query(
      `select case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn() else pg_catalog.pg_current_wal_insert_lsn() end::text, pg_catalog.pg_current_snapshot()::text`,
      undefined,
      at,
    );
    const position = `lsn ${row![0]} snapshot ${row![1]}` as Position;
    let exported: Promise<string> | undefined;
    return readerOf(session, position, async (again) => {
      exported ??= session
        .query('select pg_catalog.pg_export_snapshot()', undefined, { ...at, signal: again.signal })
        .then((rows) => rows[0]![0]!);
      const snapshot = await exported;
      const other = await sessions.borrow(again);
      try {
        await other.begin('read', { ...at, signal: again.signal }, snapshot);
        return readerOf(other, position);
      } catch (error) {
        await sessions.room.release(other);
        throw error;
      }
    });
  } catch (error) {
    await sessions.room.release(session);
    throw error;
  }
};
