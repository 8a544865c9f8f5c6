import type { Cell, Key, Row, Text } from './row.ts';
import type { Table } from './schema.ts';

/** As everything that waits: aborting reaches the server. */
interface Cancel {
  readonly signal: AbortSignal;
}

/**
 * Rows one by one and page by page, for programs that ask for some of them: an API over a table. Unlike a `Reader` this
 * is no snapshot: each call sees the table as it is. Cells are canonical text of the column's own type.
 */

/**
 * What must hold of one cell. `eq`, `ne` and `in` are sameness of values, never a collation's equality; the others are
 * in the database's own order of the column. As in SQL nothing but `null` holds of NULL. `like`: the text consists of
 * the parts, in order, with anything between them; capitals count.
 */
export type RowCondition = { readonly column: string } & (
  | { readonly op: 'eq' | 'ne' | 'gt' | 'gte' | 'lt' | 'lte'; readonly value: Text }
  | { readonly op: 'in'; readonly values: readonly Text[] }
  | { readonly op: 'like'; readonly parts: readonly string[] }
  | { readonly op: 'null'; readonly is: boolean }
);

/** NULL is greater than every value. */
export interface RowOrder {
  readonly column: string;
  readonly descending: boolean;
}

export interface RowPage {
  /** What is read of each row, in this order. */
  readonly columns: readonly string[];
  /** All of them must hold. */
  readonly where: readonly RowCondition[];
  /** In the database's own order of each column. Columns of the key that are not named come last, ascending. */
  readonly order: readonly RowOrder[];
  /** Rows that come after the one with these cells: those of `order`, then of the key columns that it does not name. */
  readonly after?: readonly Cell[];
  readonly limit: number;
}

/** A row as it is stored. */
export interface StoredRow {
  /** In the order asked for. */
  readonly cells: Row;
  /** Stands for every cell of the row, those that were not asked for, too: 32 hexadecimal digits; the same only while no cell changes. */
  readonly tag: string;
}

export interface RowGuard {
  /** The row must still have this tag. */
  readonly tag?: string;
  /** The row is there for the caller only if these hold. */
  readonly visible: readonly RowCondition[];
  /** Nothing is written unless these hold, too. */
  readonly allowed: readonly RowCondition[];
}

export type RowWrite =
  /** Columns that are not named take their defaults. */
  | { readonly op: 'insert'; readonly columns: readonly string[]; readonly cells: Row }
  | {
      readonly op: 'update';
      readonly key: Key;
      readonly columns: readonly string[];
      readonly cells: Row;
      readonly guard: RowGuard;
    }
  | { readonly op: 'delete'; readonly key: Key; readonly guard: RowGuard };

/** Why a database refuses a row. */
export type RefusalKind = 'unique' | 'foreign_key' | 'referenced' | 'check' | 'not_null' | 'value' | 'other';

export type RowOutcome =
  /** The row as it is stored now; null: deleted. */
  | { readonly status: 'done'; readonly row: StoredRow | null }
  /** No row under the key that is visible. */
  | { readonly status: 'missing' }
  /** The row is there, and the guard does not hold. */
  | { readonly status: 'stale'; readonly found: StoredRow }
  /** `words`: what the database says on purpose (a trigger's message); never a row's content. */
  | {
      readonly status: 'refused';
      readonly kind: RefusalKind;
      readonly constraint?: string;
      readonly column?: string;
      readonly words?: string;
    }
  /** Of a transaction in which another write failed, or that was not tried. */
  | { readonly status: 'undone' };

/** One table's rows. Facts of its catalogue are read once: throws COLUMN_NOT_FOUND, TABLE_NOT_FOUND or SCHEMA_DRIFT when it has been altered. */
export interface TableRows {
  /** The database has an order of its own for the column that pages can follow. */
  sortable(column: string): boolean;
  list(page: RowPage, o: Cancel): Promise<readonly Row[]>;
  /** `estimated`: what the database expects; exact where it has no idea. */
  count(where: readonly RowCondition[], how: 'exact' | 'estimated', o: Cancel): Promise<number>;
  get(
    key: Key,
    q: { readonly columns: readonly string[]; readonly where: readonly RowCondition[] },
    o: Cancel,
  ): Promise<StoredRow | undefined>;
  /**
   * Writes, in order; outcomes in the same order. `atomic`: one transaction, of which nothing stays unless all are done.
   * Otherwise each is one of its own. Throws what a repeat may cure (`retry: 'now'`). Absent: read-only.
   */
  readonly write?: (
    writes: readonly RowWrite[],
    q: { readonly columns: readonly string[]; readonly atomic: boolean },
    o: Cancel,
  ) => Promise<readonly RowOutcome[]>;
}

export interface RowAccess {
  /** `key`: columns that identify a row. */
  of(table: Table, key: readonly string[], o: Cancel): Promise<TableRows>;
}
