import type { TableActivity } from './activity.ts';
import type { Loader, SchemaBuilder, TableDetails } from './build.ts';
import type { Change } from './change.ts';
import type { Dumping } from './dump.ts';
import type { HashSpec } from './hash/spec.ts';
import type { Batch, Cell, Key, Row, Text } from './row.ts';
import type { RowAccess } from './rows.ts';
import type { ColumnType, Schema, Table, TableName } from './schema.ts';

export interface Cancel {
  /** Aborting must reach the server: a running statement is cancelled there, not merely forgotten. */
  readonly signal: AbortSignal;
}

/** A column to read, and the type to render it as (the common type of a pair, or its own). */
export interface SelectedColumn {
  readonly name: string;
  /** The column's own type, as inspected. */
  readonly stored: ColumnType;
  /** The type it is rendered as. */
  readonly as: ColumnType;
  readonly loose?: true;
  /** The cell keeps the spelling of what is stored, not only the value (see `canon/spelling.ts`); never with a hash. */
  readonly exact?: true;
}

/** `from <= key < to` in key order (see `order.ts`); an absent bound is unbounded. Ranges that share bounds tile. */
export interface KeyRange {
  readonly from?: Key;
  readonly to?: Key;
}

/**
 * A share of a table's rows, by the hash of their keys: the same keys in every run and on both sides, and those of a
 * smaller share are among those of a greater one (see `sample.ts`).
 */
export interface Sample {
  /** 0 < share < 1 */
  readonly share: number;
  /** Which share: 64 bits as 16 hex digits. Made of the names of the two tables, so that every run takes the same. */
  readonly seed: string;
}

/** What is read of a table: columns in a given order, key first, with an optional condition. */
export interface Selection {
  readonly table: TableName;
  readonly columns: readonly SelectedColumn[];
  /**
   * The first `keyWidth` columns are the key, unique and not null.
   * 0: no key. Rows are then read as a multiset: distinct rows ordered by all columns (NULL first), each with one
   * more cell at its end: how many times it occurs, as a decimal integer.
   */
  readonly keyWidth: number;
  /** Trusted SQL of this side (command line or config file only). Absent: all rows. */
  readonly filter?: string;
  /**
   * Only rows with these keys, as if the table held no others; never without a key. Whatever is asked of a reader heeds
   * it. KEY_TYPES where the database has no order for the key (see `Reader.ranges`).
   */
  readonly range?: KeyRange;
  /** Only rows whose keys are in this sample. Heeded by `diff/sampled.ts`, through which such a pair is read; engines do not know it. */
  readonly sample?: Sample;
}

/** How a table is cut into parts that can be digested in one pass. The same parts on both sides. */
export type Partition =
  /** One integer key. Part i holds `origin + i*width <= key < origin + (i+1)*width`; part 0 and the last are unbounded. */
  | { readonly by: 'range'; readonly origin: bigint; readonly width: bigint; readonly count: number }
  /**
   * Any key: part = keyHash(key) modulo `count`, a power of two (see `hash/row-hash.ts`). `hash` is the spec of the
   * key's hash, here so that a digest, a hash stream and a scan of the same partition cut alike.
   */
  | { readonly by: 'hash'; readonly count: number; readonly hash: HashSpec };

/** A partition by the text hash of the key (see `hash/text-hash.ts`); `count` a power of two up to 2^32. */
export interface TextPartition {
  readonly by: 'text';
  readonly count: number;
  readonly seed: bigint;
}

/** The rows of a selection to read. */
export type Segment =
  | { readonly kind: 'all' }
  /** A range of keys. */
  | ({ readonly kind: 'range' } & KeyRange)
  | { readonly kind: 'keys'; readonly keys: readonly Key[] }
  | { readonly kind: 'parts'; readonly partition: Partition; readonly parts: readonly number[] }
  | { readonly kind: 'text_parts'; readonly partition: TextPartition; readonly parts: readonly number[] };

/** Count and sum modulo 2^64 of the row hashes of one part. Parts without rows may be left out. */
export interface Digest {
  readonly part: number;
  readonly rows: number;
  /** 0 <= sum < 2^64 */
  readonly sum: bigint;
}

