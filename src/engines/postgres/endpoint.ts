import { type Clock, systemClock } from '../../lib/clock.ts';
import { randomSeed } from '../../lib/ids.ts';
import type { Cancel } from '../../model/cancel.ts';
import type { ConnectOptions, Endpoint, Fingerprint } from '../../model/endpoint.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import type { Hashing, Position, Reader } from '../../model/reader.ts';
import { id } from '../sql/quote.ts';
import { refuseSmallPool, room } from '../sql/room.ts';
import { throttle } from '../sql/throttle.ts';
import { tableActivity } from './activity.ts';
import type { PostgresConfig } from './config.ts';
import { openClient } from './connect.ts';
import { dumpingOf } from './dumping.ts';
import { hashVectors } from './hash-sql.ts';
import { inspectSchema } from './inspect.ts';
import { openReader } from './reader.ts';
import { serverRole } from './role.ts';
import { rowAccess } from './rows.ts';
import { Session, type SessionContext, type StatementOptions } from './session.ts';
import { tlsOptions } from './tls.ts';

/** What only an endpoint that is written needs. */
const writing = async () => ({
  ...(await import('./writer.ts')),
  ...(await import('./create-table.ts')),
  ...(await import('./bulk-load.ts')),
});

/** What the server says of itself, asked once at connect. */
interface ServerFacts {
  readonly version: string;
  readonly versionNumber: number;
  readonly encoding: string;
  readonly defaultSchema: string | undefined;
  readonly searchPath: string;
  readonly fingerprint: Fingerprint;
  readonly hashForms: Hashing['forms'] | undefined;
}

/** How this process hashes the rows it writes; undefined: the server does not hash as we do. */
const writingHash = (forms: Hashing['forms'] | undefined): HashSpec | undefined =>
  forms?.[0] === undefined ? undefined : { seed: randomSeed(), form: forms[0] };

const quotedPath = (schemas: readonly string[]): string =>
  ['pg_catalog', ...schemas.filter((s) => s !== 'pg_catalog').map(id), 'pg_temp'].join(', ');

const readFacts = async (session: Session, config: PostgresConfig, o: StatementOptions): Promise<ServerFacts> => {
  await session.query('begin read only', undefined, o);
  const [row] = await session.query(
    `select current_setting('server_version'), current_setting('server_version_num'), current_setting('server_encoding'),
            pg_catalog.to_json(pg_catalog.current_schemas(false))::text, d.oid::text, d.datname
     from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()`,
    undefined,
    o,
  );
  const [version, number, encoding, schemas, databaseOid, database] = row!;
  const path = JSON.parse(schemas!) as string[];
  let hashForms: Hashing['forms'] | undefined;
  let system: string | undefined;
  try {
    const [found] = await session.query(
      `select ${hashVectors.map(([sql]) => `(${sql})::text`).join(', ')}`,
      undefined,
      o,
    );
    // hashing works on the bytes the server keeps: they must be UTF-8 for every side to have the same
    if (encoding === 'UTF8' && hashVectors.every(([, known], i) => found![i] === known)) {
      hashForms = Number(number) >= 180_000 ? ['bytes', 'hex'] : ['hex'];
    }
  } catch (error) {
    o.signal.throwIfAborted();
    if (session.broken) throw error;
    await session.rollback();
    await session.query('begin read only', undefined, o);
  }
  try {
    const [found] = await session.query(
      `select system_identifier::text from pg_catalog.pg_control_system()`,
      undefined,
      o,
    );
    system = found![0]!;
  } catch (error) {
    o.signal.throwIfAborted();
    if (session.broken) throw error;
  }
  await session.rollback();
  const address = config.host.startsWith('/') ? `${config.host}:${config.port}` : `${config.host}:${config.port}`;
  return {
    version: `PostgreSQL ${version!.split(' ')[0]}`,
    versionNumber: Number(number),
    encoding: encoding!,
    defaultSchema: path.find((s) => s !== 'pg_catalog'),
    searchPath: quotedPath(path),
    fingerprint: { server: system ?? `at ${address}`, database: `${databaseOid}/${database}`, address },
    hashForms,
  };
};

