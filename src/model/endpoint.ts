import type { TableActivity } from './activity.ts';
import type { Loader, SchemaBuilder, TableDetails } from './build.ts';
import type { Cancel } from './cancel.ts';
import type { Dumping } from './dump.ts';
import type { Reader } from './reader.ts';
import type { RowAccess } from './rows.ts';
import type { Schema, Table } from './schema.ts';
import type { Writer } from './writer.ts';

/** Facts about one statement, for `--explain`. */
export interface QueryReport {
  readonly side: string;
  readonly sql: string;
  readonly rows: number;
  readonly bytes: number;
  readonly elapsedMs: number;
}

/** Which database this is: a plan made for one is refused by another. */
export interface Fingerprint {
  /** Server identity: PostgreSQL's system identifier, a file's inode and creation, … */
  readonly server: string;
  readonly database: string;
  readonly address: string;
}

export interface Finding {
  readonly level: 'ok' | 'advice' | 'warning' | 'error';
  readonly code: string;
  readonly message: string;
  /** What to do, e.g. the exact GRANT statement. */
  readonly fix?: string;
}

/** Where a server stands among copies of itself. */
export interface ServerRole {
  /** It follows another server: it is only read, and what it shows may be older. */
  readonly standby: boolean;
  /** Grows with every promotion: of two that take writes, the one with the smaller number was overtaken. */
  readonly timeline: number;
  /** How far a standby is behind, milliseconds, as far as it can tell; null: not known, or not a standby. */
  readonly behindMs: number | null;
}

/** One connected database or API. A capability that is absent is not supported; there are no flags. */
export interface Endpoint extends AsyncDisposable {
  /** The user's name for it; never `left` or `right`. */
  readonly name: string;
  readonly engine: string;
  /** e.g. `PostgreSQL 18.4`. */
  readonly version: string;
  readonly fingerprint: Fingerprint;
  /** Connecting has asked nothing of the other side: only the first call shows whether it is there. */
  readonly lazy?: true;
  /** Tables of the default schema and of the schemas asked for in the URL; our own tables are never shown. */
  inspect(o: Cancel & { readonly schemas?: readonly string[] }): Promise<Schema>;
  snapshot(o: Cancel & { readonly onQuery?: (q: QueryReport) => void }): Promise<Reader>;
  /** Absent: read-only by configuration or by nature. */
  readonly writer?: Writer;
  /** Rows one by one, for an API over them. */
  readonly rows?: RowAccess;
  /** What tables are made of beyond what comparing needs, in the order of `tables`: to make them again elsewhere. */
  details?(o: Cancel & { readonly tables: readonly Table[] }): Promise<readonly TableDetails[]>;
  /** How often tables are written, by counters that the server keeps; in the order of `tables`. Absent: it keeps none. */
  activity?(o: Cancel & { readonly tables: readonly Table[] }): Promise<readonly (TableActivity | undefined)[]>;
  /** Makes tables and fills them. Absent: read-only, or not here. */
  readonly builder?: SchemaBuilder;
  readonly loader?: Loader;
  /** Absent: backups are not made of it. */
  readonly dumping?: Dumping;
  /** Absent: the engine knows no copies of a server that follow it. */
  role?(o: Cancel): Promise<ServerRole>;
  /** Connections that are open now, and how many there may be; absent: nobody counts them. */
  connections?(): { readonly open: number; readonly max: number };
  /** Set by who fell over: this is not the configured server, which is down, but a copy. What it shows may be older. */
  readonly standIn?: { readonly reason: string; readonly behindMs: number | null };
  /** Doctor: privileges missing or too many, TLS, indexes, clock. */
  examine?(
    o: Cancel & { readonly tables: readonly Table[]; readonly writable: boolean; readonly besides?: Besides },
  ): Promise<readonly Finding[]>;
}

/** What else is done at an endpoint than comparing and writing the tables of a sync: rights for it are not too many. */
export interface Besides {
  /** Tables that are written, as they are named: with their schema or without. */
  readonly writes: readonly string[];
  /** Databases are made there. */
  readonly databases: boolean;
}

export interface ConnectOptions extends Cancel {
  readonly name: string;
  readonly writable: boolean;
  /** Upper bound of rows read per second from this endpoint; absent: none. */
  readonly rowsPerSecond?: number;
  /** Per statement, milliseconds; absent: none. */
  readonly statementTimeoutMs?: number;
  /** Where relative paths start (a config file's folder); absent: the current folder. */
  readonly baseDir?: string;
  /** Tells the server for which run or request this connection works, where the engine has a way to. */
  readonly correlation?: string;
  /** The place in a trace (W3C Trace Context) that its requests are below, where the engine makes any. */
  readonly traceparent?: string;
}

/** What a folder under `engines/` exports from its `index.ts`. */
export interface Engine<Config = unknown> {
  readonly name: string;
  /** URL schemes it answers to, e.g. `['postgres', 'postgresql']`. */
  readonly schemes: readonly string[];
  /** From a URL or the parts of a config entry (`{host, port, user, password, database, tls, …}`); throws CONFIG errors. */
  parse(config: string | Readonly<Record<string, unknown>>): Config;
  /** For people: no secrets. */
  describe(config: Config): string;
  /** Absent: no endpoint of it has `dumping`. */
  readonly dumps?: true;
  connect(config: Config, o: ConnectOptions): Promise<Endpoint>;
}
