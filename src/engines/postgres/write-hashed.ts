import type { Change } from '../../model/change.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import type { Key, Row } from '../../model/row.ts';
import type { Table } from '../../model/schema.ts';
import type { TableChanges } from '../../model/writer.ts';
import { tableId } from '../sql/quote.ts';
import type { ColumnSql } from './columns.ts';
import { copyLine } from './copy-in.ts';
import { isRefusal } from './failures.ts';
import { rowHashSql } from './hash-sql.ts';
import { keptName } from './kept-statements.ts';
import { isStorableText } from './key-sql.ts';
import { textArray } from './select.ts';
import type { Session, StatementOptions } from './session.ts';
import { hashedColumns, type Int64Array, int64Array, type RowSum, rowSum, writeHasher } from './write-hash.ts';
import {
  copySql,
  hashedDeleteSql,
  hashedInsertSql,
  hashedRowsSql,
  hashedUpdateSql,
  inOneWalk,
  takesCopy,
} from './write-sql.ts';

/**
 * The short way to write a batch: one statement that locks, guards, writes and reads back, by row hashes. It only
 * ever succeeds or leaves no trace: what it finds amiss (a row that moved, a value that is refused, a default that
 * filled a cell) is found again and named by the long way, which compares cells.
 */
export interface HashedWrites {
  /** True: written, every row was its `before` and is its `after`. False: nothing was written. */
  write(session: Session, batch: TableChanges, at: StatementOptions): Promise<boolean>;
  /** The long way found nothing amiss where this one failed: hashes do not serve this table. */
  failedInVain(): void;
}

/** Every key has its index: looked up one by one in the order given, the whole table is never read for a batch. */
const ways = ['enable_hashjoin', 'enable_mergejoin', 'enable_seqscan'];
export const byIndex = ways.map((way) => `; set local ${way} to off`).join('');
const asBefore = ways.map((way) => `; set local ${way} to default`).join('');

const mask = (1n << 64n) - 1n;
const inVainMost = 3;

const columnsOf = (changes: readonly Change[]): readonly number[] => {
  const first = changes[0]!;
  if (first.op === 'delete') return [];
  if (first.op === 'insert') return first.columns;
  const all = new Set<number>();
  let last: readonly number[] | undefined;
  for (const change of changes) {
    if (change.op === 'delete' || change.columns === last) continue;
    last = change.columns;
    for (const i of change.columns) all.add(i);
  }
  return [...all].sort((a, b) => a - b);
};

const sameColumns = (changes: readonly Change[], columns: readonly number[]): boolean =>
  changes.every(
    (c) =>
      c.op !== 'delete' &&
      (c.columns === columns ||
        (c.columns.length === columns.length && c.columns.every((column, i) => column === columns[i]))),
  );

/** The hashes that a change brings along; undefined: they are made now. */
type HashesOf = (change: Change) => readonly number[] | undefined;

interface Prepared {
  readonly copy?: { readonly sql: string; readonly lines: readonly string[] };
  /** Answers with the number of rows and the sum of their hashes. */
  readonly sql: string;
  readonly values: unknown[];
  readonly sum: RowSum;
}

const pieceSize = 1 << 18;

/** Rows as COPY reads them; undefined: PostgreSQL's text cannot hold one of them. */
export const copyPieces = (changes: readonly Change[], places: readonly number[]): readonly string[] | undefined => {
  const pieces: string[] = [];
  let piece = '';
  const cut = (): boolean => {
    pieces.push(piece);
    const storable = isStorableText(piece);
    piece = '';
    return storable;
  };
  const whole = places.every((place, i) => place === i);
  for (const change of changes) {
    const row = change.after!;
    piece += copyLine(whole && row.length === places.length ? row : places.map((i) => row[i] ?? null));
    if (piece.length >= pieceSize && !cut()) return undefined;
  }
  return cut() ? pieces : undefined;
};

/** Columns as their hashes are made; undefined: this table is written by its cells. */
const hashedOf = (table: Table, columns: readonly ColumnSql[]): readonly ColumnSql[] | undefined => {
  if (table.kind === 'view' || table.triggers.length > 0) return undefined;
  if (table.columns.some((c) => c.generated === 'always')) return undefined;
  return hashedColumns(columns);
};

