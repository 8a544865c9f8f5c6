import type { Clock } from '../../lib/clock.ts';
import type { Cancel } from '../../model/cancel.ts';
import { type Room, room } from '../sql/room.ts';
import { openClient } from './connect.ts';
import { Session, type SessionContext, type StatementOptions } from './session.ts';

/**
 * So long a session that has read is kept for the next one, ms: connecting, and what a new session reads of the catalogue,
 * cost 20 ms. Not longer: what lies between may forget a connection that is silent, and tell nobody.
 */
const restMs = 2000;

/** Connects one session. */
export const openSession = async (context: SessionContext, o: Cancel): Promise<Session> =>
  new Session(context, await openClient(context.config, context.tls, context.name, o.signal));

/** Ends a session, whatever state it is in. */
export const closeSession = async (session: Session): Promise<void> => {
  await session.rollback();
  await session[Symbol.asyncDispose]();
};

/** The sessions of one endpoint. */
export interface Sessions {
  readonly room: Room<Session>;
  /** One to read with: one that rests, else a new one. */
  borrow(o: Cancel): Promise<Session>;
  /** Gives back a session that has read. It is kept for a moment: most often the next one is wanted at once. */
  rest(session: Session): Promise<void>;
  /** Reads in a transaction of its own. */
  within<T>(doing: string, c: Cancel, work: (s: Session, at: StatementOptions) => Promise<T>): Promise<T>;
  closeAll(): Promise<void>;
}

/** Opens none yet. */
export const sessionsOf = (context: SessionContext, clock: Clock): Sessions => {
  const connections = room<Session>({
    name: context.name,
    max: context.config.poolMax,
    open: (c) => openSession(context, c),
    close: closeSession,
  });
  const ending = new AbortController();
  const rest = async (session: Session): Promise<void> => {
    await session.rollback();
    await connections.keep(session);
    clock.sleep(restMs, ending.signal).then(
      () => connections.drop(session),
      () => {},
    );
  };
  return {
    room: connections,
    borrow: async (c) => connections.takeKept() ?? (await connections.lend(c)),
    rest,
    within: async (doing, c, work) => {
      // rows may be at work on every connection: their turn ends soon
      const session = await connections.lendInTurn(c);
      try {
        const at = { signal: c.signal, doing };
        await session.begin('read', at);
        return await work(session, at);
      } finally {
        await rest(session);
      }
    },
    closeAll: async () => {
      ending.abort();
      await connections.closeAll();
    },
  };
};
