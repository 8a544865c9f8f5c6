import type { Cancel } from '../../model/cancel.ts';
import type { Dumping, ScratchDatabase } from '../../model/dump.ts';
import { LockstepError } from '../../model/errors.ts';
import { id, literal } from '../sql/quote.ts';
import { openDump } from './dump.ts';
import type { PgPlace } from './pg-archive.ts';
import { restoreArchive, restoreDump } from './restore.ts';
import type { Session } from './session.ts';

/** Where sessions come from. */
interface SessionSource {
  open(o: Cancel): Promise<Session>;
  /** Whatever state they are in. */
  close(session: Session): Promise<void>;
}

/** `to`: another database of the same server. */
export const dumpingOf = (
  x: SessionSource & {
    readonly version: string;
    readonly place: PgPlace;
    readonly writable: boolean;
    to(database: string): SessionSource;
  },
): Dumping => {
  const within = async <T>(o: Cancel, work: (session: Session) => Promise<T>): Promise<T> => {
    const session = await x.open(o);
    try {
      return await work(session);
    } finally {
      await x.close(session);
    }
  };
  const restore: Dumping['restore'] = (contents, rows, proof, o) =>
    within(o, (session) => restoreDump(session, contents, rows, proof, o));
  const fromArchive: Dumping['restoreArchive'] = (contents, archive, proof, o) =>
    within(o, (session) => restoreArchive(session, x, contents, archive, proof, o));
  const scratch: Dumping['scratch'] = async (name, like, o): Promise<ScratchDatabase> => {
    const template = `create database ${id(name)} template template0 encoding ${literal(like.encoding)}`;
    await within(o, async (session) => {
      const at = { signal: o.signal, doing: 'creating a database for the proof' };
      try {
        await session.raw(
          `${template} lc_collate ${literal(like.collate)} lc_ctype ${literal(like.ctype)}`,
          undefined,
          at,
        );
      } catch (error) {
        o.signal.throwIfAborted();
        if ((error as { code?: string }).code === '42501')
          throw new LockstepError('PRIVILEGE', `${session.context.name}: this account may not create a database`, {
            hint: `alter role ${id(session.context.config.user)} createdb;  or name another server: backups: { scratch: ENDPOINT }`,
            side: session.context.name,
            cause: error,
          });
        // a locale that this server has not
        await session.query(`${template} lc_collate 'C' lc_ctype 'C'`, undefined, at);
      }
    });
    return {
      dumping: dumpingOf({ ...x, ...x.to(name) }),
      [Symbol.asyncDispose]: async () => {
        const late = { signal: AbortSignal.timeout(60_000) };
        await within(late, (session) =>
          session.query(`drop database if exists ${id(name)} with (force)`, undefined, {
            ...late,
            doing: 'dropping the database of the proof',
          }),
        );
      },
    };
  };
  return {
    dump: async (o) => {
      const session = await x.open(o);
      try {
        return await openDump(session, x, o, () => x.close(session));
      } catch (error) {
        await x.close(session);
        throw error;
      }
    },
    ...(x.writable ? { restore, restoreArchive: fromArchive, scratch } : {}),
  };
};
