interface Cancel {
  readonly signal: AbortSignal;
}

/** One statement that makes a part of a database again. */
export interface DumpStatement {
  /** `table`, `index`, `foreign key`, … */
  readonly kind: string;
  readonly name: string;
  readonly sql: string;
  /** `proved`: when the rows are in and have been compared (row security, which could hide some). */
  readonly when: 'before_rows' | 'after_rows' | 'proved';
}

export interface DumpTable {
  /** Quoted, with its schema. */
  readonly name: string;
  /** Quoted; without those that the database computes. */
  readonly columns: readonly string[];
}

/** What a database is made of, apart from its rows: all of it can be JSON. */
export interface DumpContents {
  readonly engine: string;
  readonly version: string;
  readonly encoding: string;
  readonly collate: string;
  readonly ctype: string;
  readonly statements: readonly DumpStatement[];
  readonly tables: readonly DumpTable[];
  readonly sequences: readonly { readonly name: string; readonly last: string; readonly called: boolean }[];
  /** What is there and is not carried: `2 large objects`. */
  readonly notCarried: readonly string[];
}

/** Count, and sum modulo 2^64 of hashes of whole rows (every column, as the database writes it), in hex. */
export interface TableSum {
  readonly rows: number;
  readonly sum: string;
}

/** What the database's own tool writes of the same snapshot, in its own form. */
export interface DumpArchive {
  /** e.g. `pg_dump 18.4`. */
  readonly tool: string;
  /** What is there and is not carried. */
  readonly notCarried: readonly string[];
  read(o: Cancel): AsyncIterable<Buffer>;
}

/** One consistent snapshot of a database. Calls must not overlap. */
export interface OpenDump extends AsyncDisposable {
  readonly contents: DumpContents;
  /** By the database's own tool, where there is one that can; else why not. */
  archive(o: Cancel): Promise<DumpArchive | { readonly unable: string }>;
  /** The rows as the engine's portable text. */
  rows(table: DumpTable, o: Cancel): AsyncIterable<Buffer>;
  /** Computed by the database, in the same snapshot. `seed`: 64 bits, decimal. */
  sum(table: DumpTable, seed: string, o: Cancel): Promise<TableSum>;
}

/** What a dump is proved by. */
export interface DumpProof {
  readonly seed: string;
  /** In the order of `contents.tables`. */
  readonly sums: readonly TableSum[];
}

/** A database that is there for a proof only, and dropped when disposed. */
export interface ScratchDatabase extends AsyncDisposable {
  readonly dumping: Dumping;
}

/** Copies a database whole, and makes it again in an empty one. */
export interface Dumping {
  /** `schemas` absent: all that are the user's. */
  dump(o: Cancel & { readonly schemas?: readonly string[] }): Promise<OpenDump>;
  /**
   * All in one transaction: refuses a database that is not empty (CONFLICT), makes everything, and compares every table
   * with the proof before it commits. BACKUP when they do not agree. Absent: read-only.
   */
  restore?(
    contents: DumpContents,
    rows: (table: DumpTable, at: number) => AsyncIterable<Buffer>,
    proof: DumpProof,
    o: Cancel,
  ): Promise<void>;
  /**
   * The same from an archive. The tool commits what it made before the rows can be compared: BACKUP leaves a database
   * that is to be dropped. USAGE where the tool is missing.
   */
  restoreArchive?(contents: DumpContents, archive: AsyncIterable<Buffer>, proof: DumpProof, o: Cancel): Promise<void>;
  /** A new empty database on this server. PRIVILEGE when the account may make none. Absent: read-only. */
  scratch?(name: string, like: DumpContents, o: Cancel): Promise<ScratchDatabase>;
}