/** Keys and 64-bit row hashes, packed. */
export interface HashBatch {
  readonly count: number;
  readonly keys: KeyBatch;
  /** Two per row: high half, low half. */
  readonly hashes: Int32Array;
}
export type KeyBatch =
  | { readonly kind: 'int64'; readonly values: BigInt64Array }
  | { readonly kind: 'keys'; readonly values: readonly Key[] };

/**
 * Row hashes made where the data is. Present when the engine can compute them (in the database, or in the process
 * that reads it) and its self-test at connect reproduced the known vectors.
 */
export interface Hashing {
  /** Which byte form of dates, times and bytes this side can hash: a pair uses `hex` unless both can do `bytes`. */
  readonly forms: readonly ('bytes' | 'hex')[];
  /**
   * `exact`: equal hashes for equal values. Otherwise equal values may hash apart, so a difference must be judged on
   * cells: `jsonb` hashes JSON as PostgreSQL writes the jsonb that it is (where a number may keep its zeros), on every
   * engine alike; `weak` hashes the engine's own writing of JSON, which no other engine has.
   */
  supports(column: SelectedColumn): 'exact' | 'jsonb' | 'weak' | undefined;
  /** One pass over the table. Without a partition: one digest, part 0. Rejects if a row has no hash. */
  digest(selection: Selection, partition: Partition | undefined, hash: HashSpec, o: Cancel): Promise<readonly Digest[]>;
  /** In key order. */
  hashes(selection: Selection, segment: Segment, hash: HashSpec, o: Cancel): AsyncIterable<HashBatch>;
  /**
   * Like `hashes`, but the key of each row is its key's whole 64-bit hash (`hash/spec.ts`), a signed integer, and rows
   * come in that order; bounds and keys of the segment are such hashes, too (`parts` are not for this). For keys whose
   * own order is dear. Two keys may share a hash: both rows are delivered.
   */
  byKeyHash?(selection: Selection, segment: Segment, hash: HashSpec, o: Cancel): AsyncIterable<HashBatch>;
  /** Rows leave the database to be hashed: a digest costs as much as reading them. */
  readonly travels?: true;
  /** Digests that the database makes itself, of another hash. */
  readonly texts?: TextHashing;
}

/** Digests by the text hash (see `hash/text-hash.ts`), made in the database: nothing but the digests travels. */
export interface TextHashing {
  /** `exact`: equal hashes for equal values. `weak`: for equal texts, as this engine writes them; undefined: not to be had. */
  supports(column: SelectedColumn): 'exact' | 'weak' | undefined;
  /** Do this server's functions give what they must? Nothing is digested where they do not. */
  works(o: Cancel): Promise<boolean>;
  /** One pass over the table. Without a partition: one digest, part 0. Rejects if a row has no hash. */
  digest(
    selection: Selection,
    partition: Extract<Partition, { by: 'range' }> | TextPartition | undefined,
    seed: bigint,
    o: Cancel,
  ): Promise<readonly Digest[]>;
}

/**
 * Some rows as the bytes that the engine delivers: row i lies in `bytes` from where row i-1 ends (`start` for the first)
 * to `ends[i]`, and its bytes say themselves where they end. Valid until the next but one batch is asked for.
 */
export interface RawBatch {
  readonly bytes: Buffer;
  readonly start: number;
  readonly ends: Int32Array;
  readonly count: number;
  /** The row's cells, as `scan` gives them. */
  row(i: number): Row;
}

/**
 * Rows in key order as bytes, for a comparison that reads cells only where bytes differ. A spelling names how the bytes
 * of a column stand for its cell, and means the same on every endpoint that offers it: equal bytes are equal cells.
 * Not the other way: one cell may be spelled by several bytes (`1.0` and `1.00`).
 */
export interface RawRows {
  /** For each column the spellings it can be read in, the cheapest first; undefined: the database cannot order these rows. */
  spellings(selection: Selection, o: Cancel): Promise<readonly (readonly string[])[] | undefined>;
  /** All rows of the selection, each column in the spelling asked for. */
  read(selection: Selection, spellings: readonly string[], o: Cancel): AsyncIterable<RawBatch>;
}

