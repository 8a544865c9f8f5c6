import type { Table } from '../model/schema.ts';
import type { Lookup } from './lookup.ts';
import type { MadeColumn, StoredRow } from './make-column.ts';

/** A rule at work: what it reads, and why a row is invalid (undefined: it is valid). May throw Invalid. */
export interface Check {
  readonly name: string;
  /** Stored columns. */
  readonly inputs: readonly string[];
  /** `made`: the values of the made columns, by name. */
  reasons(row: StoredRow, made: (column: string) => string | null): readonly string[];
}

/** Everything that is done with the rows of one table. */
export interface Program {
  readonly raw: Table;
  readonly made: readonly MadeColumn[];
  readonly checks: readonly Check[];
  readonly lookups: readonly Lookup[];
  /** Names of columns whose values are not shown. */
  readonly concealed: readonly string[];
}
