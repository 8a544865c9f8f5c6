import { type Clock, systemClock } from '../../lib/clock.ts';
import type { Cancel } from '../../model/cancel.ts';
import type { ConnectOptions, Endpoint, Fingerprint } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Position } from '../../model/reader.ts';
import { room } from '../sql/room.ts';
import { throttle } from '../sql/throttle.ts';
import { openLoader } from './bulk-load.ts';
import { inspectSchema } from './catalogue.ts';
import type { Limits } from './column-type.ts';
import type { FirebirdConfig } from './config.ts';
import { openConnection } from './connect.ts';
import { schemaBuilder } from './create-table.ts';
import { tableDetails } from './details.ts';
import { examine } from './examine.ts';
import { FirebirdReader } from './reader.ts';
import { rowAccess } from './row-access.ts';
import { Session, type SessionContext, type StatementOptions } from './session.ts';
import { openWriter } from './writer.ts';

/** Connections that serve rows one by one. */
const rowConnections = 6;
/** Sessions kept for the next snapshot. */
const keptIdle = 2;

interface ServerFacts {
  readonly version: string;
  readonly limits: Limits;
  readonly fingerprint: Fingerprint;
}

const readFacts = async (session: Session, o: StatementOptions): Promise<ServerFacts> => {
  const { config, name } = session.context;
  await session.begin('read', o);
  try {
    const [row] = await session.query(
      `select rdb$get_context('SYSTEM', 'ENGINE_VERSION'), mon$database_name, mon$creation_date, mon$sql_dialect, mon$page_size from mon$database`,
      o,
    );
    const [version, path, created, dialect, pageSize] = row! as string[];
    if (dialect !== '3')
      throw new LockstepError(
        'CONFIG',
        `${name}: ${config.database} is of SQL dialect ${dialect}; only dialect 3 is read.`,
        {
          side: name,
          hint: 'gfix -sql_dialect 3 changes it, after a look at its dates and numerics; or restore it into a new database.',
        },
      );
    return {
      version: `Firebird ${version}`,
      limits: { major: Number.parseInt(version!, 10), pageSize: Number(pageSize) },
      fingerprint: {
        server: `firebird created ${created}`,
        database: path!,
        address: `${config.host}:${config.port}`,
      },
    };
  } finally {
    await session.rollback();
  }
};

/** Connects and learns what the server is. */
export const connectFirebird = async (
  config: FirebirdConfig,
  o: ConnectOptions,
  clock: Clock = systemClock,
): Promise<Endpoint> => {
  const context: SessionContext = { name: o.name, config, clock, statementTimeoutMs: o.statementTimeoutMs };
  const idle: Session[] = [];
  const held = new Set<Session>();
  let closed = false;
  const lend = async (c: Cancel): Promise<Session> => {
    let session = idle.pop();
    while (session?.broken) session = idle.pop();
    session ??= new Session(context, await openConnection(config, o.name, c.signal));
    held.add(session);
    return session;
  };
  const release = async (session: Session): Promise<void> => {
    if (!held.delete(session)) return;
    await session.rollback();
    if (session.broken || closed || idle.length >= keptIdle) await session[Symbol.asyncDispose]();
    else idle.push(session);
  };
  const within = async <T>(
    doing: string,
    c: Cancel,
    work: (s: Session, at: StatementOptions) => Promise<T>,
  ): Promise<T> => {
    const session = await lend(c);
    try {
      const at = { signal: c.signal, doing };
      await session.begin('read', at);
      return await work(session, at);
    } finally {
      await release(session);
    }
  };
  const first = await lend(o);
  let facts: ServerFacts;
  try {
    facts = await readFacts(first, { signal: o.signal, doing: 'asking the server about itself' });
  } catch (error) {
    closed = true;
    throw error;
  } finally {
    await release(first);
  }
  const rowRoom = room<Session>({
    name: o.name,
    max: rowConnections,
    open: async (c) => new Session(context, await openConnection(config, o.name, c.signal)),
    close: async (session) => {
      await session.rollback();
      await session[Symbol.asyncDispose]();
    },
  });
  const pace = throttle(o.rowsPerSecond, clock);
  const writer = o.writable
    ? openWriter({ side: o.name, clock, noneCharset: config.noneCharset, lend, release })
    : undefined;

  return {
    name: o.name,
    engine: 'firebird',
    version: facts.version,
    fingerprint: facts.fingerprint,
    inspect: (c) => within('reading the catalogue', c, inspectSchema),
    snapshot: async (c) => {
      const session = await lend(c);
      try {
        const at = { signal: c.signal, doing: 'taking a snapshot' };
        await session.begin('read', at);
        const [row] = await session.query('select current_transaction from rdb$database', at);
        return new FirebirdReader({
          session,
          throttle: pace,
          position: `transaction ${row![0]}` as Position,
          onQuery: c.onQuery,
          release: () => release(session),
        });
      } catch (error) {
        await release(session);
        throw error;
      }
    },
    examine: (c) =>
      within('examining', c, (session, at) => examine(session, { tables: c.tables, writable: c.writable }, at)),
    rows: rowAccess({ side: o.name, noneCharset: config.noneCharset, writable: o.writable, room: rowRoom }),
    details: (c) => within('reading the catalogue', c, (session, at) => tableDetails(session, c.tables, at)),
    ...(writer === undefined
      ? {}
      : {
          writer,
          builder: schemaBuilder({ limits: facts.limits, lend, release }),
          loader: openLoader({
            side: o.name,
            noneCharset: config.noneCharset,
            lend,
            release,
            prepare: writer.prepare,
          }),
        }),
    [Symbol.asyncDispose]: async () => {
      closed = true;
      await rowRoom.closeAll();
      await Promise.all([...held].map(release));
      await Promise.all(idle.splice(0).map((session) => session[Symbol.asyncDispose]()));
    },
  };
};
