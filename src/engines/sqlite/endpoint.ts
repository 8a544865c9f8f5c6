import { realpathSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Loader, SchemaBuilder, TableDetails } from '../../model/build.ts';
import type { Cancel } from '../../model/cancel.ts';
import type { ConnectOptions, Endpoint, Finding, Fingerprint, QueryReport } from '../../model/endpoint.ts';
import type { Reader } from '../../model/reader.ts';
import type { RowAccess } from '../../model/rows.ts';
import type { Schema, Table } from '../../model/schema.ts';
import type { Writer } from '../../model/writer.ts';
import { Connection } from './connection.ts';
import type { OpenArgs } from './operations.ts';
import { SqliteReader } from './reader.ts';
import { sqliteRows } from './rows.ts';
import { resolveFile, type SqliteConfig } from './url.ts';
import { sqliteWriter } from './writer.ts';

const busyTimeoutMs = 5000;
/** Idle processes kept for the next snapshot: a comparison has one open and confirms what it found in another. */
const keptIdle = 2;

const fingerprintOf = (path: string): Fingerprint => {
  const real = realpathSync(path);
  const { dev, ino, birthtimeNs } = statSync(real, { bigint: true });
  return { server: `sqlite:${hostname()}:${dev}:${ino}:${birthtimeNs}`, database: real, address: path };
};

/** A database file; each snapshot and the writer have a connection, and so a process, of their own. */
export class SqliteEndpoint implements Endpoint {
  readonly engine = 'sqlite';
  readonly name: string;
  readonly version: string;
  readonly fingerprint: Fingerprint;
  readonly #open: OpenArgs;
  readonly #timeoutMs: number | undefined;
  readonly writer?: Writer;
  readonly builder?: SchemaBuilder;
  readonly loader?: Loader;
  readonly rows: RowAccess;
  readonly #idle: Connection[] = [];
  readonly #all = new Set<Connection>();
  readonly #closed = new AbortController();

  private constructor(
    o: {
      readonly name: string;
      readonly open: OpenArgs;
      readonly timeoutMs: number | undefined;
      readonly writable: boolean;
    },
    version: string,
    first: Connection,
  ) {
    const { name, open, timeoutMs } = o;
    this.name = name;
    this.version = version;
    if (o.writable) {
      const { writer, builder, loader } = sqliteWriter(async (cancel) => {
        const { connection } = await Connection.open({ ...open, readOnly: false }, timeoutMs, cancel);
        this.#all.add(connection);
        return connection;
      }, this.#closed.signal);
      this.writer = writer;
      this.builder = builder;
      this.loader = loader;
    }
    this.rows = sqliteRows({
      side: name,
      writable: o.writable,
      closed: this.#closed.signal,
      open: async (readOnly, cancel) => {
        const { connection } = await Connection.open({ ...open, readOnly }, timeoutMs, cancel);
        for (const killed of this.#all) if (killed.ended) await this.#drop(killed);
        this.#all.add(connection);
        return connection;
      },
    });
    this.fingerprint = fingerprintOf(open.path);
    this.#open = open;
    this.#timeoutMs = timeoutMs;
    this.#idle.push(first);
    this.#all.add(first);
  }

  static async connect(config: SqliteConfig, o: ConnectOptions): Promise<SqliteEndpoint> {
    const path = resolveFile(config, o.baseDir, { side: o.name, writable: o.writable });
    const open: OpenArgs = {
      side: o.name,
      path,
      readOnly: true,
      immutable: config.immutable,
      busyTimeoutMs,
      rowsPerSecond: o.rowsPerSecond,
    };
    const { connection, version } = await Connection.open(open, o.statementTimeoutMs, o);
    const writable = o.writable && !config.readOnly;
    return new SqliteEndpoint(
      { name: o.name, open, timeoutMs: o.statementTimeoutMs, writable },
      `SQLite ${version}`,
      connection,
    );
  }

  async #acquire(cancel: Cancel): Promise<Connection> {
    for (let idle = this.#idle.pop(); idle; idle = this.#idle.pop()) {
      if (!idle.ended) return idle;
      await this.#drop(idle);
    }
    const { connection } = await Connection.open(this.#open, this.#timeoutMs, cancel);
    this.#all.add(connection);
    return connection;
  }

  async #drop(connection: Connection): Promise<void> {
    this.#all.delete(connection);
    await connection[Symbol.asyncDispose]();
  }

  /** Takes back a connection: its transaction ends; a killed one is forgotten. */
  async #release(connection: Connection): Promise<void> {
    if (!connection.ended && this.#idle.length < keptIdle) {
      const ended = await connection.call('end', null, { signal: new AbortController().signal }).then(
        () => true,
        () => false,
      );
      if (ended && this.#all.has(connection)) {
        this.#idle.push(connection);
        return;
      }
    }
    await this.#drop(connection);
  }

  async #with<T>(cancel: Cancel, work: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await this.#acquire(cancel);
    try {
      return await work(connection);
    } finally {
      await this.#release(connection);
    }
  }

  inspect(o: Cancel): Promise<Schema> {
    return this.#with(o, (connection) => connection.call('inspect', null, o));
  }

  details(o: Cancel & { tables: readonly Table[] }): Promise<readonly TableDetails[]> {
    return this.#with(o, (connection) => connection.call('details', o.tables, o));
  }

  examine(o: Cancel & { tables: readonly Table[]; writable: boolean }): Promise<readonly Finding[]> {
    const { tables, writable } = o;
    return this.#with(o, (connection) => connection.call('examine', { tables, writable }, o));
  }

  async snapshot(o: Cancel & { readonly onQuery?: (q: QueryReport) => void }): Promise<Reader> {
    const connection = await this.#acquire(o);
    try {
      await connection.call('begin', null, o);
      return new SqliteReader({
        side: this.name,
        connection,
        onQuery: o.onQuery,
        release: (used) => this.#release(used),
      });
    } catch (error) {
      await this.#release(connection);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    this.#idle.length = 0;
    const all = [...this.#all];
    this.#all.clear();
    await Promise.all(all.map((connection) => connection[Symbol.asyncDispose]()));
  }
}