/** Bytes of an application name that PostgreSQL keeps. */
const longestName = 63;
/**
 * So long a session that has read is kept for the next one, ms: connecting, and what a new session reads of the catalogue,
 * cost 20 ms. Not longer: what lies between may forget a connection that is silent, and tell nobody.
 */
const restMs = 2000;

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
  const probe = new Session(first, await openClient(config, tls, o.name, o.signal));
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
  const open = async (c: Cancel): Promise<Session> =>
    new Session(context, await openClient(config, tls, o.name, c.signal));
  const pace = throttle(o.rowsPerSecond, clock);
  const connections = room<Session>({
    name: o.name,
    max: config.poolMax,
    open,
    close: async (session) => {
      await session.rollback();
      await session[Symbol.asyncDispose]();
    },
  });
  const { lend, release } = connections;
  const ending = new AbortController();
  /** Gives back a session that has read. It is kept for a moment: most often the next one is wanted at once. */
  const rest = async (session: Session): Promise<void> => {
    await session.rollback();
    await connections.keep(session);
    clock.sleep(restMs, ending.signal).then(
      () => connections.drop(session),
      () => {},
    );
  };
  const borrow = async (c: Cancel): Promise<Session> => connections.takeKept() ?? (await lend(c));
  const known = new Session(context, probe.client);
  connections.adopt(known);
  await rest(known);
  const within = async <T>(
    doing: string,
    c: Cancel,
    work: (s: Session, at: StatementOptions) => Promise<T>,
  ): Promise<T> => {
    // rows may be at work on every connection: their turn ends soon
    const session = await connections.lendInTurn(c);
    try {
      const at = { signal: c.signal, doing };
      await session.begin('read', at);
      return await work(session, at);
    } finally {
      await rest(session);
    }
  };

  const readerOf = (
    session: Session,
    position: Position,
    c: Parameters<Endpoint['snapshot']>[0],
    share?: (again: Cancel) => Promise<Reader>,
  ): Reader =>
    openReader({
      session,
      throttle: pace,
      position,
      validUtf8: facts.encoding !== 'SQL_ASCII',
      hashForms: facts.hashForms,
      onQuery: c.onQuery,
      release: () => rest(session),
      share,
    });
  const writer = parts
    ? parts.openWriter({ room: connections, clock, side: o.name, hash: writingHash(facts.hashForms) })
    : undefined;

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
    snapshot: async (c) => {
      const session = await borrow(c);
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
        return readerOf(session, position, c, async (again) => {
          exported ??= session
            .query('select pg_catalog.pg_export_snapshot()', undefined, { ...at, signal: again.signal })
            .then((rows) => rows[0]![0]!);
          const snapshot = await exported;
          const other = await borrow(again);
          try {
            await other.begin('read', { ...at, signal: again.signal }, snapshot);
            return readerOf(other, position, c);
          } catch (error) {
            await release(other);
            throw error;
          }
        });
      } catch (error) {
        await release(session);
        throw error;
      }
    },
    rows: rowAccess({ side: o.name, room: connections, writable: o.writable }),
    activity: (c) => within('reading the counters', c, (session, at) => tableActivity(session, c.tables, at)),
    details: (c) =>
      within('reading the catalogue', c, async (session, at) =>
        (await import('./details.ts')).tableDetails(session, c.tables, at),
      ),
    ...(parts === undefined || writer === undefined
      ? {}
      : {
          writer,
          builder: parts.schemaBuilder(connections),
          loader: parts.openLoader({
            side: o.name,
            room: connections,
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
      open: lend,
      close: release,
      to: (database) => {
        const there = { ...config, database };
        return {
          close: async (session) => {
            await session.rollback();
            await session[Symbol.asyncDispose]();
          },
          open: async (c) => new Session({ ...context, config: there }, await openClient(there, tls, o.name, c.signal)),
        };
      },
    }),
    role: (c) => within('asking for the role of the server', c, serverRole),
    connections: () => ({ open: connections.open(), max: config.poolMax }),
    examine: (c) =>
      within('examining', c, async (session, at) => (await import('./examine.ts')).examine(session, config, c, at)),
    [Symbol.asyncDispose]: async () => {
      ending.abort();
      await connections.closeAll();
    },
  };
};
