import { type Clock, systemClock } from '../../lib/clock.ts';
import type { Cancel } from '../../model/cancel.ts';
import type { ConnectOptions, Endpoint } from '../../model/endpoint.ts';
import type { Position } from '../../model/reader.ts';
import { refuseSmallPool, room } from '../sql/room.ts';
import { throttle } from '../sql/throttle.ts';
import { openLoader } from './bulk-load.ts';
import { addressOf, type MysqlConfig } from './config.ts';
import { openClient } from './connect.ts';
import { schemaBuilder } from './create-table.ts';
import { tableDetails } from './details.ts';
import { examine } from './examine.ts';
import { inspectSchema } from './inspect.ts';
import { openReader } from './reader.ts';
import { rowAccess } from './row-access.ts';
import { Session, type SessionContext, type StatementOptions } from './session.ts';
import { pinSession, readFacts, type ServerFacts } from './settings.ts';
import { tlsOptions } from './tls.ts';
import { openWriter } from './writer.ts';

/** Connects and learns what the server can do. */
export const connectMysql = async (
  config: MysqlConfig,
  o: ConnectOptions,
  clock: Clock = systemClock,
): Promise<Endpoint> => {
  if (o.writable) refuseSmallPool(o.name, config.poolMax);
  const tls = tlsOptions(config, o.baseDir ?? '.');
  const context: SessionContext = {
    name: o.name,
    config,
    tls,
    clock,
    statementTimeoutMs: o.statementTimeoutMs,
  };
  const open = async (c: Cancel, loads: boolean): Promise<Session> =>
    new Session(context, await openClient(config, tls, o.name, c.signal, loads), loads);
  const probe = await open(o, false);
  let facts: ServerFacts;
  try {
    facts = await readFacts(probe, { signal: o.signal, doing: 'asking the server about itself' });
  } finally {
    await probe[Symbol.asyncDispose]();
  }
  const pace = throttle(o.rowsPerSecond, clock);
  const loads = o.writable && facts.variables.get('local_infile') === 'ON';
  const connections = room<Session>({
    name: o.name,
    max: config.poolMax,
    open: (c) => open(c, loads),
    close: async (session) => {
      await session.rollback();
      await session[Symbol.asyncDispose]();
    },
  });
  const { release } = connections;
  /** Sessions that are kept were made ready to write. */
  const ready = new WeakSet<Session>();
  const pinned = async (mode: 'read' | 'write', session: Session, c: Cancel): Promise<Session> => {
    if (ready.has(session)) return session;
    try {
      await pinSession(session, facts, mode, { signal: c.signal, doing: 'preparing a session' });
    } catch (error) {
      await release(session);
      throw error;
    }
    if (mode === 'write') ready.add(session);
    return session;
  };
  const lend = async (mode: 'read' | 'write', c: Cancel): Promise<Session> =>
    pinned(mode, await connections.lend(c), c);
  const lendInTurn = async (c: Cancel): Promise<Session> => pinned('write', await connections.lendInTurn(c), c);
  const within = async <T>(
    doing: string,
    c: Cancel,
    work: (s: Session, at: StatementOptions) => Promise<T>,
  ): Promise<T> => {
    // rows may be at work on every connection: their turn ends soon
    const session = await pinned('read', await connections.lendInTurn(c), c);
    try {
      return await work(session, { signal: c.signal, doing });
    } finally {
      await release(session);
    }
  };

  /** A session whose statements are transactions of their own; kept for the next one. */
  const lendForRows = async (c: Cancel): Promise<Session> => {
    const session = await pinned(o.writable ? 'write' : 'read', await connections.lendInTurn(c), c);
    ready.add(session);
    return session;
  };
  const writer = o.writable
    ? openWriter({
        lend: (c) => lend('write', c),
        release,
        lendInTurn,
        keep: connections.keep,
        clock,
        facts,
        side: o.name,
        random: Math.random,
      })
    : undefined;

  return {
    name: o.name,
    engine: 'mysql',
    version: `${facts.mariadb ? 'MariaDB' : 'MySQL'} ${facts.version}`,
    fingerprint: {
      server: facts.server ?? `at ${addressOf(config)}`,
      database: config.database,
      address: addressOf(config),
    },
    inspect: (c) => {
      const shown = [...new Set([config.database, ...config.schemas, ...(c.schemas ?? [])])];
      return within('reading the catalogue', c, (session, at) => inspectSchema(session, shown, facts.mariadb, at));
    },
    snapshot: async (c) => {
      const session = await lend('read', c);
      try {
        const at = { signal: c.signal, doing: 'taking a snapshot' };
        await session.query('start transaction with consistent snapshot, read only', at);
        return openReader({
          session,
          mariadb: facts.mariadb,
          throttle: pace,
          position: await positionOf(session, facts, at),
          onQuery: c.onQuery,
          release: () => release(session),
        });
      } catch (error) {
        await release(session);
        throw error;
      }
    },
    rows: rowAccess({
      side: o.name,
      mariadb: facts.mariadb,
      writable: o.writable,
      lend: lendForRows,
      keep: connections.keep,
    }),
    details: (c) =>
      within('reading the catalogue', c, (session, at) => tableDetails(session, c.tables, facts.mariadb, at)),
    ...(writer === undefined
      ? {}
      : {
          writer,
          builder: schemaBuilder({ mariadb: facts.mariadb, lend: lendInTurn, release }),
          loader: openLoader({
            side: o.name,
            facts,
            // one holds the lock, one makes tables and looks up markers
            lanes: Math.max(1, Math.min(2, config.poolMax - 2)),
            lend: lendInTurn,
            release,
            prepare: writer.prepare,
          }),
        }),
    connections: () => ({ open: connections.open(), max: config.poolMax }),
    examine: (c) =>
      within('examining', c, (session, at) => examine(session, facts, { tables: c.tables, writable: c.writable }, at)),
    [Symbol.asyncDispose]: () => connections.closeAll(),
  };
};

/** The place of a snapshot in the server's log, where it has one, and its time. */
const positionOf = async (session: Session, facts: ServerFacts, at: StatementOptions): Promise<Position> => {
  const gtid = facts.mariadb ? '@@global.gtid_current_pos' : '@@global.gtid_executed';
  const [row] = await session.query(`select ${gtid}, utc_timestamp(6)`, at);
  const [log, time] = row!;
  return `${log ? `gtid ${log.replaceAll(/\s/g, '')} ` : ''}at ${time}` as Position;
};
