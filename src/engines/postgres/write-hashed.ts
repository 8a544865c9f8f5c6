import type { Change } from '../../model/change.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import type { Key } from '../../model/row.ts';
import type { Table } from '../../model/schema.ts';
import { tableId } from '../sql/quote.ts';
import type { ColumnSql } from './columns.ts';
import { isRefusal } from './failures.ts';
import { rowHashSql } from './hash-sql.ts';
import { textArray } from './select.ts';
import type { Session, StatementOptions } from './session.ts';
import { hashedColumns, type Int64Array, int64Array, type RowSum, rowSum, writeHasher } from './write-hash.ts';
import { hashedDeleteSql, hashedInsertSql, hashedUpdateSql } from './write-sql.ts';

/**
 * The short way to write a batch: one statement that locks, guards, writes and reads back, by row hashes. It only
 * ever succeeds or leaves no trace: what it finds amiss (a row that moved, a value that is refused, a default that
 * filled a cell) is found again and named by the long way, which compares cells.
 */
export interface HashedWrites {
  /** True: written, every row was its `before` and is its `after`. False: nothing was written. */
  write(session: Session, changes: readonly Change[], at: StatementOptions): Promise<boolean>;
  /** The long way found nothing amiss where this one failed: hashes do not serve this table. */
  failedInVain(): void;
}

/** Every key has its index: looked up one by one in the order given, the whole table is never read for a batch. */
const byIndex = '; set local enable_hashjoin to off; set local enable_mergejoin to off';
const asBefore = '; set local enable_hashjoin to default; set local enable_mergejoin to default';

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
      c.op !== 'delete' && c.columns.length === columns.length && c.columns.every((column, i) => column === columns[i]),
  );

/** False: the table has a unique key that is checked only when the transaction ends. */
export const checksAtOnce = async (session: Session, table: Table, at: StatementOptions): Promise<boolean> => {
  const [row] = await session.query(
    `select exists (select from pg_catalog.pg_index where indrelid = pg_catalog.to_regclass($1) and indisunique and not indimmediate)::pg_catalog.text`,
    [tableId(table)],
    at,
  );
  return row![0] === 'false';
};

/** Undefined: this table must be written the long way. */
export const hashedWrites = (
  table: Table,
  key: readonly string[],
  columns: readonly ColumnSql[],
  o: { readonly hash: HashSpec | undefined; readonly checked: boolean },
): HashedWrites | undefined => {
  const { hash } = o;
  if (hash === undefined || table.kind === 'view' || table.triggers.length > 0) return undefined;
  if (table.columns.some((c) => c.generated === 'always')) return undefined;
  const hashable = hashedColumns(columns);
  if (hashable === undefined) return undefined;
  const hasher = writeHasher(hashable, hash);
  const rowHash = rowHashSql(hashable, hash);
  const keys = columns.slice(0, key.length);
  // without it a second row could come under the key
  const unique = o.checked && table.uniques.some((u) => u.total && u.columns.every((c) => key.includes(c)));
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
  const valueArrays = (changes: readonly Change[], places: readonly number[]): string[] =>
    places.map((i) => textArray(changes.map((c) => c.after![i] ?? null)));

  /** The statement, its parameters, and what its rows' hashes come to if all is well. */
  const prepared = (
    changes: readonly Change[],
  ): { readonly sql: string; readonly values: unknown[]; readonly sum: RowSum } | undefined => {
    const sum = rowSum();
    const { op } = changes[0]!;
    const places = columnsOf(changes);
    if (op === 'insert') {
      if (!unique || !sameColumns(changes, places)) return undefined;
      for (const { after } of changes) {
        if (after!.length !== columns.length) return undefined;
        hasher.row(after!);
        hasher.finish();
        sum.add(hasher.out);
      }
      const sql = statement(`insert ${places.join()}`, () =>
        hashedInsertSql(
          table,
          places.map((i) => columns[i]!),
          rowHash,
        ),
      );
      return { sql, values: valueArrays(changes, places), sum };
    }
    if (op === 'delete') {
      for (const { before } of changes) {
        if (before!.length !== columns.length) return undefined;
        hasher.row(before!);
        hasher.finish();
        sum.add(hasher.out);
      }
      return { sql: statement(op, () => hashedDeleteSql(table, keys, rowHash)), values: keyArrays(changes), sum };
    }
    if (places.length === 0) return undefined;
    const guards: Int64Array = int64Array(changes.length);
    for (const { before, after } of changes) {
      if (before!.length !== columns.length || after!.length !== columns.length) return undefined;
      hasher.row(before!);
      hasher.finish();
      guards.add(hasher.out[0]!, hasher.out[1]!);
      hasher.change(before!, after!);
      hasher.finish();
      sum.add(hasher.out);
    }
    const sql = statement(`update ${places.join()}`, () =>
      hashedUpdateSql(
        table,
        keys,
        places.map((i) => columns[i]!),
        rowHash,
      ),
    );
    return { sql, values: [...keyArrays(changes), guards.bytes, ...valueArrays(changes, places)], sum };
  };

  return {
    failedInVain: () => {
      inVain++;
    },
    write: async (session, changes, at) => {
      const p = inVain < inVainMost ? prepared(changes) : undefined;
      if (p === undefined) return false;
      await session.query(`savepoint lockstep_hashed${unique ? byIndex : ''}`, undefined, at);
      let whole = false;
      try {
        const [row] = (await session.raw(p.sql, p.values, at)).rows;
        const [count, sum] = row!;
        whole = count === String(changes.length) && sum != null && (BigInt(sum) & mask) === p.sum.total();
      } catch (error) {
        if (!isRefusal(error)) throw session.explain(error, at);
      }
      const end = `release savepoint lockstep_hashed${unique ? asBefore : ''}`;
      await session.query(whole ? end : `rollback to savepoint lockstep_hashed; ${end}`, undefined, at);
      return whole;
    },
  };
};
