import { existsSync, statSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { LockstepError } from '../../model/errors.ts';
import type { OpenArgs } from './operations.ts';

export type Encoding = 'UTF-8' | 'UTF-16le' | 'UTF-16be';
export type Bind = SQLInputValue;
export type Value = SQLOutputValue;

/** An open database with its prepared statements. Lives in the SQLite process only. */
export interface Database {
  readonly path: string;
  readonly readOnly: boolean;
  readonly encoding: Encoding;
  readonly version: string;
  /** `journal_mode` when opened, e.g. `wal`. */
  readonly journal: string;
  /** Whether this SQLite writes reals as text that reads back as the same double. */
  readonly exactReals: boolean;
  /** Whether this SQLite's `concat_ws` keeps empty texts apart, in front too. */
  readonly joinsEmpty: boolean;
  exec(sql: string): void;
  /** Rows as arrays, integers as bigints. Prepared once per text; finish or drop an iteration before the next. */
  all(sql: string, ...values: readonly Bind[]): Value[][];
  get(sql: string, ...values: readonly Bind[]): Value[] | undefined;
  /**
   * A fresh statement: several may be under way. To be gone through by `for … of`, which ends it however it is left: one
   * that is not ended keeps the old state of the database in view, for later transactions of the connection, too.
   */
  iterate(sql: string, ...values: readonly Bind[]): Iterable<Value[]>;
  /** Rows changed. */
  run(sql: string, ...values: readonly Bind[]): number;
  /** Defines an SQL function; integers arrive as bigints. */
  define(name: string, f: (...values: readonly Value[]) => Bind): void;
  readonly inTransaction: boolean;
  close(): void;
}

const rows = (statement: StatementSync): StatementSync => {
  statement.setReadBigInts(true);
  statement.setReturnArrays(true);
  return statement;
};

/** Opens the file; reading one page proves that it is a database. Never creates one. */
export const openDatabase = (args: OpenArgs): Database => {
  const url = pathToFileURL(args.path);
  url.searchParams.set('mode', args.readOnly ? 'ro' : 'rw');
  if (args.immutable) url.searchParams.set('immutable', '1');
  const hadSideFiles = existsSync(`${args.path}-wal`) || existsSync(`${args.path}-shm`);
  const db = new DatabaseSync(url, {
    readOnly: args.readOnly,
    timeout: args.busyTimeoutMs,
    enableForeignKeyConstraints: true,
    enableDoubleQuotedStringLiterals: false,
  });
  const cached = new Map<string, StatementSync>();
  const prepare = (sql: string): StatementSync => {
    let statement = cached.get(sql);
    if (statement === undefined) {
      statement = rows(db.prepare(sql));
      if (cached.size >= 200) cached.delete(cached.keys().next().value!);
      cached.set(sql, statement);
    }
    return statement;
  };
  const all = (sql: string, ...values: readonly Bind[]): Value[][] =>
    prepare(sql).all(...values) as unknown as Value[][];
  const get = (sql: string, ...values: readonly Bind[]): Value[] | undefined =>
    prepare(sql).get(...values) as unknown as Value[] | undefined;
  let encoding: Encoding;
  let journal: string;
  try {
    encoding = get('pragma encoding')![0] as Encoding;
    get('select count(*) from sqlite_schema');
    journal = String(get('pragma journal_mode')![0]);
    if (!args.readOnly) db.exec('pragma synchronous = full');
    db.exec('pragma trusted_schema = off');
  } catch (error) {
    db.close();
    throw error;
  }
  return {
    path: args.path,
    readOnly: args.readOnly,
    encoding,
    journal,
    version: String(get('select sqlite_version()')![0]),
    exactReals: get('select concat(0.30000000000000004, 5e-324)')![0] === '0.300000000000000044.9406564584124654e-324',
    joinsEmpty: get("select concat_ws('|', '', '', 'a', '', '')")![0] === '||a||',
    exec: (sql) => db.exec(sql),
    all,
    get,
    iterate: (sql, ...values) => rows(db.prepare(sql)).iterate(...values) as unknown as Iterable<Value[]>,
    run: (sql, ...values) => Number(prepare(sql).run(...values).changes),
    define: (name, f) => db.function(name, { useBigIntArguments: true, varargs: true, directOnly: true }, f),
    get inTransaction() {
      return db.isTransaction;
    },
    close: () => {
      cached.clear();
      db.close();
      if (args.readOnly && !args.immutable && !hadSideFiles) removeSideFiles(args.path);
    },
  };
};

/**
 * A read-only connection to a database in WAL mode makes -wal and -shm files and, being read-only, cannot remove
 * them. When we made them and nothing was written, a writable connection that closes at once lets SQLite remove them
 * under its own locks. Where that is not possible they stay: they hold nothing.
 */
const removeSideFiles = (path: string): void => {
  try {
    if (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size !== 0) return;
    const db = new DatabaseSync(path, { timeout: 0 });
    try {
      db.prepare('select count(*) from sqlite_schema').get();
    } finally {
      db.close();
    }
  } catch {
    // Not ours to write.
  }
};

/** The current transaction's read: fails when a reader was used without its snapshot. */
export const requireTransaction = (db: Database): void => {
  if (!db.inTransaction) throw new LockstepError('INTERNAL', 'the snapshot is no longer open.');
};
