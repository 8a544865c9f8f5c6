import type { Cancel } from './cancel.ts';
import type { HashSpec } from './hash/spec.ts';
import type { Batch, Cell, Key, Row, Text } from './row.ts';
import type { TableName } from './schema.ts';
import type { Partition, Segment, SelectedColumn, Selection, TextPartition } from './selected.ts';

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

/** Some rows in any order: their hashes, and their keys still as bytes. Stays valid. */
export interface LooseBatch {
  readonly count: number;
  /** Two per row: high half, low half. */
  readonly hashes: Int32Array;
  /** Memory held for the keys, bytes. */
  readonly bytes: number;
  key(i: number): Key;
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
  /** The same in any order, where the database's sort, and the keys that nobody looks at, cost more than the rest. */
  loose?(selection: Selection, segment: Segment, hash: HashSpec, o: Cancel): AsyncIterable<LooseBatch>;
  /** Specs whose `json` is `sent` can be made here. */
  readonly sendsJson?: true;
  /**
   * Like `hashes`, but the key of each row is its key's whole 64-bit hash (`hash/spec.ts`), a signed integer, and rows
   * come in that order; bounds and keys of the segment are such hashes, too, and its parts are buckets of the same hash.
   * For keys whose own order is dear. Two keys may share a hash: both rows are delivered.
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