/** Hashes native rows of a table as the server does. */
export const imageHasher = (
  table: Table,
  columns: readonly ColumnSql[],
  hash: HashSpec,
): ((row: Row, out: Int32Array) => void) | undefined => {
  const hashable = hashedOf(table, columns);
  if (hashable === undefined) return undefined;
  const hasher = writeHasher(hashable, hash);
  return (row, out) => {
    hasher.row(row);
    hasher.finish();
    out.set(hasher.out);
  };
};

export interface TableHabits {
  /** No unique key is checked only when the transaction ends. */
  readonly checksAtOnce: boolean;
  readonly rules: boolean;
  /** It is partitioned. */
  readonly inParts: boolean;
}

export const tableHabits = async (session: Session, table: Table, at: StatementOptions): Promise<TableHabits> => {
  const [row] = await session.query(
    `select exists (select from pg_catalog.pg_index where indrelid = c.oid and indisunique and not indimmediate)::pg_catalog.text,
            exists (select from pg_catalog.pg_rewrite where ev_class = c.oid)::pg_catalog.text,
            (c.relkind = 'p')::pg_catalog.text
     from pg_catalog.pg_class c where c.oid = pg_catalog.to_regclass($1)`,
    [tableId(table)],
    at,
  );
  return { checksAtOnce: row?.[0] === 'false', rules: row?.[1] !== 'false', inParts: row?.[2] !== 'false' };
};

