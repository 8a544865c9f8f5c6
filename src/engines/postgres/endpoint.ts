import { type Clock, systemClock } from '../../lib/clock.ts';
import { randomSeed } from '../../lib/ids.ts';
import type { ConnectOptions, Endpoint } from '../../model/endpoint.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import type { Hashing } from '../../model/reader.ts';
import { refuseSmallPool } from '../sql/room.ts';
import { throttle } from '../sql/throttle.ts';
import { tableActivity } from './activity.ts';
import type { PostgresConfig } from './config.ts';
import { dumpingOf } from './dumping.ts';
import { inspectSchema } from './inspect.ts';
import { serverRole } from './role.ts';
import { rowAccess } from './rows.ts';
import { readFacts, type ServerFacts } from './server-facts.ts';
import { Session, type SessionContext } from './session.ts';
import { closeSession, openSession, sessionsOf } from './sessions.ts';
import { takeSnapshot } from './snapshot.ts';
import { tlsOptions } from './tls.ts';

/** What only an endpoint that is written needs. */
const writing = async () => ({
  ...(await import('./writer.ts')),
  ...(await import('./create-table.ts')),
  ...(await import('./bulk-load.ts')),
});

/** How this process hashes the rows it writes; undefined: the server does not hash as we do. */
const writingHash = (forms: Hashing['forms'] | undefined): HashSpec | undefined =>
  forms?.[0] === undefined ? undefined : { seed: randomSeed(), form: forms[0] };

/** Bytes of an application name that PostgreSQL keeps. */
const longestName = 63;

/** The sessions of a run can be told in pg_stat_activity and the server's log. */
const named = (config: PostgresConfig, correlation: string | undefined): PostgresConfig => {
  if (correlation === undefined) return config;
  const room = longestName - correlation.length - 1;
  return { ...config, applicationName: `${config.applicationName.slice(0, Math.max(0, room))} ${correlation}` };
};

/** Connects and learns what the server can do. */
export const connectPostgres = async (
  given: PostgresConfig,
  o: ConnectOptions,
  clock: Clock = systemClock,
): Promise<Endpoint> => {
  const config = named(given, o.correlation);
  if (o.writable) refuseSmallPool(o.name, config.poolMax);
  const tls = tlsOptions(config, o.baseDir ?? '.');
  const first: SessionContext = {
    name: o.name,
    config,
    tls,
    clock,
    statementTimeoutMs: o.statementTimeoutMs,
    searchPath: 'pg_catalog',
    clientEncoding: 'UTF8',
  };
  const parts = o.writable ? await writing() : undefined;
  const probe = await openSession(first, o);
  let facts: ServerFacts;
  try {
    facts = await readFacts(probe, config, { signal: o.signal, doing: 'asking the server about itself' });
  } catch (error) {
    await probe[Symbol.asyncDispose]();
    throw error;
  }
  const context: SessionContext = {
    ...first,
    searchPath: facts.searchPath,
    clientEncoding: facts.encoding === 'SQL_ASCII' ? 'SQL_ASCII' : 'UTF8',
  };
  const sessions = sessionsOf(context, clock);
  const { room, within } = sessions;
  const known = new Session(context, probe.client);
  room.adopt(known);
  await sessions.rest(known);
  const snapshots = { sessions, throttle: throttle(o.rowsPerSecond, clock), facts };
  const writer = parts?.openWriter({ room, clock, side: o.name, hash: writingHash(facts.hashForms) });

  return {
    name: o.name,
    engine: 'postgres',
    version: facts.version,
    fingerprint: facts.fingerprint,
    inspect: (c) => {
      const shown = [
        ...new Set([
          ...(facts.defaultSchema === undefined ? [] : [facts.defaultSchema]),
          ...config.schemas,
          ...(c.schemas ?? []),
        ]),
      ];
      return within('reading the catalogue', c, (session, at) =>
        inspectSchema(session, shown, facts.defaultSchema, at),
      );
    },
    snapshot: (c) => takeSnapshot(snapshots, c),
    rows: rowAccess({ side: o.name, room, writable: o.writable }),
    activity: (c) => within('reading the counters', c, (session, at) => tableActivity(session, c.tables, at)),
    details: (c) =>
      within('reading the catalogue', c, async (session, at) =>
        (await import('./details.ts')).tableDetails(session, c.tables, at),
      ),
    ...(parts === undefined || writer === undefined
      ? {}
      : {
          writer,
          builder: parts.schemaBuilder(room),
          loader: parts.openLoader({
            side: o.name,
            room,
            // one holds the lock, one makes tables and looks up markers
            lanes: Math.max(1, Math.min(4, config.poolMax - 2)),
            utf8: facts.encoding === 'UTF8',
            prepare: writer.prepare,
          }),
        }),
    dumping: dumpingOf({
      place: { config, tls, name: o.name },
      version: facts.version,
      writable: o.writable,
      open: room.lend,
      close: room.release,
      to: (database) => {
        const there = { ...context, config: { ...config, database } };
        return { open: (c) => openSession(there, c), close: closeSession };
      },
    }),
    role: (c) => within('asking for the role of the server', c, serverRole),
    connections: () => ({ open: room.open(), max: config.poolMax }),
    examine: (c) =>
      within('examining', c, async (session, at) => (await import('./examine.ts')).examine(session, config, c, at)),
    [Symbol.asyncDispose]: sessions.closeAll,
  };
};