/**
 * Rows as bytes that a target takes as they are, never looked at on the way. A form names how the bytes stand for the
 * rows; the same name means the same on every endpoint (see `Loader.bytes`).
 */
export interface BulkRows {
  /** The forms that these columns can be had in, the cheapest first. */
  forms(selection: Selection, o: Cancel): Promise<readonly string[]>;
  /** Rows in any order. */
  read(selection: Selection, segment: Segment, form: string, o: Cancel): AsyncIterable<Buffer>;
}

/** A place in a source's history that identifies a snapshot, for people and records. */
export type Position = string & { readonly __position: never };

/** Facts about one statement, for `--explain`. */
export interface QueryReport {
  readonly side: string;
  readonly sql: string;
  readonly rows: number;
  readonly bytes: number;
  readonly elapsedMs: number;
}

/** Why something cannot be told here: the end of a sentence, for people. */
export interface Unable {
  readonly unable: string;
}

/**
 * Rows that have changed since an earlier snapshot, where the engine can tell without reading them all. More rows may
 * be shown than have changed, never fewer than promised below. Neither way sees deleted rows.
 * An API with a parameter such as `since` offers `columns` alone: `since` asks for the list from `from` on, and `latest`
 * takes the greatest value of what it then read.
 */
export interface Changes {
  /** By a column that whoever writes a row sets to something greater: a time, or a number. */
  readonly columns?: {
    /**
     * The greatest value of the column in this snapshot, without a condition; null when there is none. `now`: the time
     * at the database, as the column would hold it; absent for numbers. `from`: where a whole read is dear, the
     * greatest of what is read from there on is enough. `history`: becomes another when the database is restored to an
     * earlier state, where the engine can tell.
     */
    latest(
      table: TableName,
      column: SelectedColumn,
      o: Cancel & { readonly from?: Text },
    ): Promise<{ readonly value: Cell; readonly now?: Text; readonly history?: string }>;
    /** Keys (a selection of the key alone) where the column is at least `from`, is NULL, or cannot be compared; in any order. */
    since(selection: Selection, column: SelectedColumn, from: Text, o: Cancel): AsyncIterable<Batch<Row>>;
  };
  /** By what the engine itself notes with each version of a row. Misses no row that was written. */
  readonly version?: {
    /** As users know it: `xmin`, `record_version`. */
    readonly name: string;
    /** Stands for this snapshot of the table: a short text to be kept. Unable where the table has no versions. */
    mark(table: TableName, o: Cancel): Promise<string | Unable>;
    /**
     * Keys (a selection of the key alone) of rows that were written by a transaction which the marked snapshot did not
     * see, however long it has been running; in any order. Unable when the mark says nothing here: another server, a
     * restored database, numbers that started again.
     */
    since(selection: Selection, mark: string, o: Cancel): Promise<AsyncIterable<Batch<Row>> | Unable>;
  };
}

/**
 * Reads one consistent snapshot: everything read through it shows the same state, however long it takes and
 * whatever is written meanwhile. Reads never write; where the engine has read-only sessions, this is one.
 * Calls on one reader must not overlap.
 */
export interface Reader extends AsyncDisposable {
  readonly position?: Position;
  /** Rows in key order (see `order.ts`), whatever the segment. Pulling is back-pressure: one batch is held. */
  scan(selection: Selection, segment: Segment, o: Cancel): AsyncIterable<Batch<Row>>;
  /** Exact count. */
  count(selection: Selection, o: Cancel): Promise<number>;
  /** About `rows` keys, cheaply and spread over the table; any number, including none, may come. */
  sample(selection: Selection, rows: number, o: Cancel): Promise<readonly Key[]>;
  /** Least and greatest key of a single-integer key; undefined when the table is empty. */
  keyBounds(selection: Selection, o: Cancel): Promise<{ readonly min: bigint; readonly max: bigint } | undefined>;
  readonly hashing?: Hashing;
  readonly raw?: RawRows;
  readonly bulk?: BulkRows;
  readonly changes?: Changes;
  /**
   * Does it cost only its share of the table to read a range of this key (there is an index in our order)? Absent: no
   * range is cheaper than the whole table. Never where rows could be missed by ranges, such as misfits in the key.
   */
  ranges?(selection: Selection, o: Cancel): Promise<boolean>;
  /** One more reader of the same snapshot, to read beside this one. Dispose it first. */
  share?(o: Cancel): Promise<Reader>;
}