/** Undefined: this table must be written the long way. */
export const hashedWrites = (
  table: Table,
  key: readonly string[],
  columns: readonly ColumnSql[],
  o: { readonly hash: HashSpec; readonly habits: TableHabits },
): HashedWrites | undefined => {
  const hashable = hashedOf(table, columns);
  // a statement within another does not go with rules, and COPY knows nothing of them
  if (hashable === undefined || o.habits.rules) return undefined;
  const hasher = writeHasher(hashable, o.hash);
  const rowHash = rowHashSql(hashable, o.hash);
  const keys = columns.slice(0, key.length);
  // without it a second row could come under the key
  const unique = o.habits.checksAtOnce && table.uniques.some((u) => u.total && u.columns.every((c) => key.includes(c)));
  // a plan that is kept does not know which keys it will be given, nor how many: it must not matter, and it would lock
  // every partition
  const kept = unique && inOneWalk(keys) && !o.habits.inParts;
  const statements = new Map<string, string>();
  const statement = (name: string, make: () => string): string => {
    let sql = statements.get(name);
    if (sql === undefined) {
      sql = make();
      statements.set(name, sql);
    }
    return sql;
  };
  let inVain = 0;

  const keyArrays = (changes: readonly Change[]): string[] =>
    keys.map((_, i) => textArray(changes.map((c) => (c.key as Key)[i]!)));

  /** The hash of an image: as it was planned, or made now. */
  const add = (
    sum: RowSum | Int64Array,
    change: Change,
    image: 'before' | 'after',
    hashes: readonly number[] | undefined,
  ): void => {
    if (hashes === undefined) {
      hasher.row(change[image]!);
      hasher.finish();
      sum.add(hasher.out[0]!, hasher.out[1]!);
    } else {
      const at = image === 'after' && change.op === 'update' ? 2 : 0;
      sum.add(hashes[at]!, hashes[at + 1]!);
    }
  };

  const insert = (changes: readonly Change[], hashesOf: HashesOf): Prepared | undefined => {
    const places = columnsOf(changes);
    if (!unique || !sameColumns(changes, places)) return undefined;
    const sum = rowSum();
    for (const change of changes) {
      if (change.after!.length !== columns.length) return undefined;
      add(sum, change, 'after', hashesOf(change));
    }
    const written = places.map((i) => columns[i]!);
    if (takesCopy(table, written)) {
      const lines = copyPieces(changes, places);
      if (lines === undefined) return undefined;
      const sql = statement('rows', () => hashedRowsSql(table, keys, rowHash));
      const copy = { sql: statement(`copy ${places.join()}`, () => copySql(table, written)), lines };
      return { copy, sql, values: keyArrays(changes), sum };
    }
    const values = places.map((i) => textArray(changes.map((c) => c.after![i] ?? null)));
    return { sql: statement(`insert ${places.join()}`, () => hashedInsertSql(table, written, rowHash)), values, sum };
  };

  const remove = (changes: readonly Change[], hashesOf: HashesOf): Prepared | undefined => {
    const sum = rowSum();
    for (const change of changes) {
      const hashes = hashesOf(change);
      if (hashes === undefined && change.before!.length !== columns.length) return undefined;
      add(sum, change, 'before', hashes);
    }
    return { sql: statement('delete', () => hashedDeleteSql(table, keys, rowHash)), values: keyArrays(changes), sum };
  };

  const update = (changes: readonly Change[], hashesOf: HashesOf): Prepared | undefined => {
    const places = columnsOf(changes);
    if (places.length === 0) return undefined;
    const sum = rowSum();
    const guards: Int64Array = int64Array(changes.length);
    for (const change of changes) {
      const hashes = hashesOf(change);
      if (hashes === undefined) {
        const { before, after } = change;
        if (before!.length !== columns.length || after!.length !== columns.length) return undefined;
        hasher.row(before!);
        hasher.finish();
        guards.add(hasher.out[0]!, hasher.out[1]!);
        hasher.change(before!, after!);
        hasher.finish();
        sum.add(hasher.out[0]!, hasher.out[1]!);
      } else {
        add(guards, change, 'before', hashes);
        add(sum, change, 'after', hashes);
      }
    }
    const narrow = sameColumns(changes, places);
    const cells = places.map((place, at) =>
      textArray(
        changes.map((c) => {
          if (c.op !== 'update') return null;
          // a row that is written wider than it differs has its other cells in its image
          return narrow && c.cells !== undefined ? c.cells[at]! : c.after[place]!;
        }),
      ),
    );
    const sql = statement(`update ${places.join()}`, () =>
      hashedUpdateSql(
        table,
        keys,
        places.map((i) => columns[i]!),
        rowHash,
      ),
    );
    return { sql, values: [...keyArrays(changes), guards.bytes, ...cells], sum };
  };

  /** The statements, their parameters, and what the rows' hashes come to if all is well. */
  const prepared = ({ changes, hash }: TableChanges): Prepared | undefined => {
    const { op } = changes[0]!;
    const hashesOf: HashesOf = hash === undefined ? () => undefined : (change) => change.hashes;
    const p = (op === 'insert' ? insert : op === 'update' ? update : remove)(changes, hashesOf);
    return p?.values.every((value) => typeof value !== 'string' || isStorableText(value)) ? p : undefined;
  };

  const run = async (session: Session, p: Prepared, count: number, at: StatementOptions): Promise<boolean> => {
    if (p.copy !== undefined && (await session.copyIn(p.copy.sql, p.copy.lines, at)) !== count) return false;
    const name = kept ? await keptName(session, p.sql, at) : undefined;
    const [row] = (await session.raw(p.sql, p.values, at, name)).rows;
    const [found, sum] = row!;
    return found === String(count) && sum != null && (BigInt(sum) & mask) === p.sum.total();
  };

  return {
    failedInVain: () => {
      inVain++;
    },
    write: async (session, batch, at) => {
      const p = inVain < inVainMost ? prepared(batch) : undefined;
      if (p === undefined) return false;
      await session.query(`savepoint lockstep_hashed${unique ? byIndex : ''}`, undefined, at);
      let whole = false;
      try {
        whole = await run(session, p, batch.changes.length, at);
      } catch (error) {
        if (!isRefusal(error)) throw session.explain(error, at);
      }
      const end = `release savepoint lockstep_hashed${unique ? asBefore : ''}`;
      await session.query(whole ? end : `rollback to savepoint lockstep_hashed; ${end}`, undefined, at);
      return whole;
    },
  };
};