/** Identifies one transaction of a run in the target. */
export interface StepMark {
  readonly run: string;
  readonly step: number;
  /** Fencing token of the lock holder: a higher one in the target refuses this step. */
  readonly token: bigint;
}

export interface TableChanges {
  readonly table: Table;
  /** Key columns of the changes; their rows are whole native rows in the order of `nativeSelection(table, key)`. */
  readonly key: readonly string[];
  /** All of one kind. */
  readonly changes: Batch<Change>;
  /** What the changes' `hashes` were made with, where they have some. */
  readonly hash?: HashSpec;
}

export interface Written {
  readonly batch: TableChanges;
  /** Every row is stored as its change's `after`, in every cell: `stored` need not be looked at. */
  readonly asPlanned?: true;
  /** The rows as stored afterwards, read back in the same transaction; null where deleted. Order of `batch.changes`. */
  readonly stored: readonly (Row | null)[];
}

export type Applied =
  | { readonly status: 'done' }
  /** The marker was there: an earlier attempt had committed. Nothing written now. */
  | { readonly status: 'already' }
  /**
   * Rows that no longer show `before`; nothing was written. `found` is the row as it is now. Also a row to be deleted
   * that rows outside the plan refer to by a cascade or the like: `reason` says so.
   */
  | {
      readonly status: 'stale';
      readonly rows: readonly {
        readonly change: Change;
        readonly table: Table;
        readonly found: Row | null;
        readonly reason?: string;
      }[];
    }
  /** The database refused a change; nothing was written. `change` when it is known which. */
  | {
      readonly status: 'rejected';
      readonly table: Table;
      readonly change?: Change;
      readonly reason: string;
      readonly sqlState?: string;
    };

export interface WriterLock extends AsyncDisposable {
  readonly token: bigint;
}

/**
 * Hashes of whole native rows, as a writer guards and reads back batches by them. Two rows that are not the same share
 * their 64 bits by chance only.
 */
export interface ImageHashing {
  /** For new plans. */
  readonly spec: HashSpec;
  /** Leaves the hash of a row of this table, [high half, low half], in `out`; undefined: this table is written by its cells. */
  of(
    table: Table,
    key: readonly string[],
    hash: HashSpec,
    o: Cancel,
  ): Promise<((row: Row, out: Int32Array) => void) | undefined>;
}

/** Writes to one endpoint. Errors that a repeat may cure are thrown with `retry: 'now'` (see `errors.ts`). */
export interface Writer {
  /** Largest batch worth sending; 1 for an API without transactions. */
  readonly maxBatch: number;
  /** How repeats are recognised: by our marker table, or (no right to create it) only by the state of the rows. */
  prepare(o: Cancel): Promise<'marker' | 'state'>;
  /**
   * The lock against a second writer, kept in the target. Throws LOCK_HELD with the holder's facts. The same run takes
   * its own lock over, with a higher token: who asks knows that the process before is dead.
   */
  lock(holder: { readonly run: string; readonly pair: string }, o: Cancel): Promise<WriterLock>;
  /**
   * One transaction: the marker, then every batch in order, each row only where the whole native row still is its
   * `before` (absent for an insert). All or nothing. `written` is called per batch inside the transaction, before commit.
   */
  apply(
    mark: StepMark,
    batches: Iterable<TableChanges> | AsyncIterable<TableChanges>,
    o: Cancel & { written?(w: Written): void | Promise<void> },
  ): Promise<Applied>;
  /** Is the step's marker in the target? Settles a lost reply. `by`: was it set under that token? */
  applied(mark: Pick<StepMark, 'run' | 'step'> & { readonly by?: bigint }, o: Cancel): Promise<boolean>;
  /** Absent: batches are guarded by cells. */
  readonly hashing?: ImageHashing;
  /** Moves sequences and identity positions of these tables past their greatest value; never back. */
  advanceSequences(tables: readonly Table[], o: Cancel): Promise<void>;
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
  connect(config: Config, o: ConnectOptions): Promise<Endpoint>;
}
